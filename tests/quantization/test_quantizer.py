"""The ruler: zero stays zero, nothing is off by more than half a step, and the ranges are those that were asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minicompress.errors import DTypeError, NonFiniteError, RangeError, ShapeError
from minicompress.quantization.quantizer import METHODS, Quantizer, calibrated, round_up, spanning, squares

VALUES = arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 12)), elements=st.floats(-8, 8, width=32))
KINDS = [(bits, symmetric) for bits in (1, 2, 3, 4, 8, 12, 16) for symmetric in (False, True) if bits > symmetric]


def rebuilt(x: np.ndarray, quantizer: Quantizer) -> np.ndarray:
    return quantizer.decode(quantizer.encode(x))


@settings(deadline=None, max_examples=60)
@given(VALUES, st.sampled_from(KINDS), st.booleans(), st.sampled_from(METHODS))
def test_zero_is_exact_codes_fit_and_rounding_twice_changes_nothing(
        x: np.ndarray, kind: tuple[int, bool], per_channel: bool, method: str) -> None:
    bits, symmetric = kind
    x[0, 0] = 0.0
    quantizer = calibrated(x, bits, symmetric=symmetric, per_channel=per_channel, method=method, keep=0.8)
    codes = quantizer.encode(x)
    assert codes.dtype == (np.uint8 if quantizer.top < 256 else np.uint16)
    assert codes.max() <= quantizer.top == 2**bits - (2 if symmetric else 1)
    assert codes[0, 0] == quantizer.zero[0]
    assert quantizer.decode(codes)[0, 0] == 0
    assert np.array_equal(quantizer.encode(quantizer.decode(codes)), codes)
    assert len(quantizer.scale) == len(quantizer.zero) == (len(x) if per_channel else 1)


@settings(deadline=None, max_examples=60)
@given(VALUES, st.sampled_from(KINDS), st.booleans())
def test_min_max_is_within_half_a_step(x: np.ndarray, kind: tuple[int, bool], per_channel: bool) -> None:
    quantizer = calibrated(x, kind[0], symmetric=kind[1], per_channel=per_channel)
    steps = np.abs(x - rebuilt(x, quantizer)) / quantizer.scale[:, None]
    assert steps.max() <= 0.5 * (1 + 1e-12)


def test_levels() -> None:
    """Symmetric: 2^b - 1 levels, the middle one zero. Affine: 2^b levels."""
    x = np.linspace(-1, 1, 20_001)[None]
    for bits in (2, 3, 4, 8):
        symmetric = np.unique(rebuilt(x, calibrated(x, bits)))
        assert len(symmetric) == 2**bits - 1
        assert np.array_equal(symmetric, -symmetric[::-1])
        assert len(np.unique(rebuilt(x, calibrated(x + 1, bits, symmetric=False)))) <= 2**bits
        assert len(np.unique(calibrated(x + 1, bits, symmetric=False).encode(x + 1))) == 2**bits
    assert calibrated(x, 2).decode(np.arange(3)).tolist() == [-1, 0, 1]


def test_a_half_goes_to_the_even_neighbour() -> None:
    halves = np.array([[-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]])
    assert rebuilt(halves, Quantizer(np.ones(1), np.array([3]), 6)).tolist() == [[-2, -2, 0, 0, 2, 2]]


def test_an_affine_zero_point_is_whole_and_a_range_without_zero_is_widened() -> None:
    quantizer = calibrated(np.array([[-0.3, 0.0, 1.0]]), 2, symmetric=False)
    assert quantizer.zero.tolist() == [1]  # 0.3 / 0.434 = 0.69
    assert rebuilt(np.zeros((1, 1)), quantizer) == 0
    assert calibrated(np.array([[5.0, 6.0]]), 8, symmetric=False).zero.tolist() == [0]
    assert calibrated(np.array([[-6.0, -5.0]]), 8, symmetric=False).zero.tolist() == [255]


def test_a_channel_is_a_row_not_a_column() -> None:
    x = np.array([[1.0, -1, 1], [100, -100, 50]])
    assert calibrated(x, 8, per_channel=True).scale == pytest.approx([1 / 127, 100 / 127], rel=1e-3)
    assert calibrated(x, 8).scale == pytest.approx([100 / 127], rel=1e-3)
    images = np.arange(24.0).reshape(2, 3, 2, 2)
    assert calibrated(images, 8, per_channel=True).scale == pytest.approx([11 / 127, 23 / 127], rel=1e-3)
    assert rebuilt(images, calibrated(images, 8, per_channel=True)) == pytest.approx(images, abs=0.1)


def test_a_channel_of_zeros_has_a_scale() -> None:
    for x in (np.zeros((2, 3)), np.array([[0.0, 0, 0], [1, 2, 4]])):
        quantizer = calibrated(x, 4, per_channel=True)
        assert (quantizer.scale > 0).all()
        assert np.abs(rebuilt(x, quantizer) - x).max() <= 0.5 * quantizer.scale.max()
    assert calibrated(np.array([[0.0], [1.0]]), 4, per_channel=True).scale[0] == pytest.approx(1 / 7 / 1024, rel=1e-3)


def test_percentile_drops_exact_ranks_at_either_end() -> None:
    x = np.arange(-50.0, 51)[None]  # 101 values
    quantizer = calibrated(x[:, ::-1], 16, symmetric=False, method="percentile", keep=0.9)  # 5 at either end
    ends = quantizer.decode(np.array([0, quantizer.top]))
    assert ends == pytest.approx([-45, 45], abs=0.1)
    ties = np.array([[0.0] * 50 + [1.0] * 50])
    assert calibrated(ties, 8, method="percentile", keep=0.9).scale == calibrated(ties, 8).scale
    assert calibrated(x, 8, method="percentile", keep=1).scale == calibrated(x, 8).scale
    assert calibrated(np.array([[1.0, 2.0]]), 8, method="percentile", keep=0).scale > 0


@settings(deadline=None, max_examples=40)
@given(VALUES, st.sampled_from([(2, True), (2, False), (3, True), (8, False)]))
def test_mse_is_never_worse_than_min_max(x: np.ndarray, kind: tuple[int, bool]) -> None:
    best, widest = (calibrated(x, kind[0], symmetric=kind[1], per_channel=True, method=m) for m in ("mse", "min-max"))
    assert (squares(x, best) <= squares(x, widest)).all()


def test_mse_finds_the_best_of_its_candidates_row_by_row() -> None:
    x = np.random.default_rng(0).normal(size=(3, 200)) * [[1], [5], [0.1]]
    found = squares(x, calibrated(x, 2, per_channel=True, method="mse"))
    tried = [squares(x, spanning(x.min(1) * k / 64, x.max(1) * k / 64, 2, True, 11)) for k in range(1, 65)]
    assert np.array_equal(found, np.min(tried, 0))
    assert (found < squares(x, calibrated(x, 2, per_channel=True)) / 2).all()


@pytest.mark.parametrize(("bits", "symmetric"), [(1, False), (2, True), (3, False), (8, True)])
def test_mse_takes_row_by_row_the_widest_of_equally_good_ranges(bits: int, symmetric: bool) -> None:
    """The same bits as a search that starts from the widest range and moves only to a smaller error."""
    x = np.random.default_rng(bits).normal(size=(5, 40)) * [[1], [5], [0.1], [1], [0]]
    x[3] = 0.5  # all ranges that end at a mark of the same value are equally good
    top, low, high = 2**bits - (2 if symmetric else 1), x.min(1), x.max(1)
    scale, zero, least = np.zeros(5), np.zeros(5, int), np.full(5, np.inf)
    for k in range(64, 0, -1):
        grid = spanning(low * (k / 64), high * (k / 64), top, symmetric, 11)
        better = squares(x, grid) < least
        least[better], scale[better] = squares(x, grid)[better], grid.scale[better]
        zero[better] = grid.zero[better]
    found = calibrated(x, bits, symmetric=symmetric, per_channel=True, method="mse")
    assert found.scale.tobytes() == scale.tobytes()
    assert found.zero.tolist() == zero.tolist()


def test_scales_have_few_bits_rounded_up() -> None:
    assert round_up(np.array([1.0, 1.001, 1.5, 0.7, 3.0]), 1).tolist() == [1, 2, 2, 1, 4]
    x = np.random.default_rng(0).uniform(0.1, 9, 1000)
    up = round_up(x, 11)
    assert ((x <= up) & (up <= x * (1 + 2.0**-10))).all()
    assert np.array_equal(up, up.astype(np.float16))
    for bits in (4, 8, 13):
        quantizer = calibrated(x[None], bits)
        assert np.array_equal(quantizer.decode(quantizer.encode(x[None]), np.float32), rebuilt(x[None], quantizer))


def test_bad_input() -> None:
    x = np.ones((2, 3))
    with pytest.raises(RangeError, match=r"bits is 1; allowed: ≥ 2.*Hint: symmetric=False"):
        calibrated(x, 1)
    with pytest.raises(RangeError, match="min-max"):
        calibrated(x, 4, method="minmax")
    for wrong, error in [(17, RangeError), (4.0, DTypeError)]:
        with pytest.raises(error):
            calibrated(x, wrong)
    with pytest.raises(RangeError, match=r"Did you mean 0\.99"):
        calibrated(x, 4, method="percentile", keep=99)
    for values, error in [(np.empty((0, 3)), ShapeError), (np.float64(3), ShapeError), (x * np.nan, NonFiniteError),
                          (x * 1e200, RangeError)]:
        with pytest.raises(error):
            calibrated(values, 4)
