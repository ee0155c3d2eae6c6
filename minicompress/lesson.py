"""What every notebook uses: `lesson.begin()` in its first cell, `lesson.over_seeds(run, seeds)` for experiments."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np
import scipy.linalg  # noqa: F401  (it brings a BLAS of its own, which must be there to be limited)
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from . import plots
from .errors import StateError

PYTHON, NUMPY = (3, 11), (2, 0)
Result = TypeVar("Result")


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


def over_seeds(run: Callable[[int], Result], seeds: Iterable[int]) -> list[Result]:
    """[run(seed) for seed in seeds]: several processes, one a core, each with one BLAS thread, under a progress bar.

    run must depend on its seed alone. The environment variable TQDM_DISABLE=1 hides the bar, as in the checked runs.
    """
    seeds = list(seeds)
    results = Parallel(n_jobs=-1, return_as="generator")(delayed(run_alone)(run, seed) for seed in seeds)
    return list(tqdm(results, total=len(seeds), unit="seed"))


def run_alone(run: Callable[[int], Result], seed: int) -> Result:
    """run(seed) in a process that was made for it."""
    with threadpool_limits(1):
        return run(seed)
