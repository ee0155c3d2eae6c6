"""A regenerated notebook is the same each time, and its verdicts end in the table of claims."""

import nbformat
import pytest

from minicompress.errors import DataUnavailable
from minicompress.regenerate import claims, course, join_streams, regenerate, verdicts

CELLS = [
    "import sys\nfrom IPython.display import Image\nprint('one')\nsys.stdout.flush()\nprint('two')\n"
    "Image(b'a picture', format='png')",
    "from minicompress.verdict import exact, show, verdict\nrows = [exact('a claim that is long', True, '1 = 1'),\n"
    "        verdict('short', [1.0, 1.5, 2.0, 1.2, 1.1])]\nshow(rows)",
]


@pytest.fixture
def root(tmp_path):
    for name in ("notebooks", "lectures/figures"):
        (tmp_path / name).mkdir(parents=True)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A title"),
                                               *map(nbformat.v4.new_code_cell, CELLS)])
    notebook.cells[1].metadata = {"tags": ["figure-00_one"], "collapsed": True}
    nbformat.write(notebook, tmp_path / "notebooks" / "00_small.ipynb")
    return tmp_path


def test_a_second_run_leaves_no_difference_and_claims_are_gathered(root):
    path = root / "notebooks" / "00_small.ipynb"
    assert regenerate([], root) == [path] and regenerate(["01"], root) == []
    first = path.read_text(encoding="utf-8")
    regenerate(["00"], root)
    assert path.read_text(encoding="utf-8") == first
    notebook = nbformat.read(path, as_version=4)
    assert [cell.id for cell in notebook.cells] == ["cell-00", "cell-01", "cell-02"]
    assert notebook.cells[1].metadata == {"tags": ["figure-00_one"]}
    assert "version" not in notebook.metadata.language_info
    assert notebook.cells[1].outputs[0].text == "one\ntwo\n"
    assert (root / "lectures" / "figures" / "00_one.png").read_bytes() == b"a picture"
    assert [cell.execution_count for cell in notebook.cells[1:]] == [1, 2]
    assert verdicts(path) == [["a claim that is long", "1 = 1", "REPRODUCED"],
                              ["short", "+1.4 ± 0.5 points, 5 seeds", "REPRODUCED"]]
    text = (root / "lectures" / "claims.md").read_text(encoding="utf-8")
    assert text == claims(root) and "## 00_small" in text and "a claim that is long  1 = 1" in text


def test_verdicts_are_found_between_other_outputs_of_their_cell(tmp_path):
    tables = ["a table  x\n-------  -\nrow      1",
              "claim  evidence    verdict\n-----  ----------  ----------\none    1 = 1       REPRODUCED",
              "mean   of 3 seeds",
              "claim  evidence  verdict\n-----  --------  --------------\ntwo    1 = 2     NOT REPRODUCED\n"]
    cell = nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("stream", name="stdout", text="\n".join(tables))])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "00.ipynb")
    assert verdicts(tmp_path / "00.ipynb") == [["one", "1 = 1", "REPRODUCED"], ["two", "1 = 2", "NOT REPRODUCED"]]


def test_outputs_that_are_no_streams_stay_apart():
    def stream(name, text):
        return nbformat.v4.new_output("stream", name=name, text=text)

    picture = nbformat.v4.new_output("display_data", data={"text/plain": "x"}, metadata={"width": 3})
    joined = join_streams([stream("stdout", "a"), stream("stdout", "b"), picture, stream("stdout", "c"),
                           stream("stderr", "d")])
    assert [o.get("text") for o in joined] == ["ab", None, "c", "d"] and joined[1].metadata == {}


def test_without_a_checkout_the_message_says_what_to_do(tmp_path):
    with pytest.raises(DataUnavailable, match="editable install"):
        course(tmp_path)
