"""The command `minicompress`: tour, inspect, fetch, check, reproduce, regenerate."""

from __future__ import annotations

import argparse
import importlib
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits

from . import __version__
from .errors import MiniCompressError
from .table import table

GOLDEN = "cecf2a1e9bd040547996828903fb174d7cb3eb20b840ef56b653613717e8b2d3"  # model.mcz of `tour --quick --seed 0`

TOUR = """Train a network on real images, prune it in rounds, share its weights, code it into a file of a few kilobytes,
and load it back. Writes model.mcz, ledger.json (a list of stages) and report.html."""

ROWS = """Run the seeds of published results that are not in the results folder yet, in parallel processes, and show
what was published, what came out here, and whether it meets the criterion. Stopped, it goes on where it was."""

EPILOG = """examples:
  minicompress tour                          handwritten digits, bundled: half a minute
  minicompress tour --data mnist --out run   MNIST, fetched once: some minutes
  minicompress inspect tour/model.mcz        what every byte of the file is for
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    main = argparse.ArgumentParser("minicompress", description="Network compression from scratch, in NumPy.",
                                   epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    main.add_argument("--version", action="version", version=f"minicompress {__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="command")
    tour = commands.add_parser("tour", help="train a network, compress it into a file, load it back", description=TOUR)
    tour.add_argument("--data", default="digits", metavar="NAME", help="digits (bundled), mnist or fashion-mnist")
    tour.add_argument("--seed", type=int, default=0, help="seed of all random choices, 0 or more (default 0)")
    tour.add_argument("--out", default="tour", metavar="DIR", help="folder for the files (default: tour)")
    tour.add_argument("--quick", action="store_true", help="a few epochs only, to see that it runs")
    inspect = commands.add_parser("inspect", help="list what every byte of a .mcz file is for")
    inspect.add_argument("file")
    fetch = commands.add_parser("fetch", help="download a data set, or say where it is")
    fetch.add_argument("name", help="mnist or fashion-mnist")
    commands.add_parser("check", help="check the environment: versions, and the golden file of a quick tour")
    rows = commands.add_parser("reproduce", help="run published results again and compare", description=ROWS)
    rows.add_argument("rows", nargs="*", metavar="ROW", help="names of rows (default: all)")
    rows.add_argument("--seeds", type=seeds, metavar="N",
                      help="how many seeds (default: as the row says; 0 only shows), or which: 100,101 (one: 100,)")
    rows.add_argument("--jobs", type=int, default=-1, metavar="N", help="processes (default: one a core)")
    rows.add_argument("--results", default="results", metavar="DIR", help="folder of the kept results")
    rows.add_argument("--again", action="store_true", help="run what is there already, too")
    again = commands.add_parser("regenerate", help="run the notebooks again and store their outputs")
    again.add_argument("names", nargs="*", metavar="NN", help="the first letters of notebooks (default: all)")
    return main


def seeds(text: str) -> int | list[int]:
    """A number of seeds, or the seeds themselves, with commas.   Raises ValueError, which argparse explains."""
    return [int(part) for part in text.split(",") if part.strip()] if "," in text else int(text)


def run_tour(args: argparse.Namespace) -> int:
    from .tour import tour  # matplotlib takes a second to import: only those who need it wait

    result = tour(args.data, seed=args.seed, out=args.out, quick=args.quick)
    print(f"\n{result.ledger}\n")
    for name in ("model.mcz", "ledger.json", "report.html"):
        print(f"{result.folder / name}  {(result.folder / name).stat().st_size:,} bytes")
    print(f"sha256 of model.mcz  {result.sha256}")
    return 0


def run_inspect(args: argparse.Namespace) -> int:
    from .storage import inspect

    parts = inspect(args.file)
    total = sum(part.bytes for part in parts)
    rows = [[part.name, part.codec, f"{part.bytes:,}", f"{part.bytes / total:.1%}"] for part in parts]
    print(table(["part", "codec", "bytes", "share"], [*rows, ["total", "", f"{total:,}", "100.0%"]], left=2))
    return 0


def run_fetch(args: argparse.Namespace) -> int:
    from .data import fetch

    for path in fetch(args.name):
        print(path)
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Versions and places of what is imported, and whether a quick tour gives the file that it gives everywhere."""
    from .tour import tour

    rows = [["Python", platform.python_version(), sys.executable]]
    for name in ("minicompress", "numpy", "scipy", "matplotlib", "random", "tqdm", "pooch", "threadpoolctl"):
        module = importlib.import_module(name)
        rows.append([name, getattr(module, "__version__", "-"), str(module.__file__)])
    print(table(["what", "version", "where"], rows, left=3))
    with tempfile.TemporaryDirectory() as folder:
        sha256 = tour("digits", quick=True, out=Path(folder), say=lambda line: None).sha256
    same = sha256 == GOLDEN
    print(f"\ngolden file  {GOLDEN}\nhere         {sha256}")
    print("equal: a quick tour gives the same bits here" if same else "DIFFERENT: please report it, with this output")
    return 0 if same else 1


def run_reproduce(args: argparse.Namespace) -> int:
    from .reproduce import main

    return main(args.rows, seeds=args.seeds, jobs=args.jobs, folder=args.results, again=args.again)


def run_regenerate(args: argparse.Namespace) -> int:
    try:
        from .regenerate import regenerate
    except ImportError as error:
        print(f"minicompress: {error}. Hint: pip install -e '.[test]'.", file=sys.stderr)
        return 1
    regenerate(args.names)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 for a named error, 130 for Ctrl-C."""
    args = parser().parse_args(arguments)
    commands = {"tour": run_tour, "inspect": run_inspect, "fetch": run_fetch, "check": run_check,
                "reproduce": run_reproduce, "regenerate": run_regenerate}
    try:
        import scipy.linalg  # noqa: F401  (it brings a BLAS of its own, which must be there to be limited)

        with threadpool_limits(1):
            return commands[args.command](args)
    except MiniCompressError as error:
        print(f"minicompress: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nminicompress: stopped", file=sys.stderr)
        return 130
