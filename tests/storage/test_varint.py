"""Varints: one way to write each number, and no way to read past the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicompress.errors import FormatError, TruncatedError
from minicompress.storage.varint import Reader, varint


@given(st.integers(0, 2**128 - 1))
def test_round_trip_in_as_many_bytes_as_needed(value: int) -> None:
    data = varint(value)
    reader = Reader(data + b"x")
    assert reader.varint(128) == value
    assert bytes(reader.rest()) == b"x"
    assert len(data) == max(1, -(-value.bit_length() // 7))


@given(st.binary(min_size=1, max_size=12))
def test_what_can_be_read_is_what_would_be_written(data: bytes) -> None:
    reader = Reader(data)
    try:
        value = reader.varint()
    except FormatError:
        return
    assert varint(value) == data[: reader.position]
    assert value < 2**64


@pytest.mark.parametrize(("data", "bits", "message"), [
    (b"\x80\x00", 64, "leading zeros"),
    (b"\xff\x80\x00", 64, "leading zeros"),
    (b"\xff" * 9 + b"\x02", 64, "larger than 2\\^64"),
    (b"\x80" * 1000, 64, "larger than 2\\^64"),
    (b"\x02", 1, "larger than 2\\^1"),
])
def test_refused(data: bytes, bits: int, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        Reader(data).varint(bits)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff\xff"])
def test_truncated(data: bytes) -> None:
    with pytest.raises(TruncatedError, match="are left"):
        Reader(data).varint()


def test_reader_takes_exactly_what_there_is() -> None:
    reader = Reader(b"abcdef")
    assert bytes(reader.take(2)) == b"ab"
    assert reader.byte() == ord("c")
    assert bytes(reader.take(0)) == b""
    with pytest.raises(TruncatedError, match="4 bytes are announced where only 3 are left"):
        reader.take(4)
    assert bytes(reader.rest()) == b"def"
    assert bytes(reader.rest()) == b""


def test_reader_copies_nothing_and_cannot_change_its_bytes() -> None:
    data = bytearray(b"abc")
    part = Reader(memoryview(data)).take(3)
    assert part.readonly
    data[0] = ord("z")
    assert bytes(part) == b"zbc"
