"""The exact optimum of k-means on a line: as good as all partitions, and near enough where values are grouped."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress.quantization import clustering
from minicompress.quantization.clustering import INITIALIZATIONS, inertia, kmeans

quickly = settings(max_examples=60)


def noise(values: np.ndarray) -> float:
    """What rounding may change in an inertia."""
    return 1e-12 * (1 + float(np.sum(np.square(values))))


def least_inertia(values: np.ndarray, k: int) -> float:
    """By trying all ways to cut the sorted values into at most k runs."""
    ordered, n = np.sort(values), len(values)
    ways = (cuts for m in range(min(k, n)) for cuts in combinations(range(1, n), m))
    return min(sum(float(np.var(ordered[a:b])) * (b - a) for a, b in pairwise((0, *cuts, n))) for cuts in ways)


@quickly
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=9).map(np.array), st.integers(1, 4))
def test_the_optimum_is_the_best_of_all_partitions(values: np.ndarray, k: int) -> None:
    for iterations in (0, 300):
        found = inertia(values, *kmeans(values, k, "optimal", iterations=iterations))
        assert found == pytest.approx(least_inertia(values, k), abs=noise(values))


def least_by_table(values: np.ndarray, k: int) -> float:
    """The textbook's dynamic programming: least[j] = the least inertia of the j smallest values, in O(k n²)."""
    x = np.append(0, np.cumsum(np.sort(values)))
    xx, i = np.append(0, np.cumsum(np.sort(values) ** 2)), np.arange(len(values) + 1)
    run = np.where(i[:, None] < i, xx - xx[:, None] - (x - x[:, None]) ** 2 / np.maximum(i - i[:, None], 1), np.inf)
    least = run[0]
    for _ in range(k - 1):
        least = np.minimum(least, (least[:, None] + run)[1:].min(0))
    return float(least[-1])


@pytest.mark.parametrize("shape", ["normal", "laplace", "standard_cauchy"])
def test_the_optimum_is_that_of_the_textbook(shape: str) -> None:
    for n, k in ((50, 3), (400, 16), (400, 64)):
        values = getattr(np.random.default_rng(n), shape)(size=n)
        found = inertia(values, *kmeans(values, k, "optimal", iterations=0))
        assert found == pytest.approx(least_by_table(values, k), rel=1e-8)


@pytest.mark.parametrize("shape", ["normal", "laplace", "standard_cauchy"])
@pytest.mark.parametrize("k", [4, 64])
def test_groups_of_values_cost_less_than_a_ten_thousandth(monkeypatch: pytest.MonkeyPatch, shape: str, k: int) -> None:
    values = getattr(np.random.default_rng(1), shape)(size=20_000)
    grouped = inertia(values, *kmeans(values, k, "optimal"))
    monkeypatch.setattr(clustering, "GROUPS", values.size)
    best = inertia(values, *kmeans(values, k, "optimal"))
    assert best * (1 - 1e-12) <= grouped <= best * (1 + 1e-4)


def test_many_normal_weights_reach_the_optimum_from_linear() -> None:
    """As the benchmark with a million of them, 4.6e-6 above; for few weights or many centroids it is not so."""
    values = np.random.default_rng(0).normal(size=200_000)
    best = inertia(values, *kmeans(values, 16, "optimal"))
    assert best <= inertia(values, *kmeans(values, 16)) < (1 + 1e-4) * best


@quickly
@given(st.integers(2, 300), st.integers(1, 20), st.integers(0, 99))
def test_no_initialization_beats_the_optimum(n: int, k: int, seed: int) -> None:
    values = np.random.default_rng(seed).standard_cauchy(n)
    best = inertia(values, *kmeans(values, k, "optimal"))
    assert all(best <= inertia(values, *kmeans(values, k, init)) + noise(values) for init in INITIALIZATIONS)


def test_cells_are_as_good_as_sorting(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).laplace(size=(300, 300))
    gathered = {init: kmeans(values, 16, init) for init in INITIALIZATIONS}
    assert len(clustering._gather(values, 16).points) < values.size / 2
    monkeypatch.setattr(clustering, "CELLS", values.size)
    monkeypatch.setattr(clustering, "GROUPS", values.size)
    best = inertia(values, *kmeans(values, 16, "optimal"))
    assert inertia(values, *gathered["optimal"]) == pytest.approx(best, rel=2e-5)
    for init in INITIALIZATIONS:
        assert inertia(values, *gathered[init]) == pytest.approx(inertia(values, *kmeans(values, 16, init)), rel=1e-3)


@pytest.mark.parametrize("outliers", [[50, 60], [1e6]])
def test_groups_serve_the_crowd_and_the_outliers(monkeypatch: pytest.MonkeyPatch, outliers: list[float]) -> None:
    values = np.append(np.random.default_rng(0).normal(size=2000), outliers)
    best = inertia(values, *kmeans(values, 6, "optimal"))
    monkeypatch.setattr(clustering, "GROUPS", 128)
    found = inertia(values, *kmeans(values, 6, "optimal", iterations=0))
    assert best < found < 1.01 * best
