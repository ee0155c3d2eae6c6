"""Files that appear whole or not at all: full disks, kills, two writers, and everything that is not a file."""

import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import minicompress
from minicompress.errors import StorageError
from minicompress.storage import disk, load, save
from minicompress.storage.disk import read_bytes, write_bytes

if os.name == "posix":
    import resource

posix = pytest.mark.skipif(os.name != "posix", reason="needs fork, signals and resource limits")


def run(function: Callable[[str], object], path: Path) -> str:
    """What a function of this file prints in a Python of its own; fails with its traceback."""
    environment = {**os.environ, "PYTHONPATH": str(Path(minicompress.__file__).parents[1])}
    done = subprocess.run([sys.executable, __file__, function.__name__, str(path)], env=environment, text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_write_and_replace(tmp_path: Path) -> None:
    path = tmp_path / "a[1]*.mcz"
    for data in (b"first", b"", b"second\r\n\x1a\0"):
        write_bytes(str(path), data)
        assert read_bytes(path) == data
        assert names(tmp_path) == [path.name]


@posix
def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "ours", b"")
    (tmp_path / "other").write_bytes(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "other").stat().st_mode


@posix
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    write_bytes(tmp_path / "link", b"data")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"data"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.mcz", tmp_path, "a\0b"):
        with pytest.raises(StorageError, match="cannot be read: "):
            read_bytes(path)
    with pytest.raises(StorageError, match=r"missing\.mcz cannot be read: No such file or directory"):
        read_bytes(tmp_path / "missing.mcz")
    with pytest.raises(StorageError, match="3 cannot be read: expected str"):
        read_bytes(3)  # type: ignore[arg-type]


def test_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    places = [tmp_path / "missing" / "a.mcz", tmp_path / "file" / "a.mcz", tmp_path / "folder", "a\0b",
              tmp_path / ("a" * 300), {"a model": 1}]
    if os.name == "posix":
        os.mkfifo(tmp_path / "pipe")
        places.append(tmp_path / "pipe")
    before = names(tmp_path)
    for place in places:
        with pytest.raises(StorageError, match=r"cannot be written: .* What was there before is unchanged"):
            write_bytes(place, b"new")
    assert names(tmp_path) == before
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path / "folder") == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a.mcz", b"old")
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="Permission denied"):
        write_bytes(tmp_path / "a.mcz", b"new")
    assert read_bytes(tmp_path / "a.mcz") == b"old"
    tmp_path.chmod(0o000)
    with pytest.raises(StorageError, match="Permission denied"):
        read_bytes(tmp_path / "a.mcz")
    tmp_path.chmod(0o700)


def test_only_our_old_temporary_files_are_removed(tmp_path: Path) -> None:
    """Also where the clock was wrong: what seems to come from the future is young."""
    ages = {".minicompress-01.tmp": 3700, ".minicompress-02.tmp": 3500, ".minicompress-03.tmp": -10**6,
            ".other-04.tmp": 10**6, ".minicompress-05.mcz": 10**6, "minicompress-06.tmp": 10**6}
    for name, age in ages.items():
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    write_bytes(tmp_path / "a.mcz", b"")
    assert names(tmp_path) == sorted({*ages, "a.mcz"} - {".minicompress-01.tmp"})


def as_on_windows(monkeypatch: pytest.MonkeyPatch, failures: int) -> list[float]:
    """Let `os.replace` fail so often, as where another program holds the file; the pauses in between."""
    pauses: list[float] = []
    left = [failures]

    def replace(source: object, target: object) -> None:
        if left[0]:
            left[0] -= 1
            raise PermissionError(13, "The process cannot access the file")
        os.replace(source, target)

    monkeypatch.setattr(disk, "os", types.SimpleNamespace(**{**vars(os), "name": "nt", "replace": replace}))
    monkeypatch.setattr(disk.time, "sleep", pauses.append)
    return pauses


def test_a_file_in_use_is_tried_again_for_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mcz"
    path.write_bytes(b"old")
    pauses = as_on_windows(monkeypatch, failures=9)
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert sum(pauses) < 1
    as_on_windows(monkeypatch, failures=10)
    with pytest.raises(StorageError, match="The process cannot access the file"):
        write_bytes(path, b"newer")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.mcz"]


def full_disk(path: str) -> None:
    """The limit of a process on file sizes stands for the disk: writing fails in the middle of the file."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    save(path, np.arange(1000.0))
    try:
        save(path, np.arange(100_000.0) / 7)
    except StorageError as error:
        print(error)
    assert np.array_equal(load(path), np.arange(1000.0))


@posix
def test_a_full_disk(tmp_path: Path) -> None:
    said = run(full_disk, tmp_path / "a.mcz")
    assert "a.mcz cannot be written: File too large. What was there before is unchanged." in said
    assert names(tmp_path) == ["a.mcz"]


def killed(path: str) -> None:
    """Whatever moment the kill comes: the newest file that was complete is there, and no older one."""
    def value(n: int) -> dict:
        return {"n": n, "x": np.random.default_rng(n).random(3000 + 500 * (n % 9))}

    rng, last = np.random.default_rng(0), -1
    for kill in range(20):
        if (child := os.fork()) == 0:
            for n in range(last + 1, 10**6):
                save(path, value(n))
        time.sleep(rng.uniform(0.005, 0.08) if kill else 0.3)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = load(path)
        assert found["n"] >= last
        assert np.array_equal(found["x"], value(found["n"])["x"])
        last = found["n"]
    print(last)


@posix
def test_killed_while_saving(tmp_path: Path) -> None:
    assert int(run(killed, tmp_path / "a.mcz")) >= 5


def two_writers(path: str) -> None:
    """Two processes save different values all the time, a third one reads: which of them has it seen?"""
    end, seen, children = time.time() + 1, set(), []
    values = [np.full(2000, 0.1), np.random.default_rng(0).random(5000)]
    save(path, values[0])
    for value in values:
        if (child := os.fork()) == 0:
            while time.time() < end:
                save(path, value)
            os._exit(0)
        children.append(child)
    while time.time() < end:
        found = load(path)
        same = [np.array_equal(found, value) for value in values]
        assert any(same)
        seen.add(same.index(True))
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    print(sorted(seen))


@posix
def test_two_writers_and_a_reader(tmp_path: Path) -> None:
    assert run(two_writers, tmp_path / "a.mcz") == "[0, 1]\n"
    assert names(tmp_path) == ["a.mcz"]


if __name__ == "__main__":
    {f.__name__: f for f in (full_disk, killed, two_writers)}[sys.argv[1]](sys.argv[2])
