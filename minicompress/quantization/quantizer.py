"""Lecture 09: a ruler with few marks. Which whole number stands for a real one?

    q = clip(round(x / s) + z, 0, top)      x̂ = s (q - z)      s: the scale   z: the zero point, a whole number

    affine      top = 2^bits - 1: all codes; s = (high - low) / top,  z = round(-low / s)
    symmetric   top = 2^bits - 2: one code is given up, so that zero is in the middle; z = top / 2

Zero becomes the code z and comes back as exactly zero, because z is whole and the range always contains zero: padding,
ReLU and pruned weights rely on it. A half goes to the even neighbour. [low, high] is `calibrated` on given values.

Sources: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", eq. 1 and section 3.1; Krishnamoorthi 2018, "Quantizing deep convolutional networks for efficient
inference", sections 2.1 and 2.2. Difference: a scale is rounded up to 11 significant bits. So s (q - z) is exact in
single precision for up to 13 bits, the scale itself in half precision, and products of integers and scales never round.

Not here: grids that are not uniform (clustering.py), ranges that are learned.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import RangeError, ShapeError
from ..inputs import as_array, as_choice, as_fraction, as_integer

METHODS = ("min-max", "percentile", "mse")
SIGNIFICANT_BITS = 11
SMALLEST = 2.0**-100  # narrower ranges count as this wide; wider ones than its inverse are refused


class Quantizer(NamedTuple):
    """x → q → x̂      scale, zero (1,), or (C,) for x (C, …): one for each channel   q: 0 .. top"""

    scale: np.ndarray
    zero: np.ndarray
    top: int

    def nearest(self, x: np.ndarray) -> np.ndarray:
        """round(x / s) + z, not yet clipped, as floats."""
        return np.rint(x / column(self.scale, x)) + column(self.zero, x)

    def encode(self, x: np.ndarray) -> np.ndarray:
        """The codes q, in uint8, or uint16 where top > 255.   Raises NonFiniteError, DTypeError, ShapeError."""
        return np.clip(self.nearest(as_array(x, "x")), 0, self.top).astype(np.uint8 if self.top < 2**8 else np.uint16)

    def clipped(self, x: np.ndarray) -> int:
        """How many values lie beyond the marks, and become the first or the last of them."""
        nearest = self.nearest(as_array(x, "x"))
        return int(np.count_nonzero((nearest < 0) | (nearest > self.top)))

    def decode(self, q: np.ndarray, dtype: type | np.dtype = np.float64) -> np.ndarray:
        """x̂ = s (q - z)"""
        shifted: np.ndarray = q.astype(dtype) - column(self.zero, q, dtype)
        return shifted * column(self.scale, q, dtype)


def column(values: np.ndarray, x: np.ndarray, dtype: type | np.dtype | None = None) -> np.ndarray:
    """values (C,) in a shape that meets x (C, …) channel by channel, in x's dtype unless said.   Raises ShapeError."""
    if len(values) != 1 and values.shape != x.shape[:1]:
        raise ShapeError(f"{len(values)} scales meet values of shape {x.shape}; allowed: one, or one a channel.")
    return values.astype(dtype or x.dtype).reshape((-1,) + (1,) * (x.ndim - 1))


def calibrated(x: np.ndarray, bits: int, *, symmetric: bool = True, per_channel: bool = False,
               method: str = "min-max", keep: float = 0.99, significant: int = SIGNIFICANT_BITS) -> Quantizer:
    """A quantizer for values like x (C, …), with one scale for all, or one for each channel.

    min-max      nothing is clipped: |x - x̂| ≤ s / 2
    percentile   the fraction `keep` lies inside, as much outside at either end; ranks by sorting, without interpolation
    mse          the least Σ (x - x̂)² among 64 ranges, from 1/64 of min-max up to min-max; of equal ones the widest

    significant: bits of the scale, rounded up; 1 gives powers of two. A channel less than a thousandth as wide as the
    widest counts as that wide, so that a channel of zeros has a scale, too.
    Raises RangeError (bits outside 1 .. 16, or 2 .. 16 if symmetric; values beyond 2^100), ShapeError, DTypeError.
    """
    bits = as_integer(bits, "bits", 1, 16)
    if symmetric and bits == 1:
        raise RangeError("bits is 1; allowed: ≥ 2 with symmetric marks, or only zero is left. Hint: symmetric=False.")
    method, keep = as_choice(method, "method", METHODS), as_fraction(keep, "keep")
    significant, x = as_integer(significant, "significant", 1, 52), as_array(x, "x", (None, ...), np.float64)
    if not x.size:
        raise ShapeError(f"x has shape {x.shape}; allowed: at least 1 value. Hint: nothing is left to quantize.")
    rows, top = x.reshape(len(x) if per_channel else 1, -1), 2**bits - (2 if symmetric else 1)
    low, high = trimmed(rows, keep if method == "percentile" else 1.0)
    if max(high.max(), -low.min()) > 1 / SMALLEST:
        raise RangeError(f"values reach {max(high.max(), -low.min()):g}; allowed: 2^100.")
    shares = np.arange(64, 0 if method == "mse" else 63, -1) / 64
    grids = [spanning(low * c, high * c, top, symmetric, significant) for c in shares]
    if len(grids) == 1:
        return grids[0]
    best = np.argmin([squares(rows, grid) for grid in grids], 0), np.arange(len(rows))  # the first: the widest
    return Quantizer(np.array([grid.scale for grid in grids])[best], np.array([grid.zero for grid in grids])[best], top)


def trimmed(rows: np.ndarray, keep: float) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) of each row (C, n), without the (1 - keep) n / 2 values at either end, rounded down."""
    n = rows.shape[1]
    out = min(int((1 - keep) * n / 2), (n - 1) // 2)
    if not out:
        return rows.min(1), rows.max(1)
    ordered = np.sort(rows, 1, kind="stable")
    return ordered[:, out], ordered[:, n - 1 - out]


def spanning(low: np.ndarray, high: np.ndarray, top: int, symmetric: bool, significant: int) -> Quantizer:
    """The quantizer whose marks reach from low (C,) to high (C,), both moved to zero where they do not contain it."""
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    width = 2 * np.maximum(-low, high) if symmetric else high - low
    width = np.maximum(width, max(width.max() / 1024, SMALLEST))
    scale = round_up(width / top, significant)
    zero = np.full(scale.shape, top // 2) if symmetric else np.clip(np.rint(-low / scale), 0, top).astype(np.int64)
    return Quantizer(scale, zero, top)


def round_up(x: np.ndarray, bits: int) -> np.ndarray:
    """The next number of so many significant bits, the same on every machine."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.ceil(mantissa * 2.0**bits), exponent - bits)


def squares(rows: np.ndarray, quantizer: Quantizer) -> np.ndarray:
    """Σ (x - x̂)² of each row."""
    error = rows - quantizer.decode(quantizer.encode(rows))
    return (error * error).sum(1)
