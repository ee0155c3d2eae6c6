"""What the repository stores of its notebooks: outputs, verdicts and figures, all made by the one command.

nbval compares outputs, but passes a notebook without any; these tests demand them.
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from minicompress.regenerate import figures

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_figures_of_lectures_are_those_of_the_notebooks() -> None:
    stored = {path.name: path.read_bytes() for path in (ROOT / "lectures" / "figures").glob("*")}
    drawn = {name: picture for path in NOTEBOOKS for name, picture in figures(path).items()}
    assert sorted(stored) == sorted(drawn)
    assert not [name for name in stored if stored[name] != drawn[name]], "minicompress regenerate writes them"
    text = "".join(path.read_text("utf-8") for path in (ROOT / "lectures").glob("*.md"))
    assert not [name for name in stored if f"figures/{name})" not in text]


def code_cells() -> Iterator[tuple[str, dict]]:
    """(name of the cell, cell) for every code cell of every notebook."""
    for path in NOTEBOOKS:
        cells = [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
        yield from ((f"{path.stem}, code cell {i}", cell) for i, cell in enumerate(cells, start=1))


def shows(source: str) -> bool:
    """Whether a cell must leave an output: it calls print, or ends in a value other than what a call returns."""
    body = ast.parse(source).body
    prints = any(isinstance(s, ast.Expr) and ast.unparse(s).startswith("print(") for s in body)
    return prints or (isinstance(body[-1], ast.Expr) and not isinstance(body[-1].value, ast.Call))


def test_notebooks_were_run_from_top_to_bottom() -> None:
    assert not [name for name, cell in code_cells() if cell["execution_count"] != int(name.split()[-1])]


def test_notebooks_keep_their_outputs() -> None:
    cells = list(code_cells())
    assert not [name for name, cell in cells if shows("".join(cell["source"])) and not cell["outputs"]]
    images = [name.split(",")[0] for name, cell in cells for o in cell["outputs"] if "image/png" in o.get("data", {})]
    assert not [path.stem for path in NOTEBOOKS if images.count(path.stem) < 2], "a notebook has two figures or more"


def test_notebooks_show_neither_errors_nor_machines() -> None:
    machine = re.compile(r"\bat 0x[0-9a-f]+|np\.(?:float|int)\d*\(|/home/|/tmp/|/Users/|[A-Z]:\\\\")
    wrong = []
    for name, cell in code_cells():
        wrong += [name for o in cell["outputs"] if o["output_type"] == "error" or o.get("name") == "stderr"]
        texts = ["".join(o.get("text", o.get("data", {}).get("text/plain", ""))) for o in cell["outputs"]]
        wrong += [f"{name}: {found[0]}" for text in texts if (found := machine.search(text))]
    assert not wrong


def test_notebooks_are_made_by_the_one_command() -> None:
    """Cell ids and metadata are fixed, so that a second run leaves no diff: no timing, one kernel name."""
    wrong = []
    for path in NOTEBOOKS:
        notebook = json.loads(path.read_text("utf-8"))
        ids = [cell.get("id") for cell in notebook["cells"]]
        timed = any("execution" in cell["metadata"] for cell in notebook["cells"])
        if None in ids or len(set(ids)) < len(ids) or timed or notebook["metadata"]["kernelspec"]["name"] != "python3":
            wrong.append(path.stem)
    assert not wrong


def test_tags_are_known() -> None:
    """nbval passes over a tag that it does not know, such as NBVAL_IGNORE_OUTPUT, and compares the cell."""
    tags = [(name, tag) for name, cell in code_cells() for tag in cell["metadata"].get("tags", [])]
    assert not [(name, tag) for name, tag in tags if tag != "nbval-ignore-output" and not tag.startswith("figure-")]
