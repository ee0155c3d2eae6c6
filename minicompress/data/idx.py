"""The idx format of MNIST, read with suspicion: a gzip file of 2 zero bytes, a type code, the number of axes, the size
of each axis as a big-endian 32-bit integer, and the entries, the last axis running fastest. Type 8 is an unsigned byte.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section "File formats".
Does not handle the other types (signed bytes, integers, floats).
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from ..errors import FormatError, LimitError, StorageError, TruncatedError

MAX_BYTES = 2**28
MAX_RATIO = 1032  # deflate packs no better
LOOKS = {b"<": "an HTML page", b"version https://git-lfs": "a git-lfs pointer", b"PK": "a zip archive",
         b"\0\0\x08": "an idx file that was unpacked already", b"\x1f\x8b": "a damaged gzip file"}


def read_idx(path: Path, axes: int) -> np.ndarray:
    """The unsigned bytes in `path`, an array with as many axes as asked for.

    Raises FormatError, TruncatedError (ends too early), LimitError (announces more than MAX_BYTES, or more than a file
    of its length can hold), StorageError (the disk said no).
    """
    try:
        with gzip.open(path) as file:
            return _read(file, axes, path)
    except EOFError as error:
        raise TruncatedError(f"{path} ends too early. Hint: delete it and fetch it again.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FormatError(f"{path} is {_look(path)}; expected: a gzip file of {axes}-axis idx data. "
                          f"Hint: delete it and fetch it again.") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}.") from error


def _read(file: gzip.GzipFile, axes: int, path: Path) -> np.ndarray:
    header = file.read(4 + 4 * axes)
    if header[:4] != bytes([0, 0, 8, axes]):
        raise FormatError(f"{path} starts with the bytes {header[:4].hex()}; expected: 000008{axes:02x}. "
                          f"Hint: are the files of images and labels exchanged?")
    if len(header) < 4 + 4 * axes:
        raise TruncatedError(f"{path} ends within its header; expected: {axes} sizes.")
    shape = struct.unpack(f">{axes}I", header[4:])
    size, limit = math.prod(shape), min(MAX_BYTES, MAX_RATIO * path.stat().st_size)
    if size > limit:
        raise LimitError(f"{path} announces an array of shape {shape}; allowed: {limit} bytes in such a file.")
    content = file.read(size + 1)  # one more than there may be: a longer file shows, and gzip checks its checksum
    if len(content) < size:
        raise TruncatedError(f"{path} holds {len(content)} of the {size} bytes that it announces.")
    if len(content) > size or size == 0:
        raise FormatError(f"{path} announces an array of shape {shape} and holds {'more' if size else 'nothing'}.")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _look(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    return next((look for prefix, look in LOOKS.items() if start.startswith(prefix)), "of another kind")
