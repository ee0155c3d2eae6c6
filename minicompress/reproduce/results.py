"""Results on the disk: a JSON file for each row, with its protocol; each seed with the versions that computed it.

A result counts for the protocol that is written beside it and the release that computed it, patch releases included.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from .. import __version__
from ..errors import FormatError
from ..storage.disk import read_bytes, write_bytes
from .row import Row


def release(version: str) -> str:
    """ "0.1.3" → "0.1" """
    return version.rsplit(".", 1)[0]


def versions() -> dict[str, str]:
    """What computes here."""
    return {"minicompress": __version__, "python": platform.python_version(), "numpy": np.__version__,
            "scipy": scipy.__version__, "machine": f"{platform.system()} {platform.machine()}"}


def read(folder: Path, row: Row) -> dict[int, dict[str, Any]]:
    """Seed → {"figures", "seconds", versions} for the results that count.   Raises FormatError, StorageError."""
    path = folder / f"{row.name}.json"
    if not path.exists():
        return {}
    try:
        content = json.loads(read_bytes(path))
        found = {int(seed): dict(result) for seed, result in content["seeds"].items()}
        if any({"figures", "seconds"} - result.keys() for result in found.values()):
            raise ValueError("a seed has no figures")
        counts = [seed for seed in found if release(found[seed]["minicompress"]) == release(__version__)]
        return {seed: found[seed] for seed in counts if content["protocol"] == row.protocol}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"{path} is not a file of results ({type(error).__name__}: {error}). "
                          f"Hint: remove it, and its seeds run again.") from error


def add(folder: Path, row: Row, seed: int, result: Mapping[str, Any]) -> None:
    """Put a seed's result beside those that count; results of another protocol or release make way."""
    seeds = {**read(folder, row), seed: dict(result)}
    content = {"row": row.name, "paper": row.paper, "protocol": row.protocol,
               "seeds": {str(seed): seeds[seed] for seed in sorted(seeds)}}
    write_bytes(folder / f"{row.name}.json", (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
