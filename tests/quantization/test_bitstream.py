"""Fields into bytes and back, against strings of bits."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minicompress.errors import FormatError, TruncatedError
from minicompress.quantization.bitstream import BitReader, as_fields, bit_windows, gamma, pack_bits, peek, unary

one_field = st.integers(0, 64).flatmap(lambda width: st.tuples(st.integers(0, 2**width - 1), st.just(width)))


def bits_of(fields):
    return "".join(format(value, f"0{width}b") for value, width in fields if width)


def as_bytes(bits):
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


@settings(deadline=None, max_examples=150)
@given(st.lists(st.lists(one_field, min_size=1, max_size=30), max_size=4))
def test_packing_is_what_strings_would_give(parts):
    expected = as_bytes("".join(bits_of(fields) for fields in parts))
    assert pack_bits([as_fields(fields) for fields in parts]) == expected


def test_packing_nothing():
    nothing = np.zeros(0, np.uint64)
    assert pack_bits([]) == pack_bits([(nothing, nothing)]) == b""


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=20), st.integers(0, 49))
@example(b"\x01", 1)
def test_peeking_is_slicing_with_zeros_after_the_end(data, width):
    bits = "".join(format(byte, "08b") for byte in data) + "0" * 400
    positions = np.arange(8 * len(data) + 100)
    expected = [int(bits[p : p + width] or "0", 2) for p in positions]
    assert peek(bit_windows(data), positions, width).tolist() == expected


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 2**20), min_size=1), st.lists(st.integers(0, 30)))
def test_gamma_and_unary_numbers_are_read_back(numbers, counts):
    fields = [field for n in numbers for field in gamma(n)] + [unary(n) for n in counts]
    reader = BitReader(as_bytes(bits_of(fields)))
    assert [reader.gamma(2**20) for _ in numbers] == numbers
    assert [reader.unary(30) for _ in counts] == counts
    reader.finish()


def test_known_codes():
    assert bits_of(gamma(1)) == "0" and bits_of(gamma(5)) == "11001"
    assert bits_of([unary(0), unary(3)]) == "01110"


def test_reading_says_what_is_wrong():
    with pytest.raises(TruncatedError):
        BitReader(b"\xff").field(9)
    with pytest.raises(TruncatedError):
        BitReader(b"\xff").unary(100)
    with pytest.raises(FormatError, match="above 5"):
        BitReader(b"\xff").unary(5)
    with pytest.raises(FormatError, match="is 7"):
        BitReader(as_bytes(bits_of(gamma(7)))).gamma(6)
    with pytest.raises(FormatError):
        BitReader(b"\x00").gamma(0)
    with pytest.raises(FormatError, match="1 bytes follow"):
        BitReader(b"\x00").finish()
    reader = BitReader(b"\x01")
    reader.field(3)
    with pytest.raises(FormatError, match="not zero"):
        reader.finish()
