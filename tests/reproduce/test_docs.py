"""docs/reproduce.md and results/: the table is the one that the results give, and the example works."""

import json
import re
from pathlib import Path

import pytest

from minicompress.reproduce import ROWS, main, results
from minicompress.reproduce.report import report

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reproduce.md").read_text("utf-8")


@pytest.mark.parametrize("name", ROWS)
def test_every_row_was_run_and_its_table_is_shown(name):
    row, said = ROWS[name], []
    found = results.read(ROOT / "results", row)
    assert len(found) >= row.seeds, f"run it: minicompress reproduce {name}"
    report(row, found, list(found), said.append)
    assert "\n".join(said).strip() in PAGE, "the table is not the one in the page: minicompress reproduce --seeds 0"


def test_no_results_of_rows_that_are_gone():
    kept = {path.stem: json.loads(path.read_text("utf-8")) for path in (ROOT / "results").glob("*.json")}
    assert {name for name, content in kept.items() if "protocol" in content} == set(ROWS)


def test_the_example_is_a_row(tmp_path):
    example = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    names = {}
    exec(example, names)
    said = []
    assert main(rows={"linear": names["LINEAR"]}, folder=tmp_path, jobs=1, say=said.append) == 0
    assert said[-1].endswith("yes") and "3 of" not in said[-1]
