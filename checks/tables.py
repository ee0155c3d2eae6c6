"""The tables of docs/reproducibility.md, from what the checks wrote into results/.

    python -m checks.tables           puts them in, after a check was run with --json results/NAME.json
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minicompress.table import table

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reproducibility.md"


def matrix(cells: list[dict[str, Any]]) -> str:
    """A row for each cell: what was in force, as NumPy and threadpoolctl said it, and what came out."""
    rows = []
    for cell in cells:
        asked = cell["cell"]
        core = asked["core"] if asked["core"] != "default" else f"default, {'+'.join(cell.get('BLAS', '?'))}"
        row = [asked["python"], cell.get("NumPy", asked["numpy"]), core, str(asked["threads"]), asked["simd"]]
        if "tour" in cell:
            same = list(cell["notebooks"].values())
            notebooks = f"{len(same)} equal" if all(same) else f"{same.count(False)} of {len(same)} DIFFERENT"
            rows.append([*row, cell["tour"][:12], "golden" if cell["check"] else "DIFFERENT", notebooks])
        else:
            rows.append([*row, "skipped" if "skipped" in cell else "FAILED", "", ""])
    header = ["Python", "NumPy", "BLAS kernel", "threads", "SIMD", "sha256 of the tour", "check", "notebooks"]
    return table(header, rows, left=len(header))


def fuzz(report: dict[str, Any]) -> str:
    """Counts by outcome, then the extremes."""
    outcomes = report["outcomes"]
    names = sorted({name for family in outcomes.values() for name in family})
    rows = [[name, *(f"{outcomes[family].get(name, 0):,}" for family in ("blind", "aware"))] for name in names]
    rows.append(["together", *(f"{sum(outcomes[family].values()):,}" for family in ("blind", "aware"))])
    slowest, memory = report["slowest"], report["memory beyond the announced arrays"]
    return (table(["outcome", "blind", "structure-aware"], rows) + f"\n\nfinds: {len(report['finds'])}\n"
            f"slowest: {slowest['seconds']} s of CPU time (mutant {slowest['mutant']})\n"
            f"most memory beyond the announced arrays: {memory['MiB']} MiB (mutant {memory['mutant']})")


def kills(report: dict[str, Any]) -> str:
    """Counts of both halves."""
    rows = [[f"while {half}: {name}", f"{count:,}"] for half in ("saving", "training")
            for name, count in report.get(half, {}).items()]  # fmt: skip
    return table(["what", "count"], [*rows, ["lost", report["lost"] or "nothing"]])


TABLES: dict[str, Callable[[Any], str]] = {"matrix": matrix, "fuzz": fuzz, "kills": kills}


def filled(page: str, results: Path) -> str:
    """The page with the table of each NAME.json in its block, which follows the line `<!-- NAME -->`."""
    for name, make in TABLES.items():
        path = results / f"{name}.json"
        if path.exists():
            start = f"<!-- {name} -->\n```text\n"
            before, _, after = page.partition(start)
            page = before + start + make(json.loads(path.read_text("utf-8"))) + "\n" + after[after.index("```") :]
    return page


def main() -> None:
    page = PAGE.read_text("utf-8")
    PAGE.write_text(filled(page, ROOT / "results"), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
