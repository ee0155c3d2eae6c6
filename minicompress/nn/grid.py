"""The grid: how training ends with the same bits on every machine.

Sums in another order differ in their last bits, and BLAS libraries, threads and processors all choose their own order.
Training amplifies the difference until masks and files differ. Where a computed number enters the state of a network
(a gradient, a running statistic), it is first rounded to a multiple of 2⁻²⁰: two machines then differ only if a number
falls within rounding error (about 1e-16) of the middle between two grid points, which hardly ever happens.
"""

from typing import Any

import numpy as np

GRID = 2.0**-20


def to_grid(x: np.ndarray, grid: float) -> np.ndarray:
    """round(x / grid) · grid      any shape; a half goes to the even neighbour; grid 0: x unchanged"""
    return np.rint(x * (1 / grid)) * grid if grid else x


def few_bits(x: Any, bits: int = 5) -> Any:
    """The nearest numbers of so many significant bits      a number or an array

    Weights that differ in sign alone let sums cancel exactly, and ReLU and argmax then look at the sign of zero. With
    constants of 53 bits such a sum comes out as ± 1e-17, on each machine another; with a few bits no sum is rounded.
    """
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.rint(mantissa * 2**bits), exponent - bits)
