"""The grid: how training ends with the same bits on every machine.

Sums in another order differ in their last bits, and BLAS libraries, threads and processors all choose their own order.
Training amplifies the difference until masks and files differ. Where a computed number enters the state of a network
(a gradient, a running statistic), it is first rounded to a multiple of 2⁻²⁰: two machines then differ only if a number
falls within rounding error (about 1e-16) of the middle between two grid points, which hardly ever happens.
"""

import numpy as np

GRID = 2.0**-20


def to_grid(x: np.ndarray, grid: float) -> np.ndarray:
    """round(x / grid) · grid      any shape; a half goes to the even neighbour; grid 0: x unchanged"""
    return np.rint(x * (1 / grid)) * grid if grid else x
