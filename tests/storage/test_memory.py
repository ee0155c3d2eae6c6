"""Small files that announce much: memory stays under the dense size of their arrays plus 64 MiB, and time is short."""

import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

import minicompress
from minicompress import nn
from minicompress.errors import FormatError, LimitError
from minicompress.pruning.masks import Scatter
from minicompress.quantization import huffman_coder
from minicompress.storage import from_bytes, tree
from minicompress.storage.codecs import CODEC_NAMES
from minicompress.storage.file import MAX_WEIGHTS
from minicompress.storage.integers import BLOCK
from minicompress.storage.kinds import NUMBERS
from minicompress.storage.masks import BOUNDS
from minicompress.storage.varint import varint

MiB = 2**20
N = 2**24  # of the 2^26 numbers that are allowed: the test itself should run on small machines
SQUARE = (2**12, 2**12)
PARAMETER, SCATTER, RELU = (bytes([tree.NODE + NUMBERS[kind]]) for kind in (nn.Parameter, Scatter, nn.ReLU))
EMPTY_LIST, ONE = bytes([tree.LIST, 0]), b"\x01\xf0\x3f"  # a constant 1.0


def file(structure: bytes, arrays: bytes = b"") -> bytes:
    out = b"MCZ\x01"
    for section in (structure, arrays):
        framed = varint(len(section)) + section
        out += framed + zlib.crc32(b"MCZ\x01" + framed).to_bytes(4, "little")
    return out


def array(dtype: str, shape: tuple[int, ...], length: int) -> bytes:
    """The announcement of an array."""
    return bytes([tree.ARRAY, tree.DTYPES.index(np.dtype(dtype)), len(shape)]) + b"".join(map(varint, (*shape, length)))


def codec(name: str, data: bytes) -> bytes:
    return bytes([CODEC_NAMES.index(name)]) + data


def one_symbol(symbol: int, alphabet: int) -> bytes:
    """N times the same symbol, in a few bytes."""
    block = huffman_coder.encode(np.full(BLOCK, symbol), alphabet)
    return (varint(len(block)) + block) * (N // BLOCK - 1) + block


def all_survive(by_columns: bool) -> bytes:
    return codec("gaps", bytes([(2 + by_columns) * len(BOUNDS)]) + varint(N) + one_symbol(0, BOUNDS[0] + 1))


MASK, CODES = all_survive(False), codec("huffman", varint(300) + one_symbol(300, 301))
SPARSE = codec("nonzero", varint(len(MASK)) + MASK + ONE)
VALID: dict[str, tuple[bytes, bytes, int, int]] = {  # structure, arrays, dense bytes, allowed beside them
    "one mask": (array("?", (N,), 2), b"\x01\x01", N, 4 * MiB),
    "distances by rows": (array("?", SQUARE, len(MASK)), MASK, N, 4 * MiB),
    "distances by columns": (array("?", SQUARE, len(MASK)), all_survive(True), N, 4 * MiB),
    "codes": (array("u2", SQUARE, len(CODES)), CODES, 2 * N, 4 * MiB),
    "wide codes": (array("u8", SQUARE, len(CODES)), CODES, 8 * N, 4 * MiB),
    "sparse numbers": (array("f8", (N,), len(SPARSE)), SPARSE, 8 * N, 4 * MiB),
    "a parameter": (PARAMETER + array("f8", (N,), 3) + EMPTY_LIST, ONE, 8 * N, N + 4 * MiB),
    "no survivors": (PARAMETER + array("f8", (0,), 1) + bytes([tree.LIST, 1]) + SCATTER + array("?", SQUARE, 1),
                     b"\x00\x01", N, 4 * MiB),
}


LIST, MANY = bytes([tree.LIST]), varint(10**6)
NAME = bytes([tree.DICT, 1, tree.TEXT]) + MANY + b"k" * 10**6
REFUSED: dict[str, tuple[bytes, bytes]] = {
    "2^62": (array("?", (2**31, 2**31), 1), b"\x01"),
    "2^40": (array("f8", (2**40,), 1), b"\x01"),
    "2^26 + 1": (array("f8", (2**26 + 1,), 1), b"\x01"),
    "2^62, no survivors": (PARAMETER + array("f8", (0,), 1) + bytes([tree.LIST, 1]) + SCATTER
                           + array("?", (2**31, 2**31), 1), b"\0\1"),
    "together": (LIST + varint(2) + array("?", (2**25,), 1) + array("?", (2**26,), 1), b"\1\1"),
    "nodes": (LIST + MANY + RELU * 10**6, b""),
    "arrays": (LIST + MANY + array("f8", (), 1) * 10**6, b"\1" * 10**6),
    "lists": (LIST + varint(2**60) + EMPTY_LIST * 10**6, b""),
    "deep": ((LIST + b"\1") * 10**6, b""),
    "generators": (LIST + MANY + (bytes([tree.GENERATOR]) + b"\1\1\0\0") * 10**6, b""),
    "a long name": (NAME + LIST + MANY + array("f8", (), 1) * 10**5, b"\1" * 10**5),
}


def resident(line: str) -> int:
    """VmRSS (now) or VmHWM (at most) of this process, in bytes."""
    status = Path("/proc/self/status").read_text("utf-8")
    return 1024 * int(status.split(line + ":")[1].split()[0])


def measure() -> None:
    """Print the memory and the seconds each file took, each in a process that starts from the same state."""
    for name, (structure, arrays, *_) in [*VALID.items(), *REFUSED.items()]:
        data = file(structure, arrays)
        if (child := os.fork()) == 0:
            Path("/proc/self/clear_refs").write_text("5", "utf-8")  # the maximum starts anew
            before, start = resident("VmRSS"), time.process_time()
            try:
                kind = type(from_bytes(data)).__name__
            except LimitError:
                kind = "LimitError"
            seconds = time.process_time() - start
            print(name, kind, resident("VmHWM") - before, seconds, sep=";", flush=True)
            os._exit(0)
        os.waitpid(child, 0)


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux")
def test_memory_and_time() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(minicompress.__file__).parents[1])}
    done = subprocess.run([sys.executable, __file__], env=environment, text=True, capture_output=True, timeout=60)
    lines = [line.split(";") for line in done.stdout.splitlines()]
    assert [name for name, *_ in lines] == [*VALID, *REFUSED], done.stderr
    for name, kind, peak, seconds in lines:
        dense, beside = VALID[name][2:] if name in VALID else (0, 64 * MiB)
        assert int(peak) <= dense + beside, name
        assert (kind == "LimitError") == (name in REFUSED), name
        assert float(seconds) < 2, name


@pytest.mark.parametrize("name", REFUSED)
def test_what_announces_too_much_is_refused(name: str) -> None:
    with pytest.raises(LimitError):
        from_bytes(file(*REFUSED[name]))


def test_the_default_limit() -> None:
    assert MAX_WEIGHTS == 2**26


@pytest.mark.parametrize(("structure", "arrays"), [
    (bytes([tree.TEXT]) + varint(2**60) + b"a", b""),
    (array("f8", (4,), 2**60), b"\x00"),
    (array("u1", (4,), 9), codec("huffman", varint(2**60))),
    (array("?", (4,), 12), codec("gaps", b"\x0c" + varint(2**60))),
    (array("f8", (4,), 12), codec("nonzero", varint(2**60))),
    (bytes([tree.DICT]) + varint(2**60), b""),
])
def test_huge_lengths_are_never_allocated(structure: bytes, arrays: bytes) -> None:
    with pytest.raises(FormatError):
        from_bytes(file(structure, arrays))


def test_a_padding_beyond_any_image_is_refused() -> None:
    layer = nn.Conv2d(1, 1, 3, rng=0)
    layer.padding = (2**60, 0)
    writer = tree.Writer()
    writer.write(layer)
    with pytest.raises(FormatError, match="padding"):
        from_bytes(file(bytes(writer.structure), bytes(writer.arrays)))


if __name__ == "__main__":
    measure()
