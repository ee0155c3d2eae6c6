"""Lecture 08: learning from a teacher. How does a student's loss look when the target is another network's opinion?

    p = softmax(v / T),  q = softmax(z / T),   E = T² KL(p ‖ q),   dz = T (q - p) / N
    v (N, C): the teacher's logits   z (N, C): the student's   T: the temperature, 0.001 .. infinity

(Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network", eq. 1 and 2.) High temperatures make the
differences between classes smaller. Without the factor T² the gradient is (q - p) / T and fades as 1 / T² (section 2).
With it, T → ∞ has a limit, which is used for T = math.inf: the squared distance of centred logits over 2 C (eq. 4).

Difference from the paper: KL(p ‖ q) in place of the cross-entropy. They differ by the entropy of p, which no student
changes, so the gradient is the same, and the value is 0 where the student agrees with its teacher.

The target is the logits, not the probabilities, which at high temperatures would hold few digits of them. For the same
reason the loss never subtracts two probabilities: with g = log (q / p), which falls as 1 / T,

    q - p = (p + q) tanh(g / 2)        KL(p ‖ q) = Σ_c p_c (exp(g_c) - 1 - g_c)

and g comes from log (C p), which falls as 1 / T, too. All digits stay at every T; float64 inside, whatever comes in.
Not here: where logits come from (targets.py).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import DTypeError, ShapeError
from ..inputs import as_array, as_fraction, as_number, check_finite
from ..nn import Loss, cross_entropy, softmax
from ..nn.losses import check_same_shape, check_scores

HOT = 1e100  # from here on the limit T → ∞ is right to the last digit, unless logits reach 1e80


def as_temperature(T: Any) -> float:
    """T as a float from 0.001 to infinity, which is what it becomes from `HOT` on.   Raises DTypeError, RangeError."""
    if isinstance(T, (bool, np.bool_)):
        raise DTypeError(f"T is {T}; allowed: a number.")
    if isinstance(T, (float, np.floating)) and np.isposinf(T):
        return math.inf
    T = as_number(T, "T", 1e-3)
    return T if T < HOT else math.inf


def soften(z: np.ndarray, T: float = 1.0) -> np.ndarray:
    """q_c = exp(z_c / T) / Σ exp(z / T)      z, q (N, C);   T = math.inf gives 1 / C

    Raises ShapeError, RangeError, NonFiniteError.
    """
    return softmax(as_array(z, "z", (None, None)) / as_temperature(T))


def log_mean_exp(x: np.ndarray, axis: int) -> np.ndarray:
    """log (1/n Σ exp(x)) along an axis of size n, which stays with size 1. Keeps its digits where all x are near 0."""
    top = x.max(axis, keepdims=True)
    mean: np.ndarray = top + np.log1p(np.expm1(x - top).mean(axis, keepdims=True))
    return mean


@np.errstate(under="ignore")  # a probability may round to zero
def log_ratio(z: np.ndarray, T: float) -> np.ndarray:
    """log (C softmax(z / T)): how much likelier than 1 / C a class is, 0 for T → ∞      z (N, C), float64"""
    x = (z - z.max(1, keepdims=True)) / T  # at most 0, so that nothing overflows
    return x - np.log1p(np.expm1(x).sum(1, keepdims=True) / z.shape[1])


def kl_terms(p: np.ndarray, g: np.ndarray, difference: np.ndarray, T: float) -> np.ndarray:
    """T² p (exp(g) - 1 - g) ≥ 0, which sum to T² KL(p ‖ q) over the classes      g = log (q / p), difference = q - p"""
    terms: np.ndarray = T * T * (difference - p * g)
    small = np.abs(g) < 0.01  # there q - p - p g cancels: the series instead
    if small.any():
        s = g[small]
        terms[small] = p[small] * (T * s) ** 2 * (1 / 2 + s * (1 / 6 + s * (1 / 24 + s * (1 / 120 + s / 720))))
    return terms


def soft(T: float, *, reverse: bool = False) -> Loss:
    """E = T²/N Σ_n KL(p_n ‖ q_n),   dz = T (q - p) / N      target: the teacher's logits v (N, C)

    KL(p ‖ q) = Σ_c p_c (log p_c - log q_c) asks for some probability wherever the teacher has some. reverse:
    KL(q ‖ p), which asks for none where the teacher has none; dz_c = T q_c (log q_c - log p_c - KL(q ‖ p)) / N.
    Raises DTypeError, RangeError; the loss ShapeError, and NonFiniteError for a teacher's NaN.
    """
    T = as_temperature(T)

    @np.errstate(under="ignore")
    def loss(z: np.ndarray, v: np.ndarray) -> tuple[float, np.ndarray]:
        N, C = check_scores(z)
        log_p, log_q = log_ratio(check_teacher(v, z), T), log_ratio(z.astype(np.float64), T)
        p, q, g = np.exp(log_p) / C, np.exp(log_q) / C, log_q - log_p
        difference = (p + q) * np.tanh(g / 2)  # q - p
        if reverse:
            kl = kl_terms(q, -g, -difference, T).sum(1, keepdims=True)
            dz = q * (T * g - kl / T)
        else:
            kl = kl_terms(p, g, difference, T).sum(1)
            dz = T * difference
        return float(kl.mean()), (dz / N).astype(z.dtype)

    return match_logits if math.isinf(T) else named(loss, f"soft, T = {T:g}, {'reverse' if reverse else 'forward'}")


def match_logits(z: np.ndarray, v: np.ndarray) -> tuple[float, np.ndarray]:
    """E = 1/(2 C N) Σ_n Σ_c (z̃ - ṽ)²,   dz = (z̃ - ṽ) / (C N)      z, v (N, C)   z̃ = z - its mean over the classes

    What `soft` tends to as T → ∞, in both directions. Ba & Caruana 2014, "Do Deep Nets Really Need to be Deep?",
    section 2, match the logits themselves.   Raises ShapeError, NonFiniteError.
    """
    N, C = check_scores(z)
    d = z - check_teacher(v, z)
    d -= d.mean(1, keepdims=True)
    return float((d * d).sum() / (2 * C * N)), (d / (C * N)).astype(z.dtype)


def check_teacher(v: np.ndarray, z: np.ndarray) -> np.ndarray:
    """v in float64, finite and of the shape of z.   Raises ShapeError, NonFiniteError."""
    if v.ndim == z.ndim == 2 and len(v) == len(z) and v.shape[1] != z.shape[1]:
        raise ShapeError(f"the target has {v.shape[1]} classes, those of the teacher, for a student of {z.shape[1]}; "
                         f"allowed: as many. Hint: the last layers of both have one output a class.")
    check_same_shape(z, v)
    check_finite(v, "the teacher's logits")
    return v.astype(np.float64)


def distill(T: float, alpha: float = 0.5, *, reverse: bool = False) -> Loss:
    """E = (1 - α) CE(t, softmax(z)) + α T² KL(p ‖ q)      target: [t | v] (N, 2 C), labels beside teacher's logits

    t: labels as distributions (targets.one_hot, or smoothed). Their part has temperature 1. α: the teacher's share.
    Raises RangeError, DTypeError; the loss ShapeError, and NonFiniteError for a teacher's NaN.
    """
    alpha, learn = as_fraction(alpha, "alpha"), soft(T, reverse=reverse)

    @np.errstate(under="ignore")
    def loss(z: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        N, C = check_scores(z)
        t, v = split(target, N, C, C)
        hard, d_hard = cross_entropy(z, t.astype(z.dtype))
        value, dz = learn(z, v)
        weight = z.dtype.type(alpha)
        return (1 - alpha) * hard + alpha * value, (1 - weight) * d_hard + weight * dz

    return named(loss, f"distill, alpha = {alpha:g}, {name_of(learn)}")


def split(target: np.ndarray, N: int, left: int, right: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `left` and the other `right` columns of a target (N, left + right).   Raises ShapeError."""
    if target.shape != (N, left + right):
        raise ShapeError(f"the target has shape {target.shape}; allowed: ({N}, {left} + {right}), two targets side by "
                         f"side. Hint: numpy.hstack; a teacher has as many classes as its student.")
    return target[:, :left], target[:, left:]


def named(loss: Any, name: str) -> Loss:
    """The loss under a name that tells its settings, by which a checkpoint knows the run it belongs to."""
    loss.__name__ = name
    return loss  # type: ignore[no-any-return]


def name_of(loss: Loss) -> str:
    """The name by which a checkpoint knows a loss."""
    return getattr(loss, "__name__", type(loss).__name__)
