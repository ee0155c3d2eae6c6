"""Lecture 13: which rank? By count, by energy, by what it costs.

    energy     Σ_{i≤r} s_i² / Σ s_i²      the share that rank r keeps of ‖W‖², or of the outputs' variance
    cost       r (M + N) against M N      two layers are cheaper below r = M N / (M + N), half of M where M = N

A convolution counts as the matrix that is factored (low_rank.py): r times the sum of its sides, in either way.
Not here: how the ranks of several layers are best shared out, given how much each one's error costs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..inputs import as_array, as_choice, as_fraction, as_integer, check_finite
from ..nn import Conv2d, Layer, Linear, to_grid
from .low_rank import components, matrix
from .moments import Moments, is_plain

FINE = 2.0**-40  # coarser than the rounding of a sum, finer than any threshold


def spectrum(W: np.ndarray, covariance: np.ndarray | None = None) -> np.ndarray:
    """s (min(M, N),), largest first: the singular values of W; with K the roots of W K Wᵀ's eigenvalues"""
    return components(W, covariance)[1]


def energy(s: np.ndarray) -> np.ndarray:
    """What ranks 1, 2, … keep: Σ_{i≤r} s_i² / Σ s_i²      s (q,)"""
    return 1 - lost(s)


def lost(s: np.ndarray) -> np.ndarray:
    """What ranks 1, 2, … leave out, the squared relative error: Σ_{i>r} s_i² / Σ s_i²      s (q,)"""
    with np.errstate(over="ignore"):
        squares = as_array(s, "s", (None,)) ** 2
    check_finite(squares, "s²")
    tails = np.append(np.cumsum(squares[::-1])[::-1], 0)  # from the small ones up
    total = tails[0] if tails[0] > 0 else 1
    return to_grid(tails[1:] / total, FINE)


def rank_for_energy(s: np.ndarray, share: float) -> int:
    """The least rank ≥ 1 that keeps that share of Σ s_i²; 1.0 asks for all but rounding.   Raises RangeError."""
    allowed = to_grid(np.array(1 - as_fraction(share, "share")), FINE)
    return int(np.argmax(lost(s) <= allowed)) + 1


def cost(M: int, N: int, rank: int) -> int:
    """r (M + N), the weights of both factors, without biases"""
    return as_integer(rank, "rank", 0) * (as_integer(M, "M", 1) + as_integer(N, "N", 1))


def break_even(M: int, N: int) -> int:
    """The largest rank with r (M + N) < M N; 0 where none is cheaper"""
    return (as_integer(M, "M", 1) * as_integer(N, "N", 1) - 1) // (M + N)


def ranks_by_energy(model: Layer, share: float, moments: Mapping[str, Moments] | None = None, *,
                    conv: str = "channels") -> dict[str, int]:
    """Path → `rank_for_energy`, for each Linear and Conv2d that becomes smaller by it.   Raises RangeError."""
    ranks = {}
    for path, layer in model.walk():
        if isinstance(layer, Linear | Conv2d) and is_plain(layer):
            W = matrix(layer, conv)
            weighted = None if moments is None else moments[as_choice(path, "path", moments)].covariance
            rank = rank_for_energy(spectrum(W, weighted), share)
            if rank <= break_even(*W.shape):
                ranks[path] = rank
    return ranks
