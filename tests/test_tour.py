"""The main job, for real: a tour on the digits, its files, and the same bits every time."""

import gzip
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from minicompress import cli, data, storage
from minicompress.errors import DataUnavailable, RangeError, StorageError
from minicompress.nn import error, predict
from minicompress.tour import DATA, tour


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return tour("digits", seed=0, out=tmp_path_factory.mktemp("tour") / "new" / "folder", say=lambda line: None)


def test_fifty_times_smaller_at_no_more_than_half_a_point(whole):
    dense, final = whole.ledger.stages[0], whole.ledger.stages[-1]
    path = whole.folder / "model.mcz"
    assert 4 * dense.weights / os.path.getsize(path) >= 50
    assert final.error <= dense.error + 0.005 and dense.error < 0.03


def test_the_file_is_the_network_of_the_last_row(whole):
    final, x, labels = whole.ledger.stages[-1], *data.digits().test
    path = whole.folder / "model.mcz"
    assert final.bytes == os.path.getsize(path) == sum(part.bytes for part in storage.inspect(path))
    again = storage.load(path)
    assert error(again, x, labels) == final.error
    assert np.array_equal(predict(again, x), predict(whole.final, x))
    assert storage.to_bytes(again) == path.read_bytes()
    assert whole.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_ledger_has_every_stage_and_never_grows(whole):
    stages = json.loads((whole.folder / "ledger.json").read_text(encoding="utf-8"))
    assert [s["name"] for s in stages] == [s.name for s in whole.ledger.stages]
    assert all(list(s) == ["name", "error", "weights", "trained", "nonzero", "macs", "bytes", "ratio", "seconds"]
               for s in stages)
    for field in ("trained", "nonzero", "bytes"):
        assert [s[field] for s in stages] == sorted((s[field] for s in stages), reverse=True)
    assert len({s["weights"] for s in stages}) == len({s["macs"] for s in stages}) == 1
    assert len(stages) == 1 + len(DATA["digits"][1].densities) + 4


def test_the_report_stands_alone(whole):
    page = (whole.folder / "report.html").read_text(encoding="utf-8")
    assert all(stage.name in page for stage in whole.ledger.stages) and whole.sha256 in page


def test_a_quick_tour_gives_the_golden_file_and_another_seed_another(tmp_path):
    quick = tour("digits", quick=True, out=tmp_path / "a", say=lambda line: None)
    assert quick.sha256 == cli.GOLDEN
    assert tour("digits", quick=True, seed=1, out=tmp_path / "b", say=lambda line: None).sha256 != cli.GOLDEN


def write_idx(path: Path, a: np.ndarray) -> None:
    head = bytes([0, 0, 8, a.ndim]) + b"".join(n.to_bytes(4, "big") for n in a.shape)
    path.write_bytes(gzip.compress(head + a.astype(np.uint8).tobytes()))


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_a_tour_on_files_in_mnists_format(name, tmp_path, monkeypatch):
    folder = tmp_path / "data" / name
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 256, (10, 28, 28))
    for prefix, n in (("train", 240), ("t10k", 60)):
        labels = np.arange(n) % 10
        images = np.clip(patterns[labels] + rng.integers(-60, 60, (n, 28, 28)), 0, 255)
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", labels)
    monkeypatch.setenv("MINICOMPRESS_DATA", str(tmp_path / "data"))
    result = tour(name, quick=True, out=tmp_path / "out", say=lambda line: None)
    assert result.ledger.stages[0].weights == 266_610 and (tmp_path / "out" / "report.html").exists()
    assert result.final.weights()[0].data.dtype == np.float32


def test_the_real_mnist_gets_many_times_smaller(tmp_path):
    if not (Path(os.environ.get("MINICOMPRESS_DATA", "")) / "mnist").is_dir():
        pytest.skip("MNIST is not here: set MINICOMPRESS_DATA to a folder with mnist/")
    result = tour("mnist", quick=True, out=tmp_path, say=lambda line: None)
    dense, final = result.ledger.stages[0], result.ledger.stages[-1]
    assert final.ratio > 20 and dense.error < 0.03 and final.error < dense.error + 0.01


def test_bad_arguments_are_named_before_anything_is_written(tmp_path):
    with pytest.raises(RangeError, match="Did you mean 'digits'"):
        tour("digit", out=tmp_path / "x")
    with pytest.raises(RangeError, match="seed"):
        tour(seed=-1, out=tmp_path / "x")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Hint: --out"):
        tour(out=tmp_path / "file" / "x")
    assert not (tmp_path / "x").exists()


def test_without_mnist_and_without_a_network_the_message_helps(tmp_path, monkeypatch):
    monkeypatch.setenv("MINICOMPRESS_DATA", str(tmp_path))
    monkeypatch.setattr("minicompress.data.mnist", lambda: (_ for _ in ()).throw(DataUnavailable("train-images")))
    monkeypatch.setitem(DATA, "mnist", (data.mnist, DATA["mnist"][1]))
    with pytest.raises(DataUnavailable):
        tour("mnist", out=tmp_path / "x")
