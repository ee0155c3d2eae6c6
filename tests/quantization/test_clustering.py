"""k-means on a line: never worse from step to step, ties and empty clusters by rule. The optimum: test_optimum.py."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress.errors import DTypeError, LabelError, NonFiniteError, RangeError, ShapeError
from minicompress.quantization import clustering
from minicompress.quantization.clustering import INITIALIZATIONS, inertia, initial_centroids, kmeans

numbers = st.lists(st.floats(-100, 100), min_size=1, max_size=40).map(np.array)
few = st.integers(1, 8)
inits = st.sampled_from(INITIALIZATIONS)
quickly = settings(max_examples=60)


def noise(values: np.ndarray) -> float:
    """What rounding may change in an inertia."""
    return 1e-12 * (1 + float(np.sum(np.square(values))))


@quickly
@given(numbers, few, inits)
def test_no_step_makes_the_inertia_larger(values: np.ndarray, k: int, init: str) -> None:
    steps = [inertia(values, *kmeans(values, k, init, iterations=i)) for i in range(6)]
    assert all(after <= before + noise(values) for before, after in pairwise(steps))


@quickly
@given(numbers, few, inits)
def test_codes_name_the_nearest_centroid(values: np.ndarray, k: int, init: str) -> None:
    centroids, codes = kmeans(values, k, init)
    distance = np.abs(values[:, None] - centroids)
    np.testing.assert_allclose(distance[np.arange(len(values)), codes], distance.min(axis=1), atol=1e-13)
    assert (np.diff(centroids) > 0).all() and len(centroids) <= k


def test_a_value_halfway_belongs_to_the_lower_centroid() -> None:
    for copies in (1, 100):  # few borders are compared, many are searched
        values = np.arange(3 * copies, dtype=float)
        centroids, codes = kmeans(np.append(values, values[:-1] + 0.5), 3 * copies, "linear", iterations=0)
        np.testing.assert_allclose(centroids, values)
        assert codes.tolist() == [*range(3 * copies), *range(3 * copies - 1)]
    assert kmeans([0, 1, 2], 2)[0].tolist() == [0.5, 2]


@quickly
@given(numbers, inits, st.integers(0, 3))
def test_as_many_centroids_as_distinct_values_lose_nothing(values: np.ndarray, init: str, extra: int) -> None:
    centroids, codes = kmeans(values, len(np.unique(values)) + extra, init)
    assert (centroids[codes] == values).all() and len(centroids) == len(np.unique(values))


def test_neighbouring_floats_stay_apart() -> None:
    values = np.array([1 - 2.0**-53, 1, 1 + 2.0**-52, 1 + 2.0**-51, 1 + 3 * 2.0**-52])
    centroids, codes = kmeans(values, 5)
    assert (centroids[codes] == values).all()


@quickly
@given(numbers, few, inits, st.randoms(use_true_random=False))
def test_the_order_of_the_values_does_not_matter(values: np.ndarray, k: int, init: str, random: object) -> None:
    order = np.array(random.sample(range(len(values)), len(values)))  # type: ignore[attr-defined]
    centroids, codes = kmeans(values, k, init)
    shuffled_centroids, shuffled_codes = kmeans(values[order], k, init)
    assert (shuffled_centroids == centroids).all() and (shuffled_codes == codes[order]).all()


def test_initializations_are_those_of_the_paper() -> None:
    values = np.array([0, 1, 1, 1, 2, 2, 3, 10], dtype=float)
    assert initial_centroids(values, 3).tolist() == [0, 5, 10]
    assert initial_centroids(values, 4, "density").tolist() == [1, 1, 2, 10]
    drawn = [initial_centroids(np.arange(50.0), 5, "random", rng=seed) for seed in range(20)]
    assert all(len(set(d)) == 5 and (np.diff(d) > 0).all() for d in drawn) and len({tuple(d) for d in drawn}) > 15
    assert (initial_centroids(values, 3, "random", rng=7) == initial_centroids(values, 3, "random", rng=7)).all()


def test_an_empty_cluster_takes_the_value_farthest_from_its_centroid() -> None:
    values = np.array([0, 1, 2, 10, 15, 100], dtype=float)  # linear: 0 33⅓ 66⅔ 100, where 33⅓ and 66⅔ have no values
    centroids, _ = kmeans(values, 4, iterations=1)
    assert centroids.tolist() == [0, 5.6, 15, 100]  # the mean of 0 … 15 is 5.6; then come 15 and 0
    assert kmeans(values, 4)[0].tolist() == [1, 10, 15, 100]


@pytest.mark.parametrize("outlier", [1e6, 1e99])
def test_many_values_with_outliers_or_repetitions_are_sorted(outlier: float) -> None:
    values = np.append(np.random.default_rng(0).integers(-8, 8, clustering.CELLS + 1) / 7, outlier)
    centroids, codes = kmeans(values, 17)
    assert (centroids[codes] == values).all()


def test_shapes_dtypes_and_layouts() -> None:
    values = np.random.default_rng(0).normal(size=(40, 30))
    centroids, codes = kmeans(values, 7)
    assert (centroids.dtype, codes.dtype, codes.shape) == (np.float64, np.uint8, (40, 30))
    assert kmeans(values.astype(np.float32), 7)[0].dtype == np.float32
    assert kmeans(values, 256)[1].dtype == np.uint8 and kmeans(values, 257)[1].dtype == np.uint16
    for same in (np.asfortranarray(values), np.repeat(values, 2, axis=1)[:, ::2], values.astype(">f8")):
        assert (kmeans(same, 7)[0] == centroids).all() and (kmeans(same, 7)[1] == codes).all()
    before = values.copy()
    values.flags.writeable = False
    kmeans(values, 7)
    assert (values == before).all()


def test_the_grid_rounds_centroids_before_codes_are_given() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    centroids, codes = kmeans(values, 40, grid=0.25)
    assert (centroids % 0.25 == 0).all() and len(centroids) < 40
    assert (np.abs(values[:, None] - centroids).argmin(axis=1) == codes).all()
    assert not np.signbit(kmeans([-0.01, -0.02], 1, grid=0.25)[0]).any()


def test_equal_values_and_signed_zeros_are_one_centroid() -> None:
    for values in (np.full(5, 0.1), np.zeros((2, 3)), np.array([0.0, -0.0])):
        centroids, codes = kmeans(values, 4)
        assert centroids.tolist() == [values.flat[0]] and not codes.any() and not np.signbit(centroids).any()
    assert kmeans([1.0, 3.0], 1)[0].tolist() == [2]


@pytest.mark.parametrize(("values", "k", "options", "error"), [
    ([1.0, 2.0], 0, {}, RangeError),
    ([1.0, 2.0], 65_537, {}, RangeError),
    ([1.0, 2.0], 2.0, {}, DTypeError),
    ([], 2, {}, ShapeError),
    ([1.0, np.nan], 2, {}, NonFiniteError),
    ([1.0, 1e200], 1, {}, RangeError),
    (np.array([1j]), 1, {}, DTypeError),
    ([1.0, 2.0], 1, {"init": "liner"}, RangeError),
    ([1.0, 2.0], 1, {"init": "random", "rng": -1}, RangeError),
    ([1.0, 2.0], 1, {"iterations": -1}, RangeError),
    ([1.0, 2.0], 1, {"grid": -1}, RangeError),
    (np.arange(10_000.0), 5000, {"init": "optimal"}, RangeError),
])
def test_bad_input(values: object, k: object, options: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        kmeans(values, k, **options)  # type: ignore[arg-type]


def test_inertia_wants_codes_that_fit() -> None:
    assert inertia(np.array([[1.0, 2.0]]), np.array([0.0, 4.0]), np.array([[0, 1]])) == 5
    for codes, error in (([0], ShapeError), ([0, 2], LabelError), ([0.0, 1.0], DTypeError)):
        with pytest.raises(error):
            inertia(np.array([1.0, 2.0]), np.array([0.0, 4.0]), np.array(codes))
    with pytest.raises(NonFiniteError):
        inertia(np.array([1.0]), np.array([np.nan]), np.array([0]))
