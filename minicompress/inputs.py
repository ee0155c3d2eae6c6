"""What may come in: arrays, labels, numbers, names, seeds. Each check answers with one of the named errors.

A check returns the value in the form the library works with, or raises and has changed nothing.
"""

import difflib
import numbers
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from .errors import DTypeError, LabelError, NonFiniteError, RangeError, ShapeError


def as_array(x: Any, name: str = "x", shape: tuple[Any, ...] | None = None, dtype: Any = None) -> np.ndarray:
    """`x` as a finite array of floats; `shape` may leave sizes open with None, all further ones with a last `...`, and
    demands at least one sample.

    float32 and float64 stay what they are; other real numbers (integers, booleans, half and extended precision) become
    float64. Lists, tuples and data frames are converted; the input itself is never changed.

    Raises DTypeError (complex, text, objects), ShapeError, NonFiniteError.
    """
    if not isinstance(x, np.ndarray):
        if not isinstance(x, (list, tuple, int, float, np.generic)) and not hasattr(x, "to_numpy"):
            raise DTypeError(f"{name} is a {type(x).__module__}.{type(x).__name__}; allowed: a NumPy array, a list, "
                             f"a data frame. Hint: convert it with numpy.asarray first.")
        try:
            x = np.asarray(x)
        except ValueError as error:
            raise ShapeError(f"{name} is a list whose rows differ in length; allowed: equal rows.") from error
    if x.dtype.kind not in "buif":
        raise DTypeError(f"{name} has dtype {x.dtype}; allowed: real numbers. Hint: {name}.astype(float).")
    if shape is not None:
        check_shape(x, name, shape)
    native = x.dtype.newbyteorder("=")
    with np.errstate(over="ignore"):  # what overflows is found below
        x = np.asarray(x, dtype or (native if native in (np.float32, np.float64) else np.float64))
    check_finite(x, name)
    return x


def check_shape(x: np.ndarray, name: str, shape: tuple[Any, ...]) -> None:
    """Raise ShapeError unless x has at least one sample and the shape, in which None and a last `...` are open."""
    wanted = shape[:-1] + x.shape[len(shape) - 1 :] if shape[-1:] == (...,) else shape
    if len(wanted) != x.ndim or any(want not in (None, got) for want, got in zip(wanted, x.shape, strict=True)):
        sizes = ", ".join({None: "n", ...: "…"}.get(size, str(size)) for size in shape)
        expected = f"({sizes},)" if len(shape) == 1 else f"({sizes})"
        raise ShapeError(f"{name} has shape {x.shape}; expected {expected}. Hint: see numpy.reshape.")
    if x.ndim and len(x) == 0:
        raise ShapeError(f"{name} is empty; allowed: at least 1 sample.")


def check_finite(x: np.ndarray, name: str) -> None:
    """Raise NonFiniteError with the count and the first position of what is NaN or infinite in `x`."""
    with np.errstate(invalid="ignore"):
        ends = [x.min(), x.max()] if x.size else []  # NaN where there is one; no array as large as x is made
    if not np.isfinite(ends).all():
        finite = np.isfinite(x)
        first = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise NonFiniteError(f"{name} has {np.sum(~finite)} values that are NaN or infinite, the first at {first}; "
                             f"allowed: finite numbers. Hint: look at {name}[{', '.join(map(str, first))}].")


def as_labels(labels: Any, n: int | None = None, classes: int | None = None, name: str = "labels") -> np.ndarray:
    """`labels` as integers of shape (n,), each in 0 .. classes - 1.   Raises LabelError, DTypeError, ShapeError."""
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        hint = f"{name}.astype(int)" if labels.dtype.kind in "bf" else "number the classes 0, 1, 2, …"
        if labels.ndim == 2 and labels.shape[1] > 1:
            hint = f"{name}.argmax(axis=1)"
        raise DTypeError(f"{name} have dtype {labels.dtype}; allowed: integers. Hint: {hint}.")
    if labels.ndim != 1:
        hint = f"{name}.argmax(axis=1)" if labels.ndim == 2 and labels.shape[1] > 1 else f"{name}.ravel()"
        raise LabelError(f"{name} have shape {labels.shape}; allowed: (n,). Hint: {hint}.")
    if n is not None and len(labels) != n:
        raise ShapeError(f"there are {len(labels)} {name} for {n} samples; allowed: one each.")
    if len(labels) and (labels.min() < 0 or (classes is not None and labels.max() >= classes)):
        i = int(np.argmax((labels < 0) | (labels >= (np.inf if classes is None else classes))))
        allowed = "0 and up" if classes is None else f"0 .. {classes - 1}"
        raise LabelError(f"{name}[{i}] is {labels[i]}; allowed: {allowed}. Hint: number the classes from 0.")
    return labels


def as_generator(rng: Any) -> np.random.Generator:
    """A seed (an integer ≥ 0) or a Generator, as a Generator.   Raises RangeError, DTypeError."""
    if isinstance(rng, np.random.Generator):
        return rng
    return np.random.default_rng(as_integer(rng, "rng", 0))


def as_integer(value: Any, name: str, low: int | None = None, high: int | None = None) -> int:
    """`value` as an int in [low, high].   Raises DTypeError for what is not an integer, RangeError outside."""
    if isinstance(value, (bool, np.bool_)):
        raise DTypeError(f"{name} is {value}; allowed: an integer.")
    try:
        value = operator.index(value)
    except TypeError as error:
        raise DTypeError(f"{name} is {value!r}; allowed: an integer. Hint: int(...).") from error
    _check_interval(value, name, low, high)
    return value


def as_number(value: Any, name: str, low: float | None = None, high: float | None = None, *,
              above: float | None = None, below: float | None = None) -> float:
    """`value` as a finite float with low ≤ value ≤ high and above < value < below.   Raises DTypeError, RangeError."""
    if not isinstance(value, numbers.Real):
        raise DTypeError(f"{name} is {value!r}; allowed: a number.")
    value = float(value)
    if not np.isfinite(value):
        raise RangeError(f"{name} is {value}; allowed: a finite number.")
    _check_interval(value, name, low, high, above, below)
    return value


def as_fraction(value: Any, name: str) -> float:
    """`value` as a float in [0, 1]; what looks like a percentage gets a hint.   Raises DTypeError, RangeError."""
    try:
        return as_number(value, name, 0, 1)
    except RangeError as error:
        if 2 <= (given := float(value)) <= 100:  # 1.2 is no slip for 0.012
            raise RangeError(f"{name} is {value}; allowed: 0 .. 1, a fraction. Did you mean {given / 100:g}?") from None
        raise error


def _check_interval(value: float, name: str, low: float | None, high: float | None,
                    above: float | None = None, below: float | None = None) -> None:
    limits = [(low, "≥", low is None or value >= low), (high, "≤", high is None or value <= high),
              (above, ">", above is None or value > above), (below, "<", below is None or value < below)]
    if not all(fits for *_, fits in limits):
        allowed = " and ".join(f"{sign} {limit:g}" for limit, sign, _ in limits if limit is not None)
        raise RangeError(f"{name} is {value}; allowed: {allowed}.")


def as_function(value: Any, name: str) -> Any:
    """`value` if it can be called.   Raises DTypeError."""
    if not callable(value):
        raise DTypeError(f"{name} is {value!r}; allowed: a function. Hint: the function itself, not its name.")
    return value


def as_choice(value: Any, name: str, allowed: Iterable[str]) -> str:
    """`value` if it is one of the allowed names.   Raises RangeError with the list and the nearest match."""
    allowed = list(allowed)
    if value in allowed:
        return value
    near = difflib.get_close_matches(str(value), allowed, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise RangeError(f"{name} is {value!r}; allowed: {', '.join(allowed)}.{hint}")
