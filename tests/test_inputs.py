"""Every check lets the right values through in one form, and refuses the others by name."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicompress import inputs
from minicompress.errors import DTypeError, LabelError, NonFiniteError, RangeError, ShapeError


class Frame:
    """What a data frame shows to NumPy."""

    def __init__(self, rows: list) -> None:
        self.rows = rows

    def to_numpy(self) -> np.ndarray:
        return np.array(self.rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.rows, dtype)


class Tensor:
    """Of another library: it could become an array, but in what order and on which device?"""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.ones(3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_arrays_are_not_copied(dtype: type) -> None:
    x = np.ones((2, 3), dtype)
    assert inputs.as_array(x).dtype == dtype
    assert np.shares_memory(inputs.as_array(x), x)


class Special(np.ndarray):
    """A subclass, as np.matrix and np.memmap are."""


ROWS = [[1, 2], [3, 4]]


@pytest.mark.parametrize("x", [
    ROWS, tuple(map(tuple, ROWS)), Frame(ROWS), np.array(ROWS, float).view(Special), np.asfortranarray(ROWS),
    *(np.array(ROWS, dtype) for dtype in ("u1", "i8", "f2", "g", ">f8", ">i4")),
], ids=lambda x: f"{type(x).__name__} {getattr(x, 'dtype', '')}")
def test_other_real_numbers_become_float64(x: Any) -> None:
    got = inputs.as_array(x, shape=(None, 2))
    assert (type(got), got.dtype.str) == (np.ndarray, np.dtype(float).str)
    np.testing.assert_array_equal(got, [[1, 2], [3, 4]])


def test_conversions() -> None:
    assert inputs.as_array(np.ones(2, ">f4")).dtype.str == np.dtype(np.float32).str, "the same precision, native order"
    np.testing.assert_array_equal(inputs.as_array([True, False]), [1, 0])
    assert inputs.as_array(np.ones(2), dtype=np.float32).dtype == np.float32
    assert inputs.as_array(3).shape == ()


def test_a_memory_mapped_file_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(6.0).reshape(2, 3))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(inputs.as_array(mapped, shape=(None, 3)), np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize("x", [
    np.array([1j]), np.array(["a"]), np.array([None]), np.array([{}]), "text", None, {1: 2}, Tensor(), iter([1.0]),
    np.array(["2020-01-01"], "M8"), ["a", "b"], [1.0, None],
], ids=lambda x: f"{type(x).__name__} {getattr(x, 'dtype', '')}")
def test_what_is_not_a_real_number_is_refused(x: Any) -> None:
    with pytest.raises(DTypeError, match=r"^pixels .*; allowed: .* Hint: "):
        inputs.as_array(x, "pixels")


@pytest.mark.parametrize(("shape", "expected"), [
    ((None,), "(n,)"), ((2, 4), "(2, 4)"), ((None, None, None), "(n, n, n)"), ((3, ...), "(3, …)"),
    ((None, None, None, ...), "(n, n, n, …)"),
])
def test_other_shapes_are_refused(shape: tuple, expected: str) -> None:
    with pytest.raises(ShapeError) as caught:
        inputs.as_array(np.ones((2, 3)), shape=shape)
    assert str(caught.value) == f"x has shape (2, 3); expected {expected}. Hint: see numpy.reshape."


@pytest.mark.parametrize("shape", [None, (2, 3), (None, 3), (None, None), (...,), (None, ...), (2, 3, ...)])
def test_shapes_that_fit(shape: tuple | None) -> None:
    inputs.as_array(np.ones((2, 3)), shape=shape)


def test_samples_must_be_there_and_equally_long() -> None:
    with pytest.raises(ShapeError, match="at least 1 sample"):
        inputs.as_array(np.ones((0, 3)), shape=(None, 3))
    with pytest.raises(ShapeError, match="rows differ in length"):
        inputs.as_array([[1, 2], [3]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_number_that_is_not_finite_is_named(bad: float) -> None:
    x = np.ones((3, 4))
    x[1, 2] = x[2, 0] = bad
    with pytest.raises(NonFiniteError, match=r"x has 2 values .* the first at \(1, 2\).*x\[1, 2\]"):
        inputs.as_array(x)


def test_what_overflows_in_the_conversion_is_not_finite() -> None:
    with pytest.raises(NonFiniteError):
        inputs.as_array(np.array([1e200]), dtype=np.float32)


@pytest.mark.parametrize("labels", [[0, 2, 1], np.array([0, 2, 1], np.uint8), Frame([0, 2, 1])])
def test_labels_that_fit(labels: Any) -> None:
    got = inputs.as_labels(labels, 3, 3)
    assert got.dtype.kind in "iu"
    np.testing.assert_array_equal(got, [0, 2, 1])


@pytest.mark.parametrize(("labels", "kind", "message"), [
    ([0, 3, 1], LabelError, r"labels\[1\] is 3; allowed: 0 \.\. 2"), ([0, 1, -1], LabelError, r"labels\[2\] is -1"),
    ([[0], [1], [2]], LabelError, r"labels\.ravel\(\)"), ([[0, 1, 0]] * 3, LabelError, r"labels\.argmax\(axis=1\)"),
    ([0, 1], ShapeError, "2 labels for 3 samples"), ([0.0, 1.0, 2.0], DTypeError, r"labels\.astype\(int\)"),
    ([True, False, True], DTypeError, r"astype\(int\)"), (["a", "b", "c"], DTypeError, "number the classes"),
    (np.eye(3), DTypeError, r"argmax\(axis=1\)"), (1, LabelError, r"shape \(\)"), (None, DTypeError, "integers"),
])
def test_labels_that_do_not_fit(labels: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        inputs.as_labels(labels, 3, 3)


def test_without_a_number_of_classes_labels_only_start_at_zero() -> None:
    inputs.as_labels([1000, 0])
    with pytest.raises(LabelError, match="allowed: 0 and up"):
        inputs.as_labels([-1])


def test_a_seed_or_a_generator() -> None:
    generator = np.random.default_rng(0)
    assert inputs.as_generator(generator) is generator
    for seed in (0, 7, np.int64(7), 2**200):
        assert inputs.as_generator(seed).random() == np.random.default_rng(seed).random()


@pytest.mark.parametrize(("seed", "kind"), [(-1, RangeError), (0.5, DTypeError), (None, DTypeError), ("0", DTypeError),
                                            (True, DTypeError), (np.random, DTypeError)])
def test_what_is_no_seed(seed: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        inputs.as_generator(seed)


@given(st.integers(-5, 5))
def test_integers_in_an_interval(value: int) -> None:
    if -2 <= value <= 3:
        assert inputs.as_integer(np.int16(value), "k", -2, 3) == value
        assert type(inputs.as_integer(np.int16(value), "k")) is int
    else:
        with pytest.raises(RangeError, match=rf"k is {value}; allowed: ≥ -2 and ≤ 3\."):
            inputs.as_integer(value, "k", -2, 3)


@pytest.mark.parametrize("value", [1.0, "1", None, True, np.bool_(1), np.ones(2)])
def test_what_is_no_integer(value: Any) -> None:
    with pytest.raises(DTypeError, match="allowed: an integer"):
        inputs.as_integer(value, "k")


def test_numbers_in_an_interval() -> None:
    for value in (0.5, np.float32(0.5), Fraction(1, 2)):
        assert inputs.as_number(value, "p", 0, 1, above=0, below=1) == 0.5
        assert type(inputs.as_number(value, "p")) is float


@pytest.mark.parametrize(("value", "limits", "allowed"), [
    (-0.1, {"low": 0}, "≥ 0"), (1.1, {"high": 1}, "≤ 1"), (0.0, {"above": 0}, "> 0"), (1.0, {"below": 1}, "< 1"),
    (np.nan, {}, "a finite number"), (np.inf, {"low": 0}, "a finite number"),
    (9, {"low": 0, "below": 1}, "≥ 0 and < 1"),
])
def test_numbers_outside(value: float, limits: dict, allowed: str) -> None:
    with pytest.raises(RangeError, match=rf"^p is \S+; allowed: {allowed}\.$"):
        inputs.as_number(value, "p", **limits)


@pytest.mark.parametrize("value", ["0.5", None, 1j, [0.5], np.array([0.5])])
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(DTypeError, match="allowed: a number"):
        inputs.as_number(value, "p")


def test_fractions() -> None:
    assert [inputs.as_fraction(v, "s") for v in (0, 0.25, 1)] == [0, 0.25, 1]
    with pytest.raises(RangeError, match=r"s is 80; allowed: 0 \.\. 1, a fraction\. Did you mean 0\.8\?"):
        inputs.as_fraction(80, "s")
    for value in (-0.2, 101, np.nan):
        with pytest.raises(RangeError, match="s is"):
            inputs.as_fraction(value, "s")


@pytest.mark.parametrize(("value", "hint"), [("glorott", " Did you mean 'glorot'?"), ("x", ""), (None, ""), (3, "")])
def test_choices(value: Any, hint: str) -> None:
    check: Callable = inputs.as_choice
    assert check("he", "init", iter(["he", "glorot"])) == "he"
    with pytest.raises(RangeError) as caught:
        check(value, "init", ["he", "glorot"])
    assert str(caught.value) == f"init is {value!r}; allowed: he, glorot.{hint}"
