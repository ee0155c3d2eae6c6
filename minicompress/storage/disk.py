"""Files that appear whole or not at all: written beside their place, synced, and moved there."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from pathlib import Path

from ..errors import StorageError

PREFIX, SUFFIX = ".minicompress-", ".tmp"
STALE_SECONDS = 3600  # a temporary file of a crash is removed when it is older


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file.   Raises StorageError with its path."""
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError, TypeError) as error:
        raise StorageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Make `data` the content of a file; of two writers at once the last one wins, and nothing is ever mixed.

    Raises StorageError; an older file of that name is then still there.
    """
    try:
        place = Path(os.path.realpath(path))
        if place.exists() and not place.is_file():
            raise OSError("it is a folder or a device, not a file")
        remove_stale(place.parent)
        temporary = place.with_name(PREFIX + secrets.token_hex(8) + SUFFIX)
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            replace(temporary, place)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StorageError(f"{path} cannot be written: {reason}. What was there before is unchanged.") from error


def replace(temporary: Path, place: Path) -> None:
    """Move a finished file to its place; where another program holds the old one open (Windows), try for a second."""
    for attempt in range(10):
        try:
            os.replace(temporary, place)
            break
        except PermissionError:
            if os.name == "posix" or attempt == 9:
                raise
            time.sleep(0.1)
    if os.name == "posix":
        with contextlib.suppress(OSError):  # some network folders cannot be synced; the file itself is
            folder = os.open(place.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def remove_stale(folder: Path) -> None:
    """Remove temporary files that a crash left in a folder, when they are ours and more than an hour old."""
    for old in folder.glob(PREFIX + "*" + SUFFIX):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > STALE_SECONDS:
                old.unlink()
