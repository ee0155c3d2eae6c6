import gzip
import math
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress.data.idx import read_idx
from minicompress.errors import FormatError, LimitError, StorageError, TruncatedError


def packed(content):
    return gzip.compress(content, mtime=0)  # without the time: the name of a test may not change


def idx(shape, content):
    return packed(struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape) + content)


def read(folder, content, axes):
    path = folder / "some-file.gz"
    path.write_bytes(content)
    return read_idx(path, axes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("idx")


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 99))
@settings(max_examples=40)
def test_what_is_written_is_read(folder, shape, seed):
    array = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    np.testing.assert_array_equal(read(folder, idx(shape, array.tobytes()), len(shape)), array)


def test_a_file_cut_anywhere_is_refused(folder):
    whole = idx((3, 4), bytes(range(12)))
    for end in range(len(whole)):
        with pytest.raises(FormatError, match=r"some-file\.gz"):
            read(folder, whole[:end], 2)


def test_no_flipped_bit_changes_what_is_read(folder):
    whole, harmless = idx((3, 4), bytes(range(12))), 0
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            array = read(folder, bytes(damaged), 2)
        except FormatError:
            continue
        harmless += 1
        np.testing.assert_array_equal(array, np.arange(12).reshape(3, 4))
    assert harmless < 80  # only gzip's date, flags and name of the system do not matter


@pytest.mark.parametrize("content, look", [
    (b"<!DOCTYPE html><html>Log in to the network</html>", "an HTML page"),
    (b"\r\n  <html></html>", "an HTML page"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a git-lfs pointer"),
    (b"PK\x03\x04 and so on", "a zip archive"),
    (b"\0\0\x08\x02" + bytes(20), "unpacked already"),
    (packed(b"")[:10] + b"\xff" * 20, "a damaged gzip file"),
    (b"something else", "of another kind"),
])
def test_files_of_another_kind_are_named(folder, content, look):
    with pytest.raises(FormatError, match=rf"some-file\.gz is .*{look}"):
        read(folder, content, 2)


@pytest.mark.parametrize("content", [
    b"", packed(b""), packed(b"\0\0"), packed(b"<html></html>"),
    idx((12,), bytes(12)),  # labels in place of images
    packed(struct.pack(">4B2I", 0, 0, 13, 2, 1, 1) + bytes(4)),  # floats
    idx((0, 4), b""), idx((3, 4), bytes(13)), idx((3, 4), bytes(12)) + b"more",
    idx((3, 4), bytes(12)) + idx((1,), b"x"),
])
def test_other_garbage_is_refused(folder, content):
    with pytest.raises(FormatError, match=r"some-file\.gz"):
        read(folder, content, 2)


@pytest.mark.parametrize("content", [idx((3, 4), bytes(11)), packed(b"\0\0\x08\x02\0\0\0\x03")])
def test_too_little_inside_a_whole_gzip_file(folder, content):
    with pytest.raises(TruncatedError):
        read(folder, content, 2)


@pytest.mark.parametrize("shape", [(2**32 - 1,) * 3, (2**28 + 1, 1, 1), (60_000, 28, 28)])
def test_sizes_are_checked_before_anything_is_allocated(folder, shape):
    tracemalloc.start()
    with pytest.raises(LimitError, match=str(shape[0])):
        read(folder, idx(shape, bytes(12)), 3)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2**20


def test_a_bomb_is_not_unpacked(folder):
    bomb = idx((2, 5), bytes(2**24))
    tracemalloc.start()
    with pytest.raises(FormatError, match="more"):
        read(folder, bomb, 2)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2**20


def test_the_best_packed_honest_file_passes(folder):
    shape = (2**11, 2**11)
    assert read(folder, idx(shape, bytes(math.prod(shape))), 2).shape == shape


def test_the_disk_says_no(tmp_path):
    for path in (tmp_path / "missing.gz", tmp_path):
        with pytest.raises(StorageError, match="cannot be read"):
            read_idx(path, 2)
