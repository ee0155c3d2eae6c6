"""The .mcz file: a model, or a dictionary of models, arrays and numbers, in as few bytes as it needs.

    "MCZ", version (1 byte) | structure: length, bytes, CRC-32 | arrays: length, bytes, CRC-32

Saving is lossless: a model comes back equal bit for bit, and saving it again gives the same file. A number that half or
single precision can hold takes 2 or 4 bytes, so what shall be stored so is rounded in the model first (`round_to`), before
its error is measured. A file is data only: loading runs no constructor, no code and no pickle from it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import ChecksumError, FormatError, MiniCompressError, RangeError, StorageError, VersionError
from ..inputs import as_choice
from ..nn import Node
from .tree import TreeReader, Writer
from .varint import Reader, varint

MAGIC, VERSION = b"MCZ", 1
MAX_WEIGHTS = 2**26
LOOKS = {b"<": "an HTML page", b"PK": "a zip archive", b"\x1f\x8b": "a gzip file", b"version https://git-lfs": "a Git LFS "
         "pointer", b"\x80": "a pickle"}
STALE_SECONDS = 3600  # a temporary file of a crash is removed when it is older


class Part(NamedTuple):
    """Some bytes of a file: what they are, how they are coded, how many."""

    name: str
    codec: str
    bytes: int


def round_to(model: Node, precision: str) -> None:
    """Round every float array of a model in place to "half" (float16) or "single" (float32) precision.

    Raises RangeError where a number is too large for half precision, nothing changed.
    """
    dtype = {"half": np.float16, "single": np.float32}[as_choice(precision, "precision", ["half", "single"])]
    arrays = [a for a in model.state().values() if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    for a in arrays:
        if a.size and np.abs(a).max() > np.finfo(dtype).max:
            raise RangeError(f"{np.abs(a).max():g} does not fit {precision} precision; allowed: ≤ {np.finfo(dtype).max}.")
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


def open_tree(data: bytes, max_weights: int) -> tuple[TreeReader, list[Part]]:
    """The checked sections of a file, ready to be read, and its frame.   Raises FormatError or a subclass."""
    check_start(data)
    reader, sections, frame = Reader(data), [], [Part("magic and version", "", 4)]
    reader.take(4)
    for name in ("structure", "arrays"):
        start = reader.position
        section = reader.take(reader.varint())
        framed = data[start : reader.position]
        if int.from_bytes(reader.take(4), "little") != zlib.crc32(data[:4] + framed):
            raise ChecksumError(f"the section of {name} was damaged after it was written.")
        sections.append(section)
        frame.append(Part(f"length and checksum of the {name}", "", len(framed) - len(section) + 4))
    if reader.rest():
        raise FormatError("bytes follow behind the end of the file.")
    frame.insert(1, Part("structure", "", len(sections[0])))
    return TreeReader(*sections, max_weights=max_weights), frame


def check_start(data: bytes) -> None:
    """Raise FormatError, saying what the bytes look like, unless they begin as a .mcz file of this version or older."""
    if data[:3] != MAGIC:
        kind = next((name for start, name in LOOKS.items() if data.startswith(start)), "something else")
        raise FormatError(f"this is not a .mcz file: it looks like {kind if data else 'an empty file'}; "
                          f"allowed: files written by minicompress.")
    if len(data) > 3 and data[3] > VERSION:
        raise VersionError(f"the file has format version {data[3]}; this release reads up to {VERSION}. "
                           f"Hint: pip install --upgrade minicompress.")
    if len(data) > 3 and data[3] < 1:
        raise FormatError("the file has format version 0, which never existed.")


def from_bytes(data: bytes, max_weights: int = MAX_WEIGHTS) -> Any:
    """What `to_bytes` was given.   Raises FormatError or a subclass, never anything else for damaged bytes."""
    reader, _ = open_tree(data, max_weights)
    try:
        return reader.read_all()
    except FormatError:
        raise
    except MiniCompressError as error:
        raise FormatError(f"the parts of the model do not fit each other: {error}") from error


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file.   Raises StorageError with its path."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.") from error


def save(path: str | os.PathLike[str], value: Any) -> int:
    """Write a model or a dictionary to a .mcz file and return its size in bytes.

    The file appears whole or not at all: it is written beside its place, synced, and moved. Raises StorageError; an older
    file of that name is then still there.
    """
    data, path = to_bytes(value), Path(path)
    temporary = None
    try:
        remove_stale(path)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp", delete=False) as file:
            temporary = file.name
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise StorageError(f"{path} cannot be written: {error.strerror or error}. What was there before is unchanged.") \
            from error
    return len(data)


def replace(temporary: str, path: Path) -> None:
    """Move a finished file to its place; where another program holds the old one open (Windows), try for a second."""
    os.chmod(temporary, 0o666 & ~current_umask())
    for attempt in range(10):
        try:
            os.replace(temporary, path)
            break
        except PermissionError:
            if attempt == 9 or path.is_dir():
                raise
            time.sleep(0.1)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def current_umask() -> int:
    """The permissions that new files of this process lack."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def remove_stale(path: Path) -> None:
    """Remove temporary files that a crash left beside `path`, when they are ours and more than an hour old."""
    for old in path.parent.glob(f".{path.name}.*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > STALE_SECONDS:
                old.unlink()


def load(path: str | os.PathLike[str], max_weights: int = MAX_WEIGHTS) -> Any:
    """What `save` was given: an ordinary model, which can be trained on.   Raises StorageError, FormatError."""
    try:
        return from_bytes(read_bytes(path), max_weights)
    except FormatError as error:
        raise type(error)(f"{path}: {error}") from error


def inspect(path: str | os.PathLike[str], max_weights: int = MAX_WEIGHTS) -> list[Part]:
    """Every byte of a file by what it is for; the sum is the file's size.   Raises StorageError, FormatError."""
    reader, frame = open_tree(read_bytes(path), max_weights)
    reader.read_all()
    return frame[:2] + [Part(*part) for part in reader.parts] + frame[2:]


class Checkpoint:
    """Where training saves its state after each epoch, and finds it again: `train(…, saver=Checkpoint("run.mcz"))`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def load(self) -> dict[str, Any] | None:
        """The last state, or None where there is no file yet."""
        return load(self.path) if self.path.exists() else None

    def save(self, state: dict[str, Any]) -> None:
        """Replace the state by a newer one; the older one stays until the newer is on the disk."""
        save(self.path, state)
