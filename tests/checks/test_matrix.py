"""Two cells of the matrix, with this Python, on the quick tour alone: as unlike as one machine can make them."""

import itertools
import sys
from pathlib import Path

import pytest

from checks.matrix import CELLS, OLDEST_NUMPY, ROOT, Cell, Skipped, environment, interpreter, joined, line, probe, tour
from minicompress.cli import GOLDEN

UNLIKE = [Cell("this", "this", "Nehalem", 1, "restricted"), Cell("this", "this", "Haswell", 2, "full")]


@pytest.mark.parametrize("cell", UNLIKE, ids=lambda cell: cell.core)
def test_two_unlike_cells_give_the_golden_file(cell: Cell, tmp_path: Path) -> None:
    variables = environment(cell, Path(sys.executable), tmp_path)
    try:
        probe(cell, Path(sys.executable), variables)
    except Skipped as reason:
        pytest.skip(str(reason))
    assert tour(sys.executable, variables, ROOT, "--quick") == GOLDEN


def test_every_pair_of_settings_has_its_cell_but_for_core_type_and_python() -> None:
    settings = {name: {getattr(cell, name) for cell in CELLS} for name in Cell._fields}
    assert settings["core"] == {"Nehalem", "Sandybridge", "Haswell", "SkylakeX", "default"}
    assert settings["python"] == set(OLDEST_NUMPY) and settings["threads"] == {1, 2}
    for a, b in itertools.combinations(Cell._fields, 2):
        found = {(getattr(cell, a), getattr(cell, b)) for cell in CELLS}
        assert len(found) == len(settings[a]) * len(settings[b]) or {a, b} == {"python", "core"}, (a, b)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(Skipped, match=r"no Python 3\.2 on this machine"):
        interpreter("3.2")
    assert "skipped: no Python 3.2" in line(UNLIKE[0], {"skipped": "no Python 3.2 on this machine"})
    cell = UNLIKE[0]._replace(core="NoSuchCore", simd="full")
    with pytest.raises(Skipped, match="asked for NoSuchCore"):
        probe(cell, Path(sys.executable), environment(cell, Path(sys.executable), tmp_path))


def test_notebooks_of_an_earlier_run_count_in_the_same_environment_only() -> None:
    before = {"Python": "3.11", "tour": "a", "notebooks": {"00": True, "01": True}, "differences": ""}
    found = {**before, "notebooks": {"01": False}, "differences": "01 differs"}
    assert joined(before, found) == {**found, "notebooks": {"00": True, "01": False}}
    assert joined({**before, "tour": "b"}, found) == found == joined({}, found)
    assert joined(found, {**before, "notebooks": {"01": True}})["differences"] == ""
