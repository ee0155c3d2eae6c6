"""Mutants of .mcz files: blind ones, whose checksums tell, and structure-aware ones, lengths and checksums repaired.

A file is taken apart into the tokens of its structure: (kind, bytes), kind "byte", "number", "bytes" or "array". An
array's token holds its coded bytes, of which `assemble` writes the length here and the content in the other section. So
whatever is changed, frame and lengths are right, and the reader gets to see it.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

from minicompress.storage.file import sections
from minicompress.storage.kinds import KINDS
from minicompress.storage.tree import NODE, TreeReader
from minicompress.storage.varint import Reader, varint

Token = tuple[str, bytes]
POWERS = (7, 12, 16, 20, 26, 31, 32, 53, 60, 63, 64, 127, 128)
NUMBERS = [0, 1, 2, 3, 7, 8, 63, 255, *(2**power + more for power in POWERS for more in (-1, 0, 1))]
FLOATS = [0.0, -0.0, 0.5, 1.0, -1.0, 2.0, 1e-320, 1e-30, 1e30, 1e300, float("inf"), float("nan")]
SIZES = [2**20, 2**24, 2**25, 2**26 - 1, 2**26, 2**13]


class Recorder(Reader):
    """A reader that keeps what it was asked for."""

    def __init__(self, data: Any, tokens: list[Token]) -> None:
        super().__init__(data)
        self.tokens = tokens

    def take(self, count: int) -> memoryview:
        part = super().take(count)
        self.tokens.append(("bytes", bytes(part)))
        return part

    def byte(self) -> int:
        value = super().byte()
        self.tokens[-1] = ("byte", self.tokens[-1][1])
        return value

    def varint(self, limit_bits: int = 64) -> int:
        start = len(self.tokens)
        value = super().varint(limit_bits)
        self.tokens[start:] = [("number", varint(value))]
        return value

    def rest(self) -> memoryview:
        return self.data[self.position :]


class ArrayRecorder(Recorder):
    """Puts the bytes of an array in the place of the length that the structure announced last."""

    def take(self, count: int) -> memoryview:
        part = Reader.take(self, count)
        self.tokens[-1] = ("array", bytes(part))
        return part


class Spans(TreeReader):
    """A file's tokens, and for each value in it where its tokens begin and end."""

    def __init__(self, data: bytes) -> None:
        structure, arrays, _ = sections(data)
        super().__init__(structure, arrays, 2**26)
        self.tokens: list[Token] = []
        self.spans: list[tuple[int, int]] = []
        self.structure, self.arrays = Recorder(structure, self.tokens), ArrayRecorder(arrays, self.tokens)
        self.read_all()

    def read(self, path: str, depth: int = 0) -> Any:
        start = len(self.tokens)
        value = super().read(path, depth)
        self.spans.append((start, len(self.tokens)))
        return value


def assemble(tokens: list[Token]) -> bytes:
    """The file that holds these tokens, lengths and checksums right."""
    structure = b"".join(varint(len(data)) if kind == "array" else data for kind, data in tokens)
    arrays = b"".join(data for kind, data in tokens if kind == "array")
    out = b"MCZ\x01"
    for section in (structure, arrays):
        framed = varint(len(section)) + section
        out += framed + zlib.crc32(framed, zlib.crc32(out[:4])).to_bytes(4, "little")
    return out


def blind(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """`data` damaged anywhere, without any repair, so that it differs."""
    changed = data
    while changed == data:
        for _ in range(rng.choice([1, 1, 1, 2, 5])):
            changed = rng.choice(BYTE_CHANGES)(changed, rng.choice(others), rng)
    return changed


def flip(data: bytes, other: bytes, rng: random.Random) -> bytes:
    i = rng.randrange(8 * max(1, len(data)))
    return data[: i // 8] + bytes(b ^ 1 << i % 8 for b in data[i // 8 : i // 8 + 1]) + data[i // 8 + 1 :]


def overwrite(data: bytes, other: bytes, rng: random.Random) -> bytes:
    i, patch = rng.randrange(len(data) + 1), rng.randbytes(rng.choice([1, 1, 2, 4, 16]))
    return data[:i] + patch[: len(data) - i] + data[i + len(patch) :]


def cut(data: bytes, other: bytes, rng: random.Random) -> bytes:
    i = rng.randrange(len(data) + 1)
    return data[:i] + rng.choice([b"", data[i + 1 :], data[i + rng.randrange(40) :]])


def insert(data: bytes, other: bytes, rng: random.Random) -> bytes:
    i, j = rng.randrange(len(data) + 1), rng.randrange(len(other) + 1)
    number, noise = varint(rng.choice(NUMBERS)), rng.randbytes(rng.choice([1, 2, 8]))
    patch = rng.choice([b"\0", b"\xff", other[:1], noise, number, other[j : j + 30]])
    return data[:i] + patch + data[i + rng.choice([0, 0, 1, len(patch)]) :]


def splice(data: bytes, other: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def zero(data: bytes, other: bytes, rng: random.Random) -> bytes:
    i, count = rng.randrange(len(data) + 1), rng.choice([4, 16, 512])
    return data[:i] + bytes(len(data[i : i + count])) + data[i + count :]


BYTE_CHANGES: list[Callable[[bytes, bytes, random.Random], bytes]] = [flip, flip, overwrite, cut, insert, splice, zero]


def aware(file: Spans, files: list[Spans], rng: random.Random) -> bytes:
    """The file with one to three of its values, numbers or arrays changed, and repaired so that it is read."""
    tokens = list(file.tokens)
    if rng.random() < 0.3:
        graft(tokens, file, rng.choice(files), rng)
    else:
        change(tokens, files, rng)
    for _ in range(rng.choice([0, 0, 0, 1, 2])):
        change(tokens, files, rng)
    return assemble(tokens)


def giant(file: Spans, rng: random.Random) -> bytes:
    """The file with one or two of its arrays announced to be large."""
    tokens = list(file.tokens)
    for _ in range(rng.choice([1, 1, 2])):
        resize(tokens, rng.choice([i for i, (kind, _) in enumerate(tokens) if kind == "array"]), rng)
    return assemble(tokens)


def graft(tokens: list[Token], file: Spans, other: Spans, rng: random.Random) -> None:
    """Another value, mostly of the same kind, in the place of one, before it, or nothing there."""
    start, stop = rng.choice(file.spans)
    alike = [span for span in other.spans if other.tokens[span[0]] == tokens[start]]
    first, last = rng.choice(alike if alike and rng.random() < 0.7 else other.spans)
    value = other.tokens[first:last]
    tokens[start : rng.choice([stop, stop, stop, start])] = rng.choice([value, value, []])


def change(tokens: list[Token], files: list[Spans], rng: random.Random) -> None:
    """Another content for one token, or a token less, more or moved."""
    if not tokens:
        return
    arrays = [i for i, (kind, _) in enumerate(tokens) if kind == "array"]
    i = rng.choice(arrays) if arrays and rng.random() < 0.25 else rng.randrange(len(tokens))
    kind, data = tokens[i]
    other = rng.choice(rng.choice(files).tokens)
    pick = rng.random()
    if pick < 0.05:
        del tokens[i]
    elif pick < 0.1:
        tokens.insert(rng.randrange(len(tokens) + 1), rng.choice([(kind, data), other]))
    elif kind == "array" and pick < 0.2:
        resize(tokens, i, rng)
    elif kind == "array":
        tokens[i] = (kind, rng.choice(BYTE_CHANGES)(data, other[1], rng) if pick < 0.9 else other[1])
    elif kind == "number":
        value = Reader(data).varint(256)
        near = [value + 1, value ^ 1, value ^ 2, 2 * value, value // 2, max(0, value - 1)]
        tokens[i] = (kind, varint(rng.choice([rng.choice(NUMBERS), *near])))
    elif kind == "byte":
        tags = [data[0] ^ 1 << rng.randrange(8), rng.randrange(13), NODE + rng.choice(list(KINDS))]
        tokens[i] = (kind, bytes([rng.choice(tags)]))
    else:
        number = struct.pack("<d", rng.choice(FLOATS))
        tokens[i] = (kind, rng.choice([number, rng.randbytes(len(data)), data[:-1], other[1]]))


def resize(tokens: list[Token], i: int, rng: random.Random) -> None:
    """Announce a large array: one of its sizes, which stand before its bytes, becomes a power of two."""
    sizes = [j for j in range(max(0, i - 2), i) if tokens[j][0] == "number"]
    if sizes:
        tokens[rng.choice(sizes)] = ("number", varint(rng.choice(SIZES)))
