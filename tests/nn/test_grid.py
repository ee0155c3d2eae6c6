"""Rounding to the grid."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minicompress.nn import GRID, to_grid
from minicompress.nn.grid import few_bits


@given(st.lists(st.floats(-1e6, 1e6), max_size=9).map(np.array), st.sampled_from([GRID, 2.0**-16, 0.5]))
def test_the_nearest_multiple(x: np.ndarray, grid: float) -> None:
    rounded = to_grid(x, grid)
    assert (np.abs(rounded - x) <= grid / 2).all()
    assert (rounded / grid == np.round(rounded / grid)).all()
    np.testing.assert_array_equal(to_grid(rounded, grid), rounded)


def test_a_half_goes_to_the_even_neighbour() -> None:
    np.testing.assert_array_equal(to_grid(np.array([-1.5, -0.5, 0.5, 1.5, 2.5]), 1.0), [-2, 0, 0, 2, 2])


def test_grid_zero_changes_nothing() -> None:
    x = np.array([0.1, np.pi])
    assert to_grid(x, 0) is x


def test_the_input_and_its_dtype_stay() -> None:
    x = np.array([0.3, 0.7], np.float32)
    assert to_grid(x, GRID).dtype == np.float32
    np.testing.assert_array_equal(x, np.array([0.3, 0.7], np.float32))


def test_few_bits() -> None:
    x = [0.0, 1.0, 33.0, 34.9, 0.1, 2.0**-30, -33.0]
    assert [few_bits(each) for each in x] == [0, 1, 32, 34, 0.1015625, 2.0**-30, -32]
    np.testing.assert_array_equal(few_bits(np.array(x)), [few_bits(each) for each in x])
    assert few_bits(1 / 3, 8) == 171 / 512
