"""Losses and penalties.

A loss is a function (outputs, target) → (value, d_outputs): the mean over the samples, and its gradient. Sums of losses
are therefore sums of pairs. A penalty is a function over parameters that adds its gradient to theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..inputs import as_labels, as_number
from .parameter import Parameter

Loss = Callable[[Any, Any], tuple[float, Any]]


@np.errstate(under="ignore")  # a probability may round to zero
def softmax(z: np.ndarray) -> np.ndarray:
    """p_c = exp(z_c) / Σ exp(z)      z, p (N, C)"""
    p: np.ndarray = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return p


@np.errstate(under="ignore")  # a probability may round to zero
def log_softmax(z: np.ndarray) -> np.ndarray:
    """log p_c = z_c - log Σ exp(z)      z (N, C); no logarithm of a rounded zero"""
    z = z - z.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True))


@np.errstate(under="ignore", divide="ignore", over="ignore")  # a probability may round to zero
def cross_entropy(z: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """E = -1/N Σ_n Σ_c t_nc log softmax(z_n)_c,   dz = (softmax(z) Σ_c t_nc - t) / N      z (N, C)

    target: labels (N,), integers, or distributions t (N, C).   Raises LabelError, DTypeError, ShapeError.
    """
    N, C = check_scores(z)
    target = np.asarray(target)
    if target.dtype.kind == "f" and target.ndim == 2:
        check_same_shape(z, target)
        dz = softmax(z) * target.sum(1, keepdims=True) - target
        return float(-(target * log_softmax(z)).sum() / N), dz / N
    answers = np.arange(N), as_labels(target, N, C)
    dz = np.exp(z - z.max(1, keepdims=True))
    total = dz.sum(1)
    value = np.log(total / dz[answers]).sum()
    if not math.isfinite(value):  # a probability of zero in this precision: take the logarithm before rounding
        value = -log_softmax(z)[answers].sum()
    dz /= total[:, None]
    dz[answers] -= 1
    dz /= N
    return float(value / N), dz


def mean_squared_error(y: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """E = 1/N Σ_n Σ_c (y_nc - t_nc)²,   dy = 2 (y - t) / N      y, t (N, C): summed over outputs, mean over samples"""
    check_same_shape(y, target)
    d = y - target
    return float((d * d).sum() / len(y)), d * y.dtype.type(2 / len(y))


def squared_hinge(z: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """E = 1/N Σ_n Σ_c max(0, 1 - s_nc z_nc)²,   s = +1 for the right class, else -1      z (N, C)   labels (N,)

    (Courbariaux et al. 2015, section 3.1, after Tang 2013).
    """
    N, C = check_scores(z)
    s = np.full(z.shape, -1, z.dtype)
    s[np.arange(N), as_labels(labels, N, C)] = 1
    gap = np.maximum(1 - s * z, 0)
    return float((gap * gap).sum() / N), s * gap * z.dtype.type(-2 / N)


def check_scores(z: np.ndarray) -> tuple[int, int]:
    """The shape (N, C) of the outputs, at least 1 sample.   Raises ShapeError."""
    if z.ndim != 2 or len(z) == 0:
        raise ShapeError(f"the outputs have shape {z.shape}; allowed: (N, C), at least 1 sample. Hint: Flatten() and "
                         f"Linear come last.")
    return z.shape


def check_same_shape(y: np.ndarray, target: np.ndarray) -> None:
    if y.shape != target.shape or len(y) == 0:
        raise ShapeError(f"the target has shape {target.shape} for outputs of shape {y.shape}; allowed: equal shapes, "
                         f"at least 1 sample.")


def l1(parameters: Iterable[Parameter], strength: float) -> float:
    """λ Σ |x|,   dx += λ sign x      over the trained numbers x of the parameters"""
    strength, total = as_number(strength, "strength", 0), 0.0
    for p in parameters:
        total += np.abs(p.data).sum()
        p.accumulate(p.data.dtype.type(strength) * np.sign(p.data))
    return strength * total


def l2(parameters: Iterable[Parameter], strength: float) -> float:
    """λ/2 Σ x²,   dx += λ x      over the trained numbers x of the parameters"""
    strength, total = as_number(strength, "strength", 0), 0.0
    for p in parameters:
        total += np.square(p.data).sum()
        p.accumulate(p.data.dtype.type(strength) * p.data)
    return strength * total / 2
