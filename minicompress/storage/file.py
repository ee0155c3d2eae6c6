"""The .mcz file: a model, or a dictionary of models, arrays and numbers, in as few bytes as it needs.

    "MCZ", version (1 byte) | structure: length, bytes, CRC-32 | arrays: length, bytes, CRC-32

Saving is lossless: a model comes back equal bit for bit, and saving it again gives the same file. A number that half
or single precision can hold takes 2 or 4 bytes; what shall be stored so is rounded in the model first (`round_to`),
before its error is measured. A file is data only: loading runs no constructor, no code and no pickle from it.
"""

from __future__ import annotations

import os
import sys
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import ChecksumError, FormatError, MiniCompressError, RangeError, StorageError, VersionError
from ..inputs import as_choice
from ..nn import Node
from .disk import read_bytes, write_bytes
from .tree import TreeReader, Writer
from .varint import Reader, varint

MAGIC, VERSION = b"MCZ", 1
MAX_WEIGHTS = 2**26
LOOKS = {b"<": "an HTML page", b"PK": "a zip archive", b"\x1f\x8b": "a gzip file", b"\x80": "a pickle",
         b"\x93NUMPY": "a NumPy array", b"version https://git-lfs": "a Git LFS pointer"}


class Part(NamedTuple):
    """Some bytes of a file: what they are, how they are coded, how many."""

    name: str
    codec: str
    bytes: int


def round_to(model: Node, precision: str) -> None:
    """Round every float array of a model in place to "half" (float16) or "single" (float32) precision, but one of
    whole numbers: thresholds on sums stay exact, and the file needs no more bytes than that takes.

    Raises RangeError where a number is too large for half precision, nothing changed.
    """
    dtype = np.dtype({"half": "f2", "single": "f4"}[as_choice(precision, "precision", ["half", "single"])])
    arrays = [a for a in model.state().values()
              if isinstance(a, np.ndarray) and a.dtype.kind == "f" and not np.array_equal(a, np.rint(a))]
    largest, limit = max((float(np.abs(a).max(initial=0)) for a in arrays), default=0.0), float(np.finfo(dtype).max)
    if largest > limit:
        raise RangeError(f"{largest:g} does not fit {precision} precision; allowed: ≤ {limit:g}.")
    with np.errstate(under="ignore"):
        for a in arrays:
            a[...] = a.astype(dtype)


def to_bytes(value: Any) -> bytes:
    """The file's bytes for a model or a dictionary.   Raises StorageError for what a file cannot hold."""
    writer = Writer()
    writer.write(value)
    out = MAGIC + bytes([VERSION])
    for section in (bytes(writer.structure), bytes(writer.arrays)):
        framed = varint(len(section)) + section
        out += framed + zlib.crc32(out[:4] + framed).to_bytes(4, "little")
    return out


def from_bytes(data: bytes, max_weights: int = MAX_WEIGHTS) -> Any:
    """What `to_bytes` was given.   Raises FormatError or a subclass, never anything else for damaged bytes."""
    structure, arrays, _ = sections(data)
    return read_tree(structure, arrays, max_weights)


def sections(data: bytes) -> tuple[memoryview, memoryview, list[Part]]:
    """The checked structure and arrays of a file, and what frames them.   Raises FormatError or a subclass."""
    check_start(data)
    reader, found, frame = Reader(data), [], [Part("magic and version", "", 4)]
    reader.take(4)
    for name in ("structure", "arrays"):
        start = reader.position
        section = reader.take(reader.varint())
        framed = reader.data[start : reader.position]
        if int.from_bytes(reader.take(4), "little") != zlib.crc32(framed, zlib.crc32(data[:4])):
            raise ChecksumError(f"the section of {name} was damaged after it was written.")
        found.append(section)
        frame.append(Part(f"length and checksum of the {name}", "", len(framed) - len(section) + 4))
    if reader.rest():
        raise FormatError("bytes follow behind the end of the file.")
    return found[0], found[1], frame


def read_tree(structure: memoryview, arrays: memoryview, max_weights: int, parts: list | None = None) -> Any:
    """The value in the sections; with `parts`, (path, codec, bytes) of every array joins them.   Raises FormatError."""
    try:
        return TreeReader(structure, arrays, max_weights, parts).read_all()
    except FormatError:
        raise
    except MiniCompressError as error:
        raise FormatError(f"the parts of the model do not fit each other: {error}") from error


def check_start(data: bytes) -> None:
    """Raise FormatError, saying what the bytes look like, unless they begin as a .mcz file of this version or older."""
    if data[:3] != MAGIC:
        kind = next((name for start, name in LOOKS.items() if data[:100].lstrip().startswith(start)), "something else")
        raise FormatError(f"this is not a .mcz file: it looks like {kind if data else 'an empty file'}; "
                          f"allowed: files written by minicompress.")
    if len(data) > 3 and data[3] > VERSION:
        raise VersionError(f"the file has format version {data[3]}; this release reads up to {VERSION}. "
                           f"Hint: pip install --upgrade minicompress.")
    if len(data) > 3 and data[3] < 1:
        raise FormatError("the file has format version 0, which never existed.")


def save(path: str | os.PathLike[str], value: Any) -> int:
    """Write a model or a dictionary to a .mcz file and return its size in bytes.

    The file appears whole or not at all, and only if it can be read again: a model with weights that are not finite is
    refused. Raises StorageError; an older file of that name is then still there.
    """
    data = to_bytes(value)
    try:
        from_bytes(data, sys.maxsize)
    except FormatError as error:
        raise StorageError(f"{path} is not written, because it could not be read again: {error}") from error
    write_bytes(path, data)
    return len(data)


def load(path: str | os.PathLike[str], max_weights: int = MAX_WEIGHTS) -> Any:
    """What `save` was given: an ordinary model, which can be trained on.   Raises StorageError, FormatError."""
    data = read_bytes(path)
    try:
        return from_bytes(data, max_weights)
    except FormatError as error:
        raise type(error)(f"{path}: {error}") from error


def inspect(path: str | os.PathLike[str], max_weights: int = MAX_WEIGHTS) -> list[Part]:
    """Every byte of a file by what it is for; the sum is the file's size.   Raises StorageError, FormatError."""
    structure, arrays, (magic, *frame) = sections(read_bytes(path))
    parts: list[tuple[str, str, int]] = []
    read_tree(structure, arrays, max_weights, parts)
    return [magic, Part("structure", "", len(structure)), *(Part(*part) for part in parts), *frame]


class Checkpoint:
    """Where training saves its state after each epoch, and finds it again: `train(…, saver=Checkpoint("run.mcz"))`."""

    def __init__(self, path: str | os.PathLike[str], max_weights: int = MAX_WEIGHTS) -> None:
        self.path, self.max_weights = Path(path), max_weights

    def load(self) -> dict[str, Any] | None:
        """The last state, or None where there is no file yet.   Raises StorageError, FormatError."""
        if not os.path.lexists(self.path):
            return None
        state = load(self.path, self.max_weights)
        if not isinstance(state, dict) or "fingerprint" not in state:
            raise FormatError(f"{self.path} is not a checkpoint; allowed: what a training saved. Hint: another path.")
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Replace the state by a newer one; the older one stays until the newer is on the disk."""
        save(self.path, state)
