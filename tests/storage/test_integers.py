"""Unsigned integers: fixed widths and Huffman's code in blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from minicompress.errors import FormatError
from minicompress.storage import integers
from minicompress.storage.integers import decode_fixed, decode_huffman, encode_fixed, encode_huffman, pack, unpack

UNSIGNED = st.sampled_from(["u1", "u2", "u4", "u8"]).map(np.dtype)


def codes() -> st.SearchStrategy[np.ndarray]:
    """Arrays of unsigned integers below random powers of two: 1 to 4 axes, none of them empty."""
    shapes = npst.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=6)
    return UNSIGNED.flatmap(lambda dtype: st.integers(1, 8 * dtype.itemsize).flatmap(
        lambda bits: npst.arrays(dtype, shapes, elements=st.integers(0, 2**bits - 1))))


@given(codes())
@settings(max_examples=200)
def test_fixed_round_trip_in_exactly_the_bits_of_the_largest(a: np.ndarray) -> None:
    data = encode_fixed(a)
    width = max(1, int(a.max()).bit_length())
    assert len(data) == 1 + -(-a.size * width // 8)
    back = decode_fixed(memoryview(data), a.dtype, a.shape)
    assert back.dtype == a.dtype
    assert np.array_equal(back, a)


@given(codes())
@settings(max_examples=200)
def test_huffman_round_trip(a: np.ndarray) -> None:
    data = encode_huffman(a)
    if a.max() >= 1 << 16:
        assert data is None
        return
    back = decode_huffman(memoryview(data), a.dtype, a.shape)
    assert back.dtype == a.dtype
    assert np.array_equal(back, a)


@given(st.integers(1, 64), st.integers(0, 40), st.data())
def test_pack_is_the_string_of_binary_digits(width: int, count: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, 2**width - 1), min_size=count, max_size=count))
    digits = "".join(f"{value:0{width}b}" for value in values)
    expected = bytes(int(digits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(digits), 8))
    packed = pack(np.array(values, "u8"), width)
    assert packed == expected
    assert unpack(memoryview(packed), width, count, np.dtype("u8")).tolist() == values


@pytest.mark.parametrize("size", [integers.PIECE - 1, integers.PIECE, integers.PIECE + 1, 3 * integers.PIECE + 5])
def test_pieces_join(size: int) -> None:
    values = np.random.default_rng(size).integers(0, 2**13, size).astype("u2")
    assert np.array_equal(unpack(memoryview(pack(values, 13)), 13, size, values.dtype), values)


@pytest.mark.parametrize("size", [1, 7, 8, 9, 16, 24])
def test_blocks_join(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integers, "BLOCK", 8)
    values = np.random.default_rng(size).integers(0, 5, size).astype("u1")
    data = encode_huffman(values)
    assert np.array_equal(decode_huffman(memoryview(data), values.dtype, values.shape), values)
    for cut in range(1, len(data)):
        with pytest.raises(FormatError):
            decode_huffman(memoryview(data)[:cut], values.dtype, values.shape)
    with pytest.raises(FormatError):
        decode_huffman(memoryview(data + b"\0"), values.dtype, values.shape)


def test_one_block_has_no_length_in_front() -> None:
    values = np.arange(100, dtype="u1") % 7
    blob = integers.huffman_coder.encode(values, 7)
    assert encode_huffman(values) == bytes([6]) + blob


@pytest.mark.parametrize("data", [b"", b"\3\xff", b"\3\1\2\3\4", b"\0", b"\x41" + bytes(65), b"\2\xff\1"])
def test_fixed_refuses(data: bytes) -> None:
    with pytest.raises(FormatError):  # 5 values of 3 bits take 2 bytes and leave one bit, which must be 0
        decode_fixed(memoryview(data), np.dtype("u8"), (5,))


@pytest.mark.parametrize(("dtype", "data"), [
    ("f8", b"\x01\x00"), ("i4", b"\x01\x00"), ("u1", b"\x09" + bytes(9)), ("?", b"\x01\x00")])
def test_fixed_refuses_the_dtype(dtype: str, data: bytes) -> None:
    with pytest.raises(FormatError, match="do not fit an array"):
        decode_fixed(memoryview(data), np.dtype(dtype), (8,))


@pytest.mark.parametrize(("dtype", "largest"), [("f8", 1), ("i4", 1), ("?", 1), ("u1", 256), ("u8", 65536)])
def test_huffman_refuses_the_dtype(dtype: str, largest: int) -> None:
    with pytest.raises(FormatError, match="do not fit an array"):
        decode_huffman(memoryview(integers.varint(largest) + bytes(9)), np.dtype(dtype), (8,))


@pytest.mark.parametrize("a", [np.zeros(0, "u1"), np.zeros(3, "i8"), np.zeros(3), np.zeros(3, bool)])
def test_not_applicable(a: np.ndarray) -> None:
    assert encode_fixed(a) is None
    assert encode_huffman(a) is None
