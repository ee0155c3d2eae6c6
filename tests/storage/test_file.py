"""The file: what frames the sections, what else might lie there, every damage, and every byte accounted for."""

import os
from pathlib import Path

import numpy as np
import pytest

from minicompress import errors, nn
from minicompress.errors import FormatError, StorageError, TruncatedError, VersionError
from minicompress.pruning.magnitude import prune
from minicompress.quantization.sharing import share
from minicompress.storage import Part, from_bytes, inspect, load, round_to, save, to_bytes
from minicompress.storage.codecs import CODEC_NAMES
from minicompress.storage.varint import varint


def compressed() -> nn.Layer:
    model = nn.Sequential([nn.Linear(8, 6, rng=0), nn.ReLU(), nn.Linear(6, 3, rng=1)])
    prune(model.weights(), 0.6)
    share(model.layers[0].weight, 4)
    model.layers[2].weight.freeze()
    round_to(model, "single")
    return model


DATA = to_bytes(compressed())
X = np.random.default_rng(0).random((5, 8))
LOGITS = nn.predict(compressed(), X).tobytes()


def is_refused(data: bytes) -> None:
    """Fails unless the bytes are the file itself, or refused with an error of format."""
    try:
        value = from_bytes(data)
    except FormatError:
        return
    assert data == DATA
    assert nn.predict(value, X).tobytes() == LOGITS


def test_every_truncation_is_refused() -> None:
    for end in range(len(DATA)):
        with pytest.raises(FormatError) as caught:
            from_bytes(DATA[:end])
        assert end < 3 or caught.type is TruncatedError


def test_every_flipped_bit_is_refused() -> None:
    for bit in range(8 * len(DATA)):
        data = bytearray(DATA)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError):
            from_bytes(bytes(data))


def test_no_bytes_may_follow() -> None:
    for more in (b"\0", b"\n", DATA):
        with pytest.raises(FormatError, match="follow"):
            from_bytes(DATA + more)


def test_random_damage_is_refused() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20_000):
        data, kind = bytearray(DATA), rng.integers(6)
        i, j = sorted(rng.integers(len(data), size=2))
        if kind == 0:
            data[i] = rng.integers(256)
        elif kind == 1:
            data[i:j] = rng.bytes(j - i)
        elif kind == 2:
            del data[i:j]
        elif kind == 3:
            data[i:i] = rng.bytes(rng.integers(20))
        elif kind == 4:
            data[i:j] = data[i:j][::-1]
        else:
            data[i:i] = data[i:j]
        is_refused(bytes(data))


@pytest.mark.parametrize(("content", "looks"), [
    (b"", "an empty file"),
    (b"<!DOCTYPE html><title>404</title>", "an HTML page"),
    (b"\r\n  <html>", "an HTML page"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a Git LFS pointer"),
    (b"PK\x03\x04" + DATA, "a zip archive"),
    (b"\x1f\x8b\x08" + DATA, "a gzip file"),
    (b"\x80\x04\x95\x10", "a pickle"),
    (b"\x93NUMPY\x01\x00", "a NumPy array"),
    (b"mcz\x01", "something else"),
    (b"\xef\xbb\xbfMCZ\x01", "something else"),
])
def test_other_files_are_named(content: bytes, looks: str, tmp_path: Path) -> None:
    path = tmp_path / "model.mcz"
    path.write_bytes(content)
    for read in (load, inspect):
        with pytest.raises(FormatError, match=f"looks like {looks}"):
            read(path)


def test_versions() -> None:
    for version in (2, 3, 255):
        with pytest.raises(VersionError, match=f"version {version}; this release reads up to 1. Hint: pip install"):
            from_bytes(DATA[:3] + bytes([version]) + DATA[4:])
    with pytest.raises(FormatError, match="never existed"):
        from_bytes(DATA[:3] + b"\0" + DATA[4:])
    with pytest.raises(VersionError):  # whatever else the newer format changes
        from_bytes(b"MCZ\x02")


def test_damage_is_told_apart() -> None:
    with pytest.raises(errors.ChecksumError, match="the section of structure was damaged"):
        from_bytes(DATA[:10] + bytes([DATA[10] ^ 1]) + DATA[11:])
    with pytest.raises(errors.ChecksumError, match="the section of arrays was damaged"):
        from_bytes(DATA[:-10] + bytes([DATA[-10] ^ 1]) + DATA[-9:])
    with pytest.raises(TruncatedError, match="announced"):
        from_bytes(DATA[:4] + varint(2**60) + DATA[5:])


def test_save_and_load(tmp_path: Path) -> None:
    path = tmp_path / "model.mcz"
    model = compressed()
    assert save(path, model) == os.path.getsize(path) == len(DATA)
    assert path.read_bytes() == DATA
    back = load(str(path))
    assert nn.predict(back, X).tobytes() == LOGITS
    save(path, back)
    assert path.read_bytes() == DATA
    assert [p.name for p in tmp_path.iterdir()] == ["model.mcz"]


def test_a_dictionary_of_models_and_notes(tmp_path: Path) -> None:
    path = tmp_path / "all.mcz"
    value = {"small": compressed(), "error": 0.025, "history": [(1, 0.5), (2, 0.25)], "order": np.arange(7)[::-1]}
    save(path, value)
    back = load(path)
    assert list(back) == list(value)
    assert back["history"] == value["history"]
    assert np.array_equal(back["order"], value["order"])
    assert to_bytes(back["small"]) == DATA


def test_inspect_accounts_for_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "model.mcz"
    save(path, compressed())
    parts = inspect(path)
    assert sum(part.bytes for part in parts) == os.path.getsize(path)
    assert [part.name for part in parts] == [
        "magic and version", "structure", "layers.0.weight.data", "layers.0.weight.parametrizations.0.codes",
        "layers.0.weight.parametrizations.1.mask", "layers.0.bias.data", "layers.2.weight.data",
        "layers.2.weight.parametrizations.0.mask", "layers.2.bias.data",
        "length and checksum of the structure", "length and checksum of the arrays"]
    assert parts[2] == Part("layers.0.weight.data", "single", 1 + 4 * 4)
    assert {part.codec for part in parts[2:9]} <= set(CODEC_NAMES)
    save(path, {"a": compressed(), "b": np.arange(3.0)})
    assert inspect(path)[-3].name == "b"
    save(path, np.arange(5))
    assert sum(part.bytes for part in inspect(path)) == os.path.getsize(path)


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.mcz"
    path.write_bytes(DATA[:-1])
    with pytest.raises(TruncatedError, match=r"model\.mcz: "):
        load(path)
    path.write_bytes(DATA)
    with pytest.raises(errors.LimitError, match=r"model\.mcz: .* allowed: 20"):
        load(path, max_weights=20)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_that_could_not_be_loaded_is_not_saved(value: float, tmp_path: Path) -> None:
    """A diverged network must not take the place of a good one."""
    path = tmp_path / "model.mcz"
    save(path, compressed())
    model = compressed()
    model.layers[0].weight.data[0] = value
    with pytest.raises(StorageError, match=r"could not be read again: .*NaN or infinite"):
        save(path, model)
    assert path.read_bytes() == DATA


def test_round_to_refuses_and_changes_nothing() -> None:
    model = nn.Sequential([nn.Linear(2, 2, rng=0), nn.Linear(2, 2, rng=1)])
    model.layers[1].weight.data[0, 0] = 1e5
    before = to_bytes(model)
    with pytest.raises(errors.RangeError, match="100000 does not fit half precision; allowed: ≤ 65504"):
        round_to(model, "half")
    with pytest.raises(errors.RangeError, match="Did you mean 'half'"):
        round_to(model, "hlf")
    assert to_bytes(model) == before
