"""The first cell of every notebook: `lesson.begin()`."""

from __future__ import annotations

import sys

import numpy as np
import scipy.linalg  # noqa: F401  (it brings a BLAS of its own, which must be there to be limited)
from threadpoolctl import threadpool_limits

from . import plots
from .errors import StateError

PYTHON, NUMPY = (3, 11), (2, 0)


def begin() -> None:
    """Check the kernel, keep to one BLAS thread, set the figures' style.

    One thread is the fast setting for small networks; the results do not depend on it.
    Raises StateError where Python or NumPy is too old, naming the interpreter that runs.
    """
    numpy_version = tuple(int(part) for part in np.__version__.split(".")[:2])
    if sys.version_info[:2] < PYTHON or numpy_version < NUMPY:
        python = sys.version.split()[0]
        raise StateError(f"this kernel runs Python {python} with NumPy {np.__version__} at {sys.executable}; "
                         f"the course needs Python ≥ 3.11 and NumPy ≥ 2.0. Hint: choose the kernel of the environment "
                         f"in which minicompress is installed.")
    threadpool_limits(1)
    plots.use_style()
