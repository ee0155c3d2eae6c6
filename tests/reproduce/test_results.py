"""Result files: they give back what was put in, and give way to another protocol or release."""

import json

import pytest

from minicompress import __version__
from minicompress.errors import FormatError
from minicompress.reproduce import results
from minicompress.reproduce.row import Row

ROW = Row("tiny", "Nobody 2000, table 1", "Add one.", lambda seed: {"sum": seed + 1}, [])


def add(folder, row, seed, value):
    results.add(folder, row, seed, {"figures": {"sum": value}, "seconds": 2.5, **results.versions()})


def test_seeds_are_added_in_order_with_their_versions(tmp_path):
    for seed in (102, 9, 100):
        add(tmp_path, ROW, seed, seed + 1)
    found = results.read(tmp_path, ROW)
    assert list(found) == [9, 100, 102] and found[9]["figures"] == {"sum": 10} and found[9]["seconds"] == 2.5
    assert found[9]["minicompress"] == __version__ and {"python", "numpy", "scipy", "machine"} <= found[9].keys()
    content = json.loads((tmp_path / "tiny.json").read_text("utf-8"))
    assert (content["row"], content["paper"], content["protocol"]) == ("tiny", "Nobody 2000, table 1", "Add one.")


def test_another_protocol_starts_anew(tmp_path):
    add(tmp_path, ROW, 1, 2)
    changed = ROW._replace(protocol="Add two.")
    assert results.read(tmp_path, changed) == {}
    add(tmp_path, changed, 2, 4)
    assert list(results.read(tmp_path, changed)) == [2] and results.read(tmp_path, ROW) == {}


@pytest.mark.parametrize(("written", "running", "counts"), [
    ("0.1.0", "0.1.7", True), ("0.1.0", "0.2.0", False), ("1.1.0", "0.1.0", False), ("0.10.0", "0.1.0", False)])
def test_another_release_starts_anew_but_not_its_patches(written, running, counts, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "__version__", written)
    add(tmp_path, ROW, 1, 2)
    monkeypatch.setattr(results, "__version__", running)
    assert bool(results.read(tmp_path, ROW)) == counts


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"protocol": "Add one."}'])
def test_a_damaged_file_is_named_and_kept(content, tmp_path):
    (tmp_path / "tiny.json").write_bytes(content)
    for act in (lambda: results.read(tmp_path, ROW), lambda: add(tmp_path, ROW, 1, 2)):
        with pytest.raises(FormatError, match=r"tiny\.json.*Hint: remove it"):
            act()
    assert (tmp_path / "tiny.json").read_bytes() == content


BARE = {"figures": {}, "seconds": 1}


@pytest.mark.parametrize("seeds", [[], {"one": BARE}, {"1": 5}, {"1": {"seconds": 1}}, {"1": BARE},
                                   {"1": {**BARE, "minicompress": 2}}])
def test_what_is_no_result_is_named(seeds, tmp_path):
    content = {"protocol": ROW.protocol, "seeds": seeds}
    (tmp_path / "tiny.json").write_text(json.dumps(content))
    with pytest.raises(FormatError):
        results.read(tmp_path, ROW)
