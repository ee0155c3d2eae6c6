"""Where the data sets come from: a folder of the user's, the cache, or a mirror.

The cache is `pooch.os_cache("minicompress")`. A downloaded file is held against its sha256 before it gets its name, and
again whenever it is used; files in the folder MINICOMPRESS_DATA are the user's own and are only read strictly.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..errors import ChecksumError, DataUnavailable, StorageError
from ..inputs import as_choice

TIMEOUT_SECONDS = 20


class Source(NamedTuple):
    """The mirrors in the order of trial, and the sha256 of each file."""

    mirrors: tuple[str, ...]
    sha256: dict[str, str]


SOURCES = {
    "mnist": Source(
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        {"train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
         "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
         "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
         "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"}),
    "fashion-mnist": Source(
        ("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
         "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"),
        {"train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
         "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
         "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
         "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"}),
}


def fetch(name: str) -> list[Path]:
    """The files of "mnist" or "fashion-mnist" on this machine, downloaded where they are missing.

    Raises RangeError (another name), DataUnavailable (no mirror answers), ChecksumError (a mirror answers with other
    bytes), StorageError (the cache cannot be written).
    """
    source = SOURCES[as_choice(name, "name", SOURCES)]
    if folder := given_folder(name, source.sha256):
        return [folder / file for file in source.sha256]
    return [_cached(name, file, source) for file in source.sha256]


def given_folder(name: str, files: Iterable[str]) -> Path | None:
    """The sub-folder `name` of MINICOMPRESS_DATA if it has all the files, else None."""
    given = os.environ.get("MINICOMPRESS_DATA")
    if not given:
        return None
    folder = Path(given).expanduser() / name
    return folder if all(os.path.isfile(folder / file) for file in files) else None


def _cached(name: str, file: str, source: Source) -> Path:
    import pooch  # costs 0.15 s, so only where it is needed
    from requests import RequestException

    folder, known_hash = pooch.os_cache("minicompress") / name, f"sha256:{source.sha256[file]}"
    reasons: dict[str, str] = {}
    download = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT_SECONDS)
    for mirror in 2 * source.mirrors:  # each mirror in turn, then one retry
        try:
            return Path(pooch.retrieve(mirror + file, known_hash, file, folder, downloader=download))
        except RequestException as error:
            reasons[mirror] = type(error).__name__ if error.response is None else f"status {error.response.status_code}"
        except ValueError:  # pooch has deleted what it downloaded
            reasons[mirror] = "wrong checksum"
        except OSError as error:
            raise StorageError(f"{folder / file} cannot be written: {error.strerror or error}. "
                               f"Hint: put the data into a folder and name it in MINICOMPRESS_DATA.") from error
    (folder / file).unlink(missing_ok=True)  # still here only if its checksum is wrong
    given = os.environ.get("MINICOMPRESS_DATA") or "not set"
    raise (ChecksumError if "wrong checksum" in reasons.values() else DataUnavailable)(
        f"{file} of {name} (sha256 {source.sha256[file]}) is not on this machine, and the download failed:\n"
        + "".join(f"    {mirror}{file}: {reason}\n" for mirror, reason in reasons.items())
        + f"Hint: put the file into {folder}, or into {name} in the folder that MINICOMPRESS_DATA names (now {given}).")
