"""Lecture 08: learning from a teacher. How does a student's loss look when the target is another network's opinion?

    p = softmax(v / T),  q = softmax(z / T),   E = T² KL(p ‖ q),   dz = T (q - p) / N
    v (N, C): the teacher's logits   z (N, C): the student's   T: the temperature, 0.001 .. infinity

(Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network", eq. 1 and 2.) High temperatures make the
differences between classes smaller. Without the factor T² the gradient is (q - p) / T and fades as 1 / T² (section 2).
With it, T → ∞ has a limit, which is used for T = math.inf: the squared distance of centred logits over 2 C (eq. 4).

Difference from the paper: KL(p ‖ q) in place of the cross-entropy. They differ by the entropy of p, which no student
changes, so the gradient is the same, and the value is 0 where the student agrees with its teacher.

The target is the logits, not the probabilities, which at high temperatures would hold few digits of them. Not here:
where logits come from (targets.py). Rounding grows with the temperature: by T² ε in the value, by T ε in the gradient.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..inputs import as_fraction, as_number
from ..nn import Loss, cross_entropy, log_softmax, softmax
from ..nn.losses import check_same_shape, check_scores


def as_temperature(T: Any) -> float:
    """T as a float from 0.001 to infinity.   Raises DTypeError, RangeError."""
    return math.inf if isinstance(T, float) and math.isinf(T) and T > 0 else as_number(T, "T", 1e-3)


def soften(z: np.ndarray, T: float = 1.0) -> np.ndarray:
    """q_c = exp(z_c / T) / Σ exp(z / T)      z, q (N, C);   T = math.inf gives 1 / C

    Raises ShapeError, RangeError.
    """
    check_scores(z)
    return softmax(z / as_temperature(T))


def soft(T: float, *, reverse: bool = False) -> Loss:
    """E = T²/N Σ_n KL(p_n ‖ q_n),   dz = T (q - p) / N      target: the teacher's logits v (N, C)

    KL(p ‖ q) = Σ_c p_c (log p_c - log q_c) asks for some probability wherever the teacher has some. reverse:
    KL(q ‖ p), which asks for none where the teacher has none; dz_c = T q_c (log q_c - log p_c - KL(q ‖ p)) / N.
    Raises RangeError; the loss ShapeError.
    """
    T = as_temperature(T)

    @np.errstate(under="ignore")  # a probability may round to zero
    def loss(z: np.ndarray, v: np.ndarray) -> tuple[float, np.ndarray]:
        check_scores(z)
        check_same_shape(z, v)
        log_p, log_q = log_softmax(v.astype(z.dtype) / T), log_softmax(z / T)
        p, q, gap = np.exp(log_p), np.exp(log_q), log_q - log_p
        if reverse:
            kl = (q * gap).sum(1, keepdims=True)
            dz = q * (gap - kl)
        else:
            kl, dz = -(p * gap).sum(1), q - p
        return float(T * T * kl.mean()), dz * z.dtype.type(T / len(z))

    return match_logits if math.isinf(T) else named(loss, f"soft, T = {T:g}, {'reverse' if reverse else 'forward'}")


def match_logits(z: np.ndarray, v: np.ndarray) -> tuple[float, np.ndarray]:
    """E = 1/(2 C N) Σ_n Σ_c (z̃ - ṽ)²,   dz = (z̃ - ṽ) / (C N)      z, v (N, C)   z̃ = z - its mean over the classes

    What `soft` tends to as T → ∞, in both directions. Ba & Caruana 2014, "Do Deep Nets Really Need to be Deep?",
    section 2, match the logits themselves.   Raises ShapeError.
    """
    N, C = check_scores(z)
    check_same_shape(z, v)
    d = z - v.astype(z.dtype)
    d -= d.mean(1, keepdims=True)
    return float((d * d).sum() / (2 * C * N)), d / z.dtype.type(C * N)


def distill(T: float, alpha: float = 0.5, *, reverse: bool = False) -> Loss:
    """E = (1 - α) CE(t, softmax(z)) + α T² KL(p ‖ q)      target: [t | v] (N, 2 C), labels beside teacher's logits

    t: labels as distributions (targets.one_hot, or smoothed). Their part has temperature 1. α: the teacher's share.
    Raises RangeError, DTypeError; the loss ShapeError.
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
                         f"side. Hint: numpy.hstack.")
    return target[:, :left], target[:, left:]


def named(loss: Any, name: str) -> Loss:
    """The loss under a name that tells its settings, by which a checkpoint knows the run it belongs to."""
    loss.__name__ = name
    return loss  # type: ignore[no-any-return]


def name_of(loss: Loss) -> str:
    """The name by which a checkpoint knows a loss."""
    return getattr(loss, "__name__", type(loss).__name__)
