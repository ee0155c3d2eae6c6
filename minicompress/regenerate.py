"""Run the course's notebooks from a fresh kernel and store their outputs, so that a second run leaves no diff.

Cells get fixed ids, and nothing that differs between machines (timings, versions) is kept. From the stored outputs come
lectures/claims.md, all verdicts, and lectures/figures/NAME.png, the picture of the cell with the tag figure-NAME.
"""

from __future__ import annotations

import base64
import itertools
import os
from pathlib import Path
from typing import Any

import nbclient
import nbformat

from .errors import DataUnavailable
from .table import table
from .verdict import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED

WORDS = {REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE}
HEADER = ["claim", "evidence", "verdict"]


def course(root: Path | None = None) -> Path:
    """The folder with lectures/ and notebooks/: the checkout that the package stands in.   Raises DataUnavailable."""
    root = root or Path(__file__).resolve().parent.parent
    if not (root / "notebooks").is_dir():
        raise DataUnavailable(f"there are no notebooks in {root}; allowed: an editable install from a checkout. "
                              f"Hint: pip install -e . there.")
    return root


def execute(path: Path) -> None:
    """Run one notebook and write it back with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "TQDM_DISABLE"):
        os.environ[name] = "1"
    nbclient.NotebookClient(notebook, timeout=600, record_timing=False, kernel_name="python3",
                            resources={"metadata": {"path": str(path.parent)}}).execute()
    clean(notebook)
    nbformat.write(notebook, path)


def clean(notebook: Any) -> None:
    """Fixed cell ids, no metadata but tags, neighbouring prints joined: what a second run would write again."""
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                         "language_info": {"name": "python"}}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i:02d}"
        cell.metadata = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
        if cell.cell_type == "code":
            cell.outputs = join_streams(cell.outputs)


def join_streams(outputs: list[Any]) -> list[Any]:
    """Outputs without metadata, and what was printed in several pieces in one."""
    joined: list[Any] = []
    for output in outputs:
        if "metadata" in output:
            output.metadata = {}
        if joined and output.output_type == "stream" and output.name == joined[-1].get("name"):
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def verdicts(path: Path) -> list[list[str]]:
    """The rows of the verdict tables among a notebook's stored outputs."""
    rows = []
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            lines = output.get("text", "").splitlines()
            for i, line in enumerate(lines):
                if line.split() == HEADER:
                    rows += rows_below(lines[i + 1 :])
    return rows


def rows_below(lines: list[str]) -> list[list[str]]:
    """The cells of a verdict table, from its rule on: every row ends in one of the verdicts, what is printed next
    does not."""
    starts = [0, *(i for i in range(2, len(lines[0])) if lines[0][i - 2 : i + 1] == "  -")]
    columns = list(zip(starts, [*starts[1:], None], strict=True))
    rows = ([line[a:b].strip() for a, b in columns] for line in lines[1:])
    return list(itertools.takewhile(lambda row: row[-1] in WORDS, rows))


def figures(path: Path) -> dict[str, bytes]:
    """File name → PNG of every cell of a notebook with a tag figure-NAME."""
    found: dict[str, bytes] = {}
    for cell in nbformat.read(path, as_version=4).cells:
        names = [tag.removeprefix("figure-") for tag in cell.metadata.get("tags", []) if tag.startswith("figure-")]
        pictures = [o.data["image/png"] for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
        found |= {f"{name}.png": base64.b64decode(pictures[0]) for name in names}
    return found


def claims(root: Path | None = None) -> str:
    """The text of lectures/claims.md: every verdict of the course, lecture by lecture."""
    parts = ["# Claims and verdicts\n\nGenerated from the notebooks' stored outputs by `minicompress regenerate`; the "
             "rules are in `minicompress/verdict.py`.\n"]
    for path in sorted((course(root) / "notebooks").glob("*.ipynb")):
        if rows := verdicts(path):
            parts.append(f"## {path.stem}\n\n```text\n{table(HEADER, rows, left=3)}\n```\n")
    return "\n".join(parts)


def regenerate(names: list[str], root: Path | None = None) -> list[Path]:
    """Run the notebooks whose names start so (all, if none is named); rewrite their figures and lectures/claims.md."""
    root = course(root)
    paths = [path for path in sorted((root / "notebooks").glob("*.ipynb"))
             if not names or any(path.name.startswith(name) for name in names)]
    for path in paths:
        print(path.name, flush=True)
        execute(path)
        for name, picture in figures(path).items():
            (root / "lectures" / "figures" / name).write_bytes(picture)
    (root / "lectures" / "claims.md").write_text(claims(root), encoding="utf-8", newline="\n")
    return paths
