"""Lecture 10: k-means in one dimension. Which k numbers stand best for many?

    Σ (valuesᵢ − centroids[codesᵢ])² as small as possible        centroids (K,)   codes: the shape of the values

On a line, a cluster is a run of the sorted values. So K − 1 borders say which value belongs where, and the mean of a
run is a difference of prefix sums: a step takes microseconds, however many values there are.

Source: Han, Mao and Dally, "Deep Compression", ICLR 2016, sections 3.1 and 3.2. The optimum by dynamic programming:
Wang and Song, "Ckmeans.1d.dp", The R Journal 3(2), 2011; by divide and conquer: Grønlund et al., "Fast exact k-means,
k-medians and Bregman divergence clustering in 1D", arXiv:1701.07204, 2017.

Not here: vectors, weighted values, the choice of k.
"""

from typing import NamedTuple

import numpy as np

from ..errors import RangeError, ShapeError
from ..inputs import as_array, as_choice, as_generator, as_integer, as_labels, as_number
from ..nn.grid import to_grid

INITIALIZATIONS = ("linear", "density", "random", "optimal")
CELLS = 2**16  # more values than this are gathered into so many cells: that is faster than sorting
GROUPS = 2**13  # the optimum is exact for up to so many distinct values, or 128 for each cluster; more are grouped


def inertia(values: np.ndarray, centroids: np.ndarray, codes: np.ndarray) -> float:
    """Σ (values − centroids[codes])²      Source: equation (2).

    Raises ShapeError, LabelError (a code without centroid), DTypeError, NonFiniteError.
    """
    values, centroids = as_array(values, "values", dtype=np.float64).ravel(), as_array(centroids, "centroids", (None,))
    error = values - centroids[as_labels(np.ravel(codes), len(values), len(centroids), "codes")]
    return float(np.sum(error * error))


def kmeans(values: np.ndarray, k: int, init: str = "linear", *, iterations: int = 300,
           rng: int | np.random.Generator = 0, grid: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """(centroids, codes), values ≈ centroids[codes], by Lloyd's algorithm from `initial_centroids`.

    It ends when nothing moves, or after `iterations` steps. The centroids ascend, in the dtype of the values; `grid`
    rounds them to its multiples. A code names the nearest centroid, of two the lower, in uint8, or uint16 if K > 256.
    K < k if there are fewer distinct values (−0 counts as 0), or if rounding makes centroids equal.

    Raises ShapeError (no values), RangeError (k outside 1 .. 65,536, values beyond 1e100), DTypeError, NonFiniteError.
    """
    values, k = as_array(values, "values"), as_integer(k, "k", 1, 2**16)
    iterations, grid = as_integer(iterations, "iterations", 0), as_number(grid, "grid", 0)
    line = _gather(values, k)
    centroids = _initial(line, k, init, rng)
    for _ in range(iterations):
        previous, centroids = centroids, _lloyd_step(line, centroids)
        if np.array_equal(centroids, previous):
            break
    centroids = np.unique((to_grid(centroids, grid) + 0.0).astype(values.dtype))  # −0 + 0 = 0
    return centroids, _nearest(values, centroids)


def initial_centroids(values: np.ndarray, k: int, init: str = "linear", *,
                      rng: int | np.random.Generator = 0) -> np.ndarray:
    """Where k-means starts: k ascending centroids, or the distinct values if there are no more than k.

    linear    evenly spaced from the smallest value to the largest
    density   evenly spaced on the y-axis of the cumulative distribution: the values of rank n/2k, 3n/2k, 5n/2k, …
    random    k of the values, drawn by `rng` (Forgy)
    optimal   the best of all, by dynamic programming (not in the paper); of more than 8,192 and 128 k distinct values
              so many groups are made, between which borders may lie

    Raises what `kmeans` raises. Source: section 3.2.
    """
    return _initial(_gather(as_array(values, "values"), as_integer(k, "k", 1, 2**16)), k, init, rng)


class _Line(NamedTuple):
    points: np.ndarray  # (p,) ascending
    counts: np.ndarray  # (p + 1,) how many values lie at the points before this one: counts[0] = 0, counts[p] = n
    totals: np.ndarray  # (p + 1,) what these values add up to


def _gather(values: np.ndarray, k: int) -> _Line:
    """The distinct values in order; or, for many values, the means of narrow cells of equal width.

    The cells must be fine enough: the fullest holds at most 1/64 of a cluster of average size.
    """
    values = values.ravel().astype(np.float64)
    if not values.size:
        raise ShapeError("values is empty; allowed: at least 1 value.")
    low, high = values.min(), values.max()
    as_number(max(-low, high), "the largest absolute value", high=1e100)  # squares stay finite
    if values.size > CELLS and low < high:
        cell = ((values - low) / (high - low) * (CELLS - 1)).astype(np.intp)
        count = np.bincount(cell)
        if 64 * k * count.max() <= values.size:
            used = count > 0
            count, total = count[used], np.bincount(cell, values)[used]
            return _Line(total / count, _prefix(count), _prefix(total))
    points, count = np.unique(values, return_counts=True)
    return _Line(points, _prefix(count), _prefix(points * count))


def _prefix(x: np.ndarray) -> np.ndarray:
    return np.concatenate((np.zeros(1, x.dtype), np.cumsum(x)))


def _means(line: _Line, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    mean = (line.totals[stop] - line.totals[start]) / (line.counts[stop] - line.counts[start])
    return np.clip(mean, line.points[start], line.points[stop - 1])  # rounding must not lead a mean out of its run


def _initial(line: _Line, k: int, init: str, rng: int | np.random.Generator) -> np.ndarray:
    init, n = as_choice(init, "init", INITIALIZATIONS), int(line.counts[-1])
    if k >= len(line.points):
        return line.points
    if init == "linear":
        return np.linspace(line.points[0], line.points[-1], k)
    if init == "optimal":
        return _optimal(line, k)
    if init == "density":
        ranks = (2 * np.arange(k) + 1) * n // (2 * k)
    else:
        ranks = np.sort(as_generator(rng).permutation(n)[:k])
    return line.points[np.searchsorted(line.counts, ranks, side="right") - 1]


def _lloyd_step(line: _Line, centroids: np.ndarray) -> np.ndarray:
    """Every point to its nearest centroid, then every centroid to the mean of its points.

    If m centroids have no point, they move to those m ends of the runs that are farthest from the means of their runs
    (of two the lower).
    """
    cuts = np.searchsorted(line.points, _borders(centroids), side="right")
    bounds = np.unique(np.concatenate(([0], cuts, [len(line.points)])))  # an empty run vanishes here
    start, stop = bounds[:-1], bounds[1:]
    means, empty = _means(line, start, stop), len(centroids) - len(start)
    if not empty:
        return means
    ends = np.column_stack((line.points[start], line.points[stop - 1])).ravel()
    farthest = np.argsort(-np.abs(ends - np.repeat(means, 2)), kind="stable")[:empty]
    return np.sort(np.concatenate((means, ends[farthest])))


def _borders(centroids: np.ndarray) -> np.ndarray:
    """(K − 1,): the largest number that belongs to each centroid but the last, halfway to the next one."""
    low, high = centroids[:-1].astype(np.float64), centroids[1:].astype(np.float64)
    return np.minimum((low + high) / 2, np.nextafter(high, -np.inf))  # between neighbours, halfway can round to high


def _nearest(values: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The code of a value is the number of borders below it."""
    borders, dtype = _borders(centroids), np.uint8 if len(centroids) <= 256 else np.uint16
    if len(borders) > 64:
        return np.searchsorted(borders, values).astype(dtype)
    codes = np.zeros(values.shape, dtype)
    for border in borders:  # faster than the search, while they are few
        codes += values > border
    return codes


def _optimal(line: _Line, k: int) -> np.ndarray:
    """The k centroids of least inertia.

    Inertia within clusters + inertia between them = a constant, so the sum over clusters of (sum of values)² / count is
    maximised: best[j] is the most that the points before edges[j] reach, with one more cluster in every round.
    """
    points, counts, totals = line
    edges = np.arange(len(points) + 1)
    if len(points) > GROUPS and k > GROUPS // 2:
        raise RangeError(f"k is {k}; allowed with init='optimal': ≤ {GROUPS // 2}. Hint: init='density'.")
    if len(points) > (groups := max(GROUPS, 128 * k)):
        steps = np.linspace(0, 1, groups // 2 + 1)  # half of the groups as the clusters will lie, half equally full
        edges = np.union1d(np.searchsorted(_companded(line), steps), np.searchsorted(counts / counts[-1], steps))
    n, s = counts[edges], (totals - points[len(points) // 2] * counts)[edges]  # from the middle, so that little cancels
    best, cuts = np.append(0.0, s[1:] * s[1:] / n[1:]), []
    for _ in range(k - 1):
        best, cut = _add_cluster(best, n, s)
        cuts.append(cut)
    ends = [len(edges) - 1]
    for cut in reversed(cuts):
        ends.append(cut[ends[-1]])
    bounds = edges[np.unique([0, *ends])]
    return _means(line, bounds[:-1], bounds[1:])


def _companded(line: _Line) -> np.ndarray:
    """(p + 1,) from 0 to 1: how many of many clusters would lie before each point. Their density goes with f^(1/3).

    A point with its share of the gaps beside it has width h and f = count / h: it counts f^(1/3) h = (count h²)^(1/3).
    Source: Panter and Dite 1951, "Quantization distortion in pulse-count modulation with nonuniform spacing of levels".
    """
    gaps = np.diff(line.points, prepend=line.points[:1], append=line.points[-1:])
    total = _prefix(np.cbrt(np.diff(line.counts) * (gaps[:-1] + gaps[1:]) ** 2))
    return total / total[-1]


def _add_cluster(best: np.ndarray, n: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each j > 0, the largest best[i] + (s[j] − s[i])² / (n[j] − n[i]) over i < j, and the first i that reaches it.

    This i never falls as j grows, so those of the j at even multiples of a stride enclose those at odd multiples. The
    stride is halved down to 1; the candidates i of all j of a stride stand in one array, one stretch after the other.
    """
    new, cut = np.zeros(len(best)), np.zeros(2 * len(best), dtype=np.intp)
    cut[len(best) :] = len(best)  # beyond the last j: no bound
    stride = 2 ** ((len(best) - 1).bit_length() - 1)
    while stride:
        j = np.arange(stride, len(best), 2 * stride)
        low, high = cut[j - stride], np.minimum(cut[j + stride], j - 1)
        length = high - low + 1
        start = np.cumsum(length) - length
        i = np.arange(length.sum()) + np.repeat(low - start, length)
        step = np.repeat(s[j], length) - s[i]
        value = best[i] + step * step / (np.repeat(n[j], length) - n[i])
        new[j] = np.maximum.reduceat(value, start)
        hits = np.flatnonzero(value == np.repeat(new[j], length))
        cut[j] = i[hits[np.searchsorted(hits, start)]]
        stride //= 2
    return new, cut[: len(best)]
