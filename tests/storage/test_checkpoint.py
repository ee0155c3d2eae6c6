"""Checkpoints: a training that was killed ends with the bits of one that was not."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import minicompress
from minicompress import nn
from minicompress.data import digits
from minicompress.errors import FormatError, LimitError, StateError
from minicompress.pruning.magnitude import prune
from minicompress.storage import Checkpoint, inspect, load, save, to_bytes


def start(path: str | Path | None, epochs: int = 4, patience: int | None = None,
          layers: int = 1) -> tuple[nn.Layer, Iterator[nn.Record]]:
    """A pruned network with dropout, and its training, which a generator shared by both makes random."""
    rng, data = np.random.default_rng(1), digits()
    hidden = [layer for _ in range(layers) for layer in (nn.BatchNorm(12), nn.ReLU(), nn.Dropout(0.2, rng=rng))]
    model = nn.Sequential([nn.Linear(64, 12, rng=rng), *hidden, nn.Linear(12, 10, rng=rng)])
    prune(model.weights(), 0.5)
    optimizer = nn.Adam(model.parameters(), 0.01 if patience is None else 0.2)
    return model, nn.train(model, optimizer, data.train, epochs=epochs, rng=rng, validation=data.validation,
                           schedule=nn.cosine, patience=patience, progress=False,
                           saver=None if path is None else Checkpoint(path))


def losses(records: Iterator[nn.Record]) -> list[tuple[float, float]]:
    return [(record.loss, record.error) for record in records]


def killed(path: str) -> None:
    """Kill the training at random moments until it ends; the last run finds it finished. Prints the number of kills."""
    model, records = start(None)
    expected, kills, rng = losses(records), 0, np.random.default_rng(0)
    while True:
        if (child := os.fork()) == 0:
            for _ in start(path)[1]:
                time.sleep(0.02)
            os._exit(0)
        time.sleep(rng.uniform(0.05, 0.15) * 1.2**kills)
        os.kill(child, signal.SIGKILL)
        if os.WIFEXITED(os.waitpid(child, 0)[1]):
            break
        kills += 1
    again, records = start(path)
    assert losses(records) == expected
    assert to_bytes(again) == to_bytes(model)
    print(kills)


@pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")
def test_killed_again_and_again(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(minicompress.__file__).parents[1])}
    done = subprocess.run([sys.executable, __file__, str(tmp_path / "run.mcz")], env=environment, text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 1


@pytest.mark.parametrize("patience", [None, 1])
def test_interrupted_after_any_epoch(patience: int | None, tmp_path: Path) -> None:
    """Also with the weights of the best epoch, which only the checkpoint knows."""
    model, records = start(None, 5, patience)
    expected = losses(records)
    for stop in range(1, len(expected) + 1):
        path = tmp_path / f"{stop}.mcz"
        assert losses(itertools.islice(start(path, 5, patience)[1], stop)) == expected[:stop]
        again, records = start(path, 5, patience)
        assert losses(records) == expected
        assert to_bytes(again) == to_bytes(model)


def test_no_file_means_the_beginning(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "none.mcz").load() is None
    assert Checkpoint(str(tmp_path / "missing" / "none.mcz")).load() is None


def test_what_is_not_a_checkpoint_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "run.mcz"
    for value in (nn.Sequential([]), [1, 2], {"model": nn.Sequential([])}):
        save(path, value)
        with pytest.raises(FormatError, match=r"run\.mcz .*checkpoint"):
            start(path)
    path.write_bytes(b"<html>")
    with pytest.raises(FormatError, match="HTML"):
        start(path)
    assert path.read_bytes() == b"<html>"


def test_another_run_is_refused_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "run.mcz"
    list(start(path, 1)[1])
    before = path.read_bytes()
    with pytest.raises(StateError, match="another run"):
        start(path, 2)
    with pytest.raises(ValueError, match="another architecture"):
        start(path, 1, layers=2)
    assert path.read_bytes() == before


def test_a_checkpoint_is_a_file_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "run.mcz"
    list(start(path, 1)[1])
    assert sum(part.bytes for part in inspect(path)) == os.path.getsize(path)
    state = load(path)
    assert state["records"][0][0] == 1
    assert "model.layers.0.weight.data" in {part.name for part in inspect(path)}
    with pytest.raises(LimitError):
        Checkpoint(path, max_weights=1000).load()
    assert Checkpoint(path, max_weights=10_000).load() is not None


if __name__ == "__main__":
    killed(sys.argv[1])
