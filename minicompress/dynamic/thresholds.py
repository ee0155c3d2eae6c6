"""Lecture 15: choosing thresholds. Which samples should leave where, if there are so many operations to spend?

    u (L, N): the uncertainty of N validation samples at every exit   →   candidates   →   a curve   →   the choice

    u = uncertainties(predict(model, x), entropy)
    points = curve(predict(model, x), labels, exit_macs(model, x), common(u))     or graded(u)
    best = within_budget(points, 20_000)                                          or cheapest(points, error)
    route(model, new, best.thresholds, measure=entropy)

Two families of candidates: one threshold for all exits (BranchyNet's choice where there is one early exit), or
thresholds that let shares ∝ qᵏ of the samples leave at exit k (Huang et al. 2018, "Multi-Scale Dense Networks",
section 4). A threshold lies midway between the uncertainties of two samples, so that rounding cannot turn it over.

Choose on validation samples. What was chosen on the training set is too optimistic: there, the network is certain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import RangeError, ShapeError
from ..inputs import as_array, as_integer, as_labels, as_number, check_finite
from .routing import ALWAYS, NEVER, Uncertainty, as_thresholds, entropy, uncertainty

Outputs = Sequence[np.ndarray]


class Point(NamedTuple):
    """Thresholds (L - 1,), and what they lead to: mean multiply-accumulates, error, the share (L,) of each exit."""

    thresholds: np.ndarray
    macs: float
    error: float
    shares: np.ndarray


def uncertainties(outputs: Outputs, measure: Uncertainty = entropy) -> np.ndarray:
    """u (L, N) = measure(z_k)      outputs (z₁, …, z_L), as `predict` gives them"""
    return as_array([uncertainty(measure, z) for z in outputs], "u", (None, None))


def leaves_at(u: np.ndarray, thresholds: float | Sequence[float] | np.ndarray) -> np.ndarray:
    """(N,): the first exit, from 0, with u_k ≤ threshold_k, else the last      u (L, N)   Raises RangeError."""
    u = as_array(u, "u", (None, None))
    limits = np.append(as_thresholds(thresholds, len(u)), np.inf)
    return np.asarray(np.argmax(u <= limits[:, None], axis=0))


def between(values: np.ndarray, count: int) -> float:
    """A threshold that `count` of the values do not exceed: midway to the next one (equal values stay together)."""
    if count <= 0 or count >= len(values):
        return NEVER if count <= 0 else ALWAYS
    ordered = np.sort(values)
    return float(ordered[count - 1] / 2 + ordered[count] / 2)


def common(u: np.ndarray, count: int = 200) -> list[np.ndarray]:
    """Candidates with one threshold for all exits, from NEVER to ALWAYS, in equal steps of rank      u (L, N)"""
    u = as_array(u, "u", (None, None))
    early, last = u[:-1].ravel(), len(u) - 1
    ranks = np.linspace(0, early.size, as_integer(count, "count", 2)).round().astype(int)
    return [np.full(last, between(early, rank)) for rank in ranks]


def power_shares(q: float, exits: int) -> np.ndarray:
    """share_k = qᵏ / Σ_j qʲ,  k = 1 … exits      q < 1: most leave early; q > 1: late.   Raises RangeError."""
    with np.errstate(over="ignore"):
        powers = as_number(q, "q", above=0) ** np.arange(as_integer(exits, "exits", 1))
    check_finite(powers, "qᵏ")
    return np.asarray(powers / powers.sum())


def for_shares(u: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Thresholds (L - 1,) that let round(share_k N) samples leave at exit k: of those still there, the most certain.

    u (L, N)   shares (L,), summing to 1   Raises ShapeError, RangeError.
    """
    u, given = as_array(u, "u", (None, None)), as_array(shares, "shares", (len(u),))
    if given.min() < 0 or abs(given.sum() - 1) > 1e-6:
        raise RangeError(f"the shares of the exits are {given.tolist()}; allowed: ≥ 0 with the sum 1.")
    N, gone, thresholds = u.shape[1], np.zeros(u.shape[1], bool), []
    for k, until in enumerate(np.rint(np.cumsum(given)[:-1] * N).astype(int)):
        thresholds.append(between(u[k, ~gone], until - gone.sum()))
        gone |= u[k] <= thresholds[-1]
    return np.array(thresholds)


def graded(u: np.ndarray, count: int = 200, most: float = 1000.0) -> list[np.ndarray]:
    """Candidates with shares ∝ qᵏ, q from 1/most to most in equal ratios      u (L, N)"""
    ratios = np.geomspace(1 / as_number(most, "most", above=1), most, as_integer(count, "count", 2))
    return [for_shares(u, power_shares(q, len(u)).tolist()) for q in ratios]


def curve(outputs: Outputs, labels: np.ndarray, macs: np.ndarray, candidates: Iterable[Sequence[float] | np.ndarray],
          measure: Uncertainty = entropy) -> list[Point]:
    """What each candidate leads to on samples whose outputs at all exits are known.   Raises ShapeError, LabelError.

    outputs: L arrays (N, C)   macs (L,): routing.exit_macs
    """
    z, costs = as_array(outputs, "outputs", (None, None, None)), as_array(macs, "macs", (len(outputs),))
    wrong = z.argmax(2) != as_labels(labels, *z.shape[1:])
    u, samples, points = uncertainties(outputs, measure), np.arange(z.shape[1]), []
    for thresholds in candidates:
        left = leaves_at(u, thresholds)
        shares = np.bincount(left, minlength=len(u)) / len(samples)
        points.append(Point(as_thresholds(thresholds, len(u)), float(shares @ costs),
                            float(wrong[left, samples].mean()), shares))
    return some(points)


def some(points: Sequence[Point]) -> list[Point]:
    """The points as a list.   Raises ShapeError where there are none."""
    if not points:
        raise ShapeError("a curve has no candidates; allowed: at least one. Hint: common(u) or graded(u).")
    return list(points)


def within_budget(points: Sequence[Point], budget: float) -> Point:
    """The point that spends most of a budget of mean multiply-accumulates; of equals the first.

    Raises RangeError where all need more.
    """
    inside = [point for point in some(points) if point.macs <= budget]
    if not inside:
        least = min(point.macs for point in points)
        raise RangeError(f"the budget is {budget:,.0f} multiply-accumulates; allowed: ≥ {least:,.0f}, the first exit.")
    return max(inside, key=lambda point: point.macs)


def cheapest(points: Sequence[Point], error: float) -> Point:
    """The point of the fewest multiply-accumulates among those with at most this error; of equals the first.

    Raises RangeError where all err more.
    """
    good = [point for point in some(points) if point.error <= error]
    if not good:
        least = min(point.error for point in points)
        raise RangeError(f"the error is to be ≤ {error:g}; allowed: ≥ {least:g}, the least of this curve.")
    return min(good, key=lambda point: point.macs)
