"""The table of speed: every job against its peers, into results/speed.json, results/speed.png and docs/benchmarks.md.

    python -m benchmarks.speed               all jobs, some minutes
    python -m benchmarks.speed CNN LeNet-5   the jobs with these words in their names; the other rows stay as they are
"""

import argparse
import json
import platform
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from minicompress.table import table

from . import compression, curvature, growth, training
from .timing import Row, measure

ROOT = Path(__file__).resolve().parents[1]
HEADER = ["job", "peer", "ours", "its time", "ratio", "min - max", "target", "met"]
PACKAGES = ("numpy", "torch", "scikit-learn", "dahuffman")


def seconds(value: float) -> str:
    """0.000123 as "123 µs"."""
    unit, factor = ("s", 1) if value >= 1 else ("ms", 1e3) if value >= 1e-3 else ("µs", 1e6)
    return f"{factor * value:.3g} {unit}"


def rows_table(rows: list[Row]) -> str:
    cells = []
    for row in rows:
        target, met = ("", "") if row.target is None else (f"{row.target:.2f}", "yes" if row.is_met else "NO")
        cells.append([row.job, row.peer, seconds(row.our_seconds), seconds(row.peer_seconds), f"{row.ratio:.2f}",
                      f"{row.low:.2f} - {row.high:.2f}", target, met])
    return table(HEADER, cells, left=2)


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """What was measured: Python, the machine, the packages that are installed."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def facts(turns: int) -> str:
    """What stands below the table."""
    gaps = ", ".join(f"{name} {gap:.1e}" for name, gap in compression.inertia_gaps().items())
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    return f"k-means, inertia above the least one: {gaps}\n{turns} turns; {packages}"


def replace_block(path: Path, text: str, fence: str = "```text\n") -> None:
    """Put `text` between the first `fence` of a page and the ``` that closes it."""
    before, _, rest = path.read_text("utf-8").partition(fence)
    _, _, after = rest.partition("```")
    path.write_text(f"{before}{fence}{text}\n```{after}", encoding="utf-8", newline="\n")


def record(name: str, description: str, measured: Callable[[int], Iterable[dict[str, Any]]],
           text: Callable[[list[dict[str, Any]]], str], *, packages: Sequence[str] = ("numpy",),
           **facts: Any) -> list[dict[str, Any]]:
    """The command of a benchmark that keeps records: measured(turns) gives them, text(records) is their table.

    They go into results/NAME.json, with what else is given, and the table into the block NAME of docs/benchmarks.md.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description.split("\n")[0])
    parser.add_argument("--turns", type=int, default=21, help="how often the contenders take turns (default 21)")
    turns = parser.parse_args().turns
    records, found = list(measured(turns)), versions(packages)
    print(text(records))
    content = {"versions": found, "turns": turns, **facts, "rows": records}
    path = ROOT / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8", newline="\n")
    below = f"{turns} turns; " + ", ".join(f"{key} {value}" for key, value in found.items())
    replace_block(ROOT / "docs" / "benchmarks.md", f"{text(records)}\n\n{below}", f"```text {name}\n")
    return records


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__.split("\n")[0])
    parser.add_argument("words", nargs="*", help="measure only jobs with one of these words in their names")
    parser.add_argument("--turns", type=int, default=31, help="how often the contenders take turns (default 31)")
    args = parser.parse_args()
    setting = {"versions": versions(), "turns": args.turns}
    jobs = [*training.jobs(), *compression.jobs(), *curvature.jobs()]
    measured: dict[str, list[Row]] = {}
    for job in jobs:
        if not args.words or any(word in job.name for word in args.words):
            print(job.name, flush=True)
            measured[job.name] = measure(job, args.turns)
    print("\n" + rows_table([row for rows in measured.values() for row in rows]))
    results = ROOT / "results"
    results.mkdir(exist_ok=True)
    if args.words:
        kept = json.loads((results / "speed.json").read_text("utf-8"))
        if {key: kept[key] for key in setting} != setting:
            print("not kept: the other rows were measured with other versions or turns")
            return
        grown, fresh = kept["growth"], set(measured)
        for row in (Row(**fields) for fields in kept["rows"]):
            if row.job not in fresh:
                measured.setdefault(row.job, []).append(row)
    else:
        grown = growth.growth(max(args.turns // 4, 1))
        growth.draw(grown, results / "speed.png")
    rows = [row for job in jobs for row in measured.get(job.name, [])]
    content = {**setting, "rows": [row._asdict() for row in rows], "growth": grown}
    (results / "speed.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8", newline="\n")
    replace_block(ROOT / "docs" / "benchmarks.md", f"{rows_table(rows)}\n\n{facts(args.turns)}")


if __name__ == "__main__":
    main()
