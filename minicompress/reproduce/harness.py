"""Run the seeds that are missing, in parallel processes, and keep each result as soon as it is there.

The processes are joblib's, so what its `parallel_config` names (a dask or ray cluster) takes the seeds over. Only the
process that was started writes files. What is stopped goes on where it was, seed by seed.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NamedTuple

from joblib import Parallel, delayed
from joblib.parallel import get_active_backend
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ..errors import StorageError
from ..inputs import as_choice, as_integer, as_number
from . import results
from .report import report
from .row import Row
from .rows import ROWS

FIRST_SEED = 100  # protocols are tuned on seeds below, so a table's seeds are fresh

Task = tuple[Callable[[int], Mapping[str, float]], str, int]


class Outcome(NamedTuple):
    """What came back for one seed of a row: figures, seconds on one core and versions, or the failure's text."""

    name: str
    seed: int
    result: dict[str, Any]
    failure: str = ""


def attempt(run: Callable[[int], Mapping[str, float]], name: str, seed: int) -> Outcome:
    """Run one seed with one BLAS thread; an error ends this seed only."""
    import scipy.linalg  # noqa: F401  (it brings a BLAS of its own, which must be there to be limited)

    started = time.thread_time()  # not the process's time: a cluster may run several seeds in one process
    try:
        with threadpool_limits(1):
            figures = {key: as_number(value, key) for key, value in run(seed).items()}
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}"
        return Outcome(name, seed, {}, f"{type(error).__name__} in {where}: {error}")
    seconds = round(time.thread_time() - started, 1)
    return Outcome(name, seed, {"figures": figures, "seconds": seconds, **results.versions()})


def outcomes(tasks: Sequence[Task], jobs: int) -> Iterator[Outcome]:
    """The tasks' outcomes, each as soon as it is there, or together at the end where a cluster cannot do better."""
    backend, _ = get_active_backend()
    order = "generator_unordered" if backend.supports_return_generator else "list"
    yield from Parallel(n_jobs=jobs, return_as=order, batch_size=1)(delayed(attempt)(*task) for task in tasks)


def main(names: Sequence[str] = (), *, seeds: int | Sequence[int] | None = None, jobs: int = -1,
         folder: str | Path = "results", again: bool = False, rows: Mapping[str, Row] = ROWS,
         say: Callable[[str], None] = print) -> int:
    """Run what is missing of the named rows (all, if none is named), then show them; 0 if no seed and no claim fails.

    seeds: how many, or which (by default as many as the row says); 0 only shows what is there. jobs: processes, -1 for
    one a core. again: run also what is there. Raises RangeError for an unknown row or negative seeds, FormatError,
    StorageError.
    """
    chosen = [rows[as_choice(name, "row", rows)] for name in dict.fromkeys(names or rows)]
    folder = Path(folder)
    wanted = {row.name: choose_seeds(seeds, row) for row in chosen}
    kept = {row.name: {} if again else results.read(folder, row) for row in chosen}
    tasks = [(row.run, row.name, seed) for row in chosen for seed in wanted[row.name]
             if seeds != 0 and seed not in kept[row.name]]
    failures = list(run_tasks(tasks, jobs, folder, rows)) if tasks else []
    met = [report(row, results.read(folder, row), wanted[row.name], say) for row in chosen]
    for failure in failures:
        print(f"minicompress: {failure}", file=sys.stderr)
    return 0 if all(met) and not failures else 1


def choose_seeds(seeds: int | Sequence[int] | None, row: Row) -> list[int]:
    """The seeds of a row, as `main` was asked.   Raises RangeError, DTypeError."""
    if isinstance(seeds, Sequence):
        return [as_integer(seed, "seed", 0) for seed in dict.fromkeys(seeds)]
    number = as_integer(row.seeds if seeds is None else seeds, "seeds", 0) or row.seeds
    return list(range(FIRST_SEED, FIRST_SEED + number))


def make_folder(folder: Path) -> None:
    """Before hours of work, not after.   Raises StorageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"the folder {folder} cannot be made: {error.strerror}.") from error


def run_tasks(tasks: Sequence[Task], jobs: int, folder: Path, rows: Mapping[str, Row]) -> Iterator[str]:
    """Run the tasks under a progress bar and keep what comes; yields a line for each failure.   Raises StorageError."""
    make_folder(folder)
    with tqdm(total=len(tasks), unit="seed", disable=None) as bar:
        try:
            for outcome in outcomes(tasks, jobs):
                bar.update()
                if outcome.failure:
                    yield f"{outcome.name}, seed {outcome.seed}: {outcome.failure}"
                else:
                    results.add(folder, rows[outcome.name], outcome.seed, outcome.result)
        except BrokenProcessPool:
            yield "a process died, perhaps for want of memory; finished seeds are kept. Hint: fewer jobs, run again."
