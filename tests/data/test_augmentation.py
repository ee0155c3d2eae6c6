import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress.data import jitter, shifts
from minicompress.errors import DTypeError, NonFiniteError, RangeError, ShapeError

MOVES = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]


def moved(x, down, right):
    """The plain definition, pixel by pixel."""
    out = np.zeros_like(x)
    height, width = x.shape[2:]
    for h in range(height):
        for w in range(width):
            if 0 <= h - down < height and 0 <= w - right < width:
                out[:, :, h, w] = x[:, :, h - down, w - right]
    return out


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=40)
def test_shifts_are_the_nine_moves_in_order(n, channels, height, width, seed):
    x = np.random.default_rng(seed).random((n, channels, height, width))
    np.testing.assert_array_equal(shifts(x), np.concatenate([moved(x, *move) for move in MOVES]))


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=40)
def test_jitter_moves_every_image_by_one_of_the_nine_moves_and_all_its_channels_together(n, c, height, width, seed):
    x = np.random.default_rng(seed).random((n, c, height, width))
    options = shifts(x).reshape(9, n, c, height, width)
    assert (jitter(x, rng=seed) == options).all(axis=(2, 3, 4)).any(axis=0).all()


def test_all_nine_moves_are_equally_likely():
    x = np.zeros((9000, 1, 3, 3))
    x[:, 0, 1, 1] = 1
    landed = jitter(x, rng=0).sum(axis=0).ravel()
    assert landed.sum() == 9000
    assert landed.min() > 900 and landed.max() < 1100


def test_a_seed_stands_for_the_same_moves_in_every_release():
    x = np.random.default_rng(0).random((30, 16))
    down, right = np.random.default_rng(7).integers(0, 3, size=(2, 30))
    np.testing.assert_array_equal(jitter(x, rng=7), shifts(x).reshape(9, 30, 16)[3 * down + right, np.arange(30)])


def test_flat_and_square_images_move_alike():
    x = np.random.default_rng(0).random((20, 1, 8, 8))
    flat = x.reshape(20, 64)
    np.testing.assert_array_equal(jitter(flat, rng=3), jitter(x, rng=3).reshape(20, 64))
    np.testing.assert_array_equal(shifts(flat), shifts(x).reshape(180, 64))


def test_labels_of_shifts_are_tiled():
    x = np.eye(9)[:2] * [[1], [2]]
    np.testing.assert_array_equal(shifts(x).max(axis=1)[4 * 2:5 * 2], [1, 2])


def test_a_seed_repeats_and_a_generator_goes_on():
    x = np.random.default_rng(0).random((50, 16))
    generator = np.random.default_rng(1)
    np.testing.assert_array_equal(jitter(x, rng=1), first := jitter(x, rng=generator))
    assert (jitter(x, rng=generator) != first).any()


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray, lambda x: np.repeat(x, 2, axis=0)[::2]])
def test_the_input_is_not_changed_and_not_shared(layout):
    x = layout(np.random.default_rng(0).random((5, 9)))
    x.flags.writeable = False
    before = x.copy()
    for result in (jitter(x, rng=0), shifts(x)):
        assert not np.shares_memory(result, x)
        result[:] = -1
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("given, kept", [(np.float32, np.float32), (np.float64, np.float64), (np.uint8, np.float64)])
def test_floats_keep_their_dtype_and_pixels_become_floats(given, kept):
    x = np.full((2, 9), 200, given)
    assert jitter(x, rng=0).dtype == shifts(x).dtype == kept
    assert shifts(x).max() == 200


@pytest.mark.parametrize("shape", [(2, 28, 28), (2, 63), (64,), (0, 64), (0, 1, 8, 8), (2, 0), (2, 1, 0, 8), ()])
def test_other_shapes_are_refused(shape):
    for call in (shifts, lambda x: jitter(x, rng=0)):
        with pytest.raises(ShapeError, match=r"allowed: \(n, side \* side\) or \(n, C, H, W\)"):
            call(np.zeros(shape))


def test_other_bad_input():
    with pytest.raises(NonFiniteError):
        shifts(np.full((1, 4), np.nan))
    with pytest.raises(DTypeError):
        jitter(np.array([["a"] * 4]), rng=0)
    with pytest.raises(RangeError):
        jitter(np.zeros((1, 4)), rng=-1)
    with pytest.raises(TypeError, match="rng"):
        jitter(np.zeros((1, 4)))
