"""The reproducibility matrix: the same bits in ten environments, two of which differ in everything that may matter.

    python -m checks.matrix                            makes the environments it needs, prints a line for each cell
    python -m checks.matrix --folder DIR 3 7           keeps them in DIR for the next time; cells 3 and 7 only
    python -m checks.matrix --notebooks 05 06          only the notebooks whose names start so

Each cell runs `minicompress tour --seed 0`, `minicompress check` and the notebooks under strict nbval. Every pair of
two settings occurs in some cell, but for OpenBLAS's core type with Python's version, which would take 15 cells: the
BLAS comes with NumPy, whatever the Python. The package limits itself to one BLAS thread; cells of two switch that off.
What a line says of BLAS and SIMD was read in that environment from NumPy and threadpoolctl, not assumed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
OLDEST_NUMPY = {"3.11": "2.0.0", "3.12": "2.0.0", "3.13": "2.1.0"}  # of those ≥ 2.0 with wheels for this Python


class Cell(NamedTuple):
    """One environment. core: OPENBLAS_CORETYPE, or "default", as the processor has it."""

    python: str
    numpy: str
    core: str
    threads: int
    simd: str


CELLS = [
    Cell("3.11", "oldest", "Nehalem", 1, "restricted"),
    Cell("3.12", "newest", "Nehalem", 2, "full"),
    Cell("3.12", "oldest", "Sandybridge", 2, "restricted"),
    Cell("3.13", "newest", "Sandybridge", 1, "full"),
    Cell("3.13", "oldest", "Haswell", 2, "full"),
    Cell("3.11", "newest", "Haswell", 1, "restricted"),
    Cell("3.12", "oldest", "SkylakeX", 1, "full"),
    Cell("3.13", "newest", "SkylakeX", 2, "restricted"),
    Cell("3.11", "oldest", "default", 2, "full"),
    Cell("3.12", "newest", "default", 1, "restricted"),
]

UNLIMITED = """import contextlib, threadpoolctl
threadpoolctl.threadpool_limits = contextlib.nullcontext
"""  # a sitecustomize.py: what the package asks for is ignored

PROBE = """import json, platform, numpy, scipy, scipy.linalg, threadpoolctl
from numpy._core._multiarray_umath import __cpu_dispatch__ as dispatch, __cpu_features__ as features
pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
print(json.dumps({"Python": platform.python_version(), "NumPy": numpy.__version__, "SciPy": scipy.__version__,
                  "BLAS": sorted({pool.get("architecture", pool["internal_api"]) for pool in pools}),
                  "threads": sorted({pool["num_threads"] for pool in pools}),
                  "SIMD": [name for name in dispatch if features.get(name)]}))
"""


class Skipped(Exception):
    """Why a cell cannot run on this machine."""


def output(command: list[str | Path], environment: dict[str, str] | None = None, cwd: Path = ROOT) -> str:
    """What a command prints.   Raises CalledProcessError, its errors in `stderr`."""
    return subprocess.run(list(map(str, command)), env=environment, cwd=cwd, text=True, capture_output=True, check=True,
                          encoding="utf-8", timeout=3600).stdout


def interpreter(version: str) -> str:
    """The path of a Python of this version, pyenv's included.   Raises Skipped."""
    code = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for name in (f"python{version}", "python3", "python"):
        try:
            found, path = output([name, "-c", code], {**os.environ, "PYENV_VERSION": version}).split(maxsplit=1)
        except (OSError, subprocess.CalledProcessError):
            continue
        if found == version:
            return path.strip()
    raise Skipped(f"no Python {version} on this machine")


def install(cell: Cell, folder: Path) -> Path:
    """The Python of a virtual environment in `folder` with the project as it is now.   Raises Skipped."""
    place = folder / f"python{cell.python}-numpy-{cell.numpy}"
    python, ready = place / "bin" / "python", place / "ready"
    numpy = f"numpy=={OLDEST_NUMPY[cell.python]}" if cell.numpy == "oldest" else "numpy"
    if not ready.exists():
        output([interpreter(cell.python), "-m", "venv", "--clear", place])
    output([python, "-m", "pip", "install", "--quiet", numpy, f"{ROOT}[test]"])
    output([python, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", ROOT])
    ready.touch()
    return python


def environment(cell: Cell, python: Path, folder: Path) -> dict[str, str]:
    """The environment variables of a cell."""
    ours = ("_NUM_THREADS", "_CORETYPE", "_THREAD_TIMEOUT", "_CPU_FEATURES", "PYTHONPATH", "MPLBACKEND")
    result = {name: value for name, value in os.environ.items() if not name.endswith(ours)}
    result |= {"OPENBLAS_NUM_THREADS": str(cell.threads), "PYTHONIOENCODING": "utf-8"}
    if cell.core != "default":
        result["OPENBLAS_CORETYPE"] = cell.core
    if cell.simd == "restricted":
        result["NPY_DISABLE_CPU_FEATURES"] = " ".join(json.loads(output([python, "-c", PROBE], result))["SIMD"])
    if cell.threads > 1:
        (folder / "unlimited").mkdir(parents=True, exist_ok=True)
        (folder / "unlimited" / "sitecustomize.py").write_text(UNLIMITED, encoding="utf-8")
        result["PYTHONPATH"] = str(folder / "unlimited")
        result["OPENBLAS_THREAD_TIMEOUT"] = "4"  # threads that wait go to sleep: the machine may be busy
    return result


def probe(cell: Cell, python: Path, variables: dict[str, str]) -> dict[str, Any]:
    """What NumPy, SciPy and threadpoolctl say is in force.   Raises Skipped where that is not what was asked for."""
    facts: dict[str, Any] = json.loads(output([python, "-c", PROBE], variables))
    if cell.core != "default" and facts["BLAS"] != [cell.core]:
        raise Skipped(f"asked for {cell.core}, this processor and BLAS run {'+'.join(facts['BLAS'])}")
    if facts["threads"] != [cell.threads]:
        raise Skipped(f"asked for {cell.threads} threads, this machine runs {facts['threads']}")
    if cell.simd == "restricted" and facts["SIMD"]:
        raise Skipped(f"NumPy still uses {' '.join(facts['SIMD'])}")
    return facts


def tour(python: Path | str, variables: dict[str, str], cwd: Path = ROOT, *more: str) -> str:
    """The sha256 that `minicompress tour --seed 0` prints."""
    with tempfile.TemporaryDirectory() as out:
        command = [python, "-m", "minicompress", "tour", "--seed", "0", "--out", out, *more]
        return output(command, variables, cwd).split()[-1]


def run(cell: Cell, folder: Path, notebooks: Sequence[Path]) -> dict[str, Any]:
    """All that a cell finds out.   Raises Skipped."""
    python = install(cell, folder)
    variables = environment(cell, python, folder)
    facts, started = probe(cell, python, variables), time.perf_counter()
    sha256 = tour(python, variables, folder)
    checked = attempt([python, "-m", "minicompress", "check"], variables, folder)
    nbval = [python, "-m", "pytest", "-n0", "-q", "-pno:cacheprovider", "--nbval-cell-timeout=3600"]
    runs = {path.stem: attempt([*nbval, path], variables, ROOT) for path in notebooks}
    here = [row.split()[-1] for row in checked.stdout.splitlines() if row.startswith("here")]
    return {**facts, "tour": sha256, "quick tour": here[0] if here else checked.stderr[-500:],
            "check": checked.returncode == 0,
            "notebooks": {stem: done.returncode == 0 for stem, done in runs.items()},
            "differences": "".join((done.stdout + done.stderr)[-20000:] for done in runs.values() if done.returncode),
            "seconds": round(time.perf_counter() - started)}  # fmt: skip


def attempt(command: list[Any], environment: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that may fail."""
    return subprocess.run(command, env=environment, cwd=cwd, text=True, capture_output=True, encoding="utf-8",
                          timeout=3600)  # fmt: skip


def line(cell: Cell, found: dict[str, Any]) -> str:
    """One line for a cell: what was asked for, what was in force, what came out."""
    asked = f"{cell.python} {cell.numpy} NumPy {cell.core:11} {cell.threads} thr SIMD {cell.simd:10}"
    if "tour" not in found:
        return f"{asked} | " + "; ".join(f"{key}: {value}" for key, value in found.items())
    simd = found["SIMD"][-1] if found["SIMD"] else "baseline"
    equal = f"{sum(found['notebooks'].values())} of {len(found['notebooks'])} notebooks equal"
    return (f"{asked} | {found['Python']} {found['NumPy']} {found['SciPy']} {'+'.join(found['BLAS'])} "
            f"x{found['threads'][0]} {simd} | tour {found['tour'][:12]} | quick {found['quick tour'][:12]} "
            f"{'golden' if found['check'] else 'NOT GOLDEN'} | {equal} | {found['seconds']} s")


def matrix(folder: Path, numbers: Sequence[int], notebooks: Sequence[Path]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number, what it found) of the cells with these numbers, printed as they come."""
    for number in numbers:
        cell, found = CELLS[number - 1], dict[str, Any]()
        try:
            found = run(cell, folder, notebooks)
        except Skipped as reason:
            found = {"skipped": str(reason)}
        except (subprocess.SubprocessError, OSError) as error:
            found = {"failed": f"{error} {getattr(error, 'stderr', '')}"[-1000:]}
        print(f"{number:2}  {line(cell, found)}", flush=True)
        yield number, {"cell": cell._asdict(), **found}


def joined(before: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What was found, with the notebooks of an earlier run in the same environment that ran no more.

    Differences are kept until every notebook is equal.
    """
    same = ("Python", "NumPy", "SciPy", "tour")
    if "tour" not in found or any(before.get(key) != found.get(key) for key in same):
        return found
    notebooks = {**before["notebooks"], **found["notebooks"]}
    differences = "" if all(notebooks.values()) else before["differences"] + found["differences"]
    return {**found, "notebooks": notebooks, "differences": differences}


def verdict(results: list[dict[str, Any]]) -> tuple[str, bool]:
    """A line that sums the results up, and whether they keep the promise."""
    ran = [found for found in results if "tour" in found]
    tours, quick = ({found[what] for found in ran} for what in ("tour", "quick tour"))
    equal = sum(all(found["notebooks"].values()) for found in ran)
    good = len(tours) == len(quick) == 1 and equal == len(ran) and all(found["check"] for found in ran)
    return (f"{len(ran)} cells ran, {sum('skipped' in found for found in results)} skipped; {len(tours)} sha256 of the "
            f"tour, {len(quick)} of the quick tour; the notebooks were equal in {equal}",
            good and not any("failed" in found for found in results))  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser("python -m checks.matrix", description=str(__doc__).splitlines()[0])
    parser.add_argument("cells", nargs="*", type=int, metavar="CELL", help="their numbers, from 1 (default: all)")
    parser.add_argument("--folder", type=Path, help="where the environments stay (default: a temporary folder)")
    parser.add_argument("--json", type=Path, help="write what was found into this file, which keeps its other cells")
    parser.add_argument("--notebooks", nargs="+", default=[""], metavar="NN", help="how their names start")
    args = parser.parse_args()
    notebooks = sorted(path for name in args.notebooks for path in (ROOT / "notebooks").glob(f"{name}*.ipynb"))
    kept: list[dict[str, Any]] = [{}] * len(CELLS)
    if args.json and args.json.exists():
        kept = json.loads(args.json.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder.resolve() if args.folder else Path(temporary)
        for number, found in matrix(folder, args.cells or range(1, len(CELLS) + 1), notebooks):
            if args.json and args.json.exists():  # another process may have written other cells
                kept = json.loads(args.json.read_text("utf-8"))
            kept[number - 1] = joined(kept[number - 1], found)
            if args.json:
                args.json.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8", newline="\n")
    text, good = verdict([found for found in kept if found])
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
