"""The blob: the definition's bits, small, and safe against any bytes."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress.errors import DTypeError, FormatError, LimitError, RangeError, ShapeError, TruncatedError
from minicompress.quantization import huffman_coder
from minicompress.quantization.huffman import canonical_code, code_lengths, encode_simple
from minicompress.quantization.huffman_coder import INDEXED_FROM, decode, encode, length_limit


def bits_of(data):
    return "".join(format(byte, "08b") for byte in data)


def normal(n, levels=16, rng=0):
    values = np.random.default_rng(rng).normal(size=n) * levels / 6 + (levels - 1) / 2
    return np.clip(np.round(values), 0, levels - 1).astype(np.uint8)


def skewed(n, alphabet, rng=0):
    return np.minimum(np.random.default_rng(rng).geometric(0.08, n) - 1, alphabet - 1)


def simple_bits(symbols, alphabet):
    lengths = code_lengths(np.bincount(symbols, minlength=alphabet), length_limit(alphabet))
    return encode_simple(symbols.tolist(), canonical_code(lengths))


def decode_or_format_error(data, count, alphabet):
    """The one thing that may happen besides a FormatError is an array as announced."""
    try:
        symbols = decode(data, count, alphabet)
    except FormatError:
        return
    assert symbols.shape == (count,)
    assert symbols.size == 0 or symbols.max() < alphabet


@settings(deadline=None, max_examples=150)
@given(st.data(), st.sampled_from([1, 2, 3, 8, 100, 256, 257, 2**16]))
def test_every_list_comes_back_and_its_bits_are_those_of_the_definition(data, alphabet):
    symbols = np.array(data.draw(st.lists(st.integers(0, alphabet - 1), max_size=80)), int)
    blob = encode(symbols, alphabet)
    back = decode(blob, len(symbols), alphabet)
    assert back.tolist() == symbols.tolist()
    assert back.dtype.itemsize == (1 if alphabet <= 256 else 2)
    assert encode(back, alphabet) == blob
    if len(set(symbols.tolist())) > 1:
        assert bits_of(blob).rstrip("0").endswith(simple_bits(symbols, alphabet).rstrip("0"))


@pytest.mark.parametrize("n", [INDEXED_FROM - 1, INDEXED_FROM, INDEXED_FROM + 511, 3 * 2**16 + 100])
@pytest.mark.parametrize("alphabet", [16, 256, 1000])
def test_long_inputs_come_back_with_the_bits_of_the_definition(n, alphabet):
    symbols = skewed(n, alphabet)
    blob = encode(symbols, alphabet)
    assert np.array_equal(decode(blob, n, alphabet), symbols)
    assert bits_of(blob).rstrip("0").endswith(simple_bits(symbols, alphabet).rstrip("0"))


def test_two_million_symbols_of_two_values_and_one_rare():
    symbols = np.zeros(2_000_000, np.uint8)
    symbols[1_234_567] = 2
    symbols[1_999_999] = 1
    assert np.array_equal(decode(encode(symbols, 3), 2_000_000, 3), symbols)


def test_no_symbols_take_no_bytes_and_a_lone_symbol_no_codewords():
    assert encode(np.array([], int), 8) == b""
    assert decode(b"", 0, 8).tolist() == []
    for alphabet, symbol in ((1, 0), (8, 0), (8, 7), (256, 255), (2**16, 0), (2**16, 2**16 - 1)):
        blob = encode(np.full(100_000, symbol), alphabet)
        assert len(blob) <= 9
        assert set(decode(blob, 100_000, alphabet).tolist()) == {symbol}


def test_65536_symbols():
    symbols = np.random.default_rng(0).permutation(2**16)
    blob = encode(symbols, 2**16)
    assert len(blob) < 2**17 + 2**13 + 300  # 16 bits a symbol, 1 bit a length, the index
    assert np.array_equal(decode(blob, 2**16, 2**16), symbols)
    spread = np.random.default_rng(1).zipf(1.3, 40_000) % 2**16
    assert np.array_equal(decode(encode(spread, 2**16), 40_000, 2**16), spread)


def test_fibonacci_counts_stay_within_the_limit():
    counts = [1, 1]
    while len(counts) < 24:
        counts.append(counts[-1] + counts[-2])
    symbols = np.random.default_rng(0).permutation(np.repeat(np.arange(24), counts))
    assert np.array_equal(decode(encode(symbols, 24), len(symbols), 24), symbols)
    assert [length_limit(alphabet) for alphabet in (2, 256, 257, 2**16)] == [12, 12, 16, 16]


def test_little_is_added_to_the_codewords():
    for symbols, alphabet, bytes_added in ((normal(500, 8), 8, 5), (normal(500), 16, 6), (skewed(500, 256), 256, 25)):
        codewords = len(simple_bits(symbols, alphabet)) / 8
        assert len(encode(symbols, alphabet)) - codewords < bytes_added
    for symbols in (normal(300_000), skewed(300_000, 256)):
        assert len(encode(symbols, 256)) < 1.01 * len(simple_bits(symbols, 256)) / 8


def test_equal_input_gives_equal_bytes_whatever_its_dtype():
    symbols = normal(3000)
    assert encode(symbols, 16) == encode(symbols.astype(np.int64), 16) == encode(list(map(int, symbols)), 16)


def test_a_blob_by_hand():
    lengths = "10 110 10 111110"  # 3, 2, 3, 1: the steps +1, -1, +1, -2 from 2, the bits of 4 symbols
    codewords = "110 10 10 111 0 0"
    assert bits_of(encode([0, 1, 1, 2, 3, 3], 4)) == (lengths + codewords).replace(" ", "").ljust(32, "0")


@pytest.mark.parametrize("alphabet", [8, 300])
def test_every_truncation_flip_and_extension_of_a_blob(alphabet):
    symbols = normal(60, 8)
    blob = encode(symbols, alphabet)
    for end in range(len(blob)):
        with pytest.raises(FormatError):
            decode(blob[:end], 60, alphabet)
    for extra in (b"\x00", b"\x80", bytes(100)):
        with pytest.raises(FormatError):
            decode(blob + extra, 60, alphabet)
    for bit in range(8 * len(blob)):
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 128 >> bit % 8
        decode_or_format_error(bytes(flipped), 60, alphabet)
    for count in (0, 1, 59, 61, 10_000, 2**26):
        decode_or_format_error(blob, count, alphabet)


def test_truncations_and_flips_of_an_indexed_blob():
    n = INDEXED_FROM + 100
    blob = encode(normal(n, 4), 4)
    for end in [*range(80), *range(80, len(blob), 97), len(blob) - 1]:
        with pytest.raises(FormatError):
            decode(blob[:end], n, 4)
    for bit in [*range(320), *range(320, 8 * len(blob), 501)]:
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 128 >> bit % 8
        decode_or_format_error(bytes(flipped), n, 4)


def cut(fields):
    values, widths = fields
    return values[:-1], widths[:-1]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda index, bits: cut(index(np.append(bits, bits.max() + np.uint64(2**10)))), "shortest form"),
        (lambda index, bits: cut(index(np.append(bits, bits.min() - np.uint64(1)))), "shortest form"),
        (lambda index, bits: index(bits - np.uint64(1)), "does not fit"),
        (lambda index, bits: index(bits[::-1]), "does not fit"),
        (lambda index, bits: index(bits + bits), "last segment"),
    ],
)
def test_a_wrong_index(monkeypatch, wrong, words):
    index = huffman_coder._index_fields
    monkeypatch.setattr(huffman_coder, "_index_fields", lambda bits: wrong(index, bits))
    blob = encode(normal(INDEXED_FROM), 16)
    with pytest.raises(FormatError, match=words):
        decode(blob, INDEXED_FROM, 16)


@settings(deadline=None, max_examples=400)
@given(st.binary(max_size=60), st.integers(0, 200) | st.just(INDEXED_FROM), st.sampled_from([1, 2, 5, 256, 2**16]))
def test_any_bytes_are_symbols_or_a_format_error(data, count, alphabet):
    decode_or_format_error(data, count, alphabet)


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        ("110 10 110", "Kraft"),  # lengths 1, 2, 1
        ("110 110", "Kraft"),  # lengths 1, 0: a lone symbol beside another
        ("0 10 0 0", "symbol 4"),  # lengths 2, 3, 3, 3 leave room for a fifth symbol
        ("1110 0 1110 0", "symbol 1"),  # an unused symbol, and again one, instead of two
        ("1110 110 00", "unary"),  # four unused symbols
        ("11111110", "symbol 0"),  # length 2 - 3
        ("1" * 32 + "0", "symbol 0"),  # length 2 + 16
        ("1" * 40, "unary"),
    ],
)
def test_wrong_code_lengths(bits, words):
    bits = bits.replace(" ", "").ljust(64, "0")
    with pytest.raises(FormatError, match=words):
        decode(int(bits, 2).to_bytes(8, "big"), 3, 4)


def test_nonzero_padding():
    blob = encode([0, 1, 1, 2, 3, 3], 4)
    padded = blob[:-1] + bytes([blob[-1] | 1])
    assert padded != blob
    with pytest.raises(FormatError, match="not zero"):
        decode(padded, 6, 4)


def test_limits_come_before_memory():
    lone = encode([3, 3], 8)
    with pytest.raises(LimitError, match="max_count"):
        decode(lone, 2**40, 8)
    tracemalloc.start()
    with pytest.raises(TruncatedError):
        decode(encode([0, 1], 2), 2**25, 2)
    assert tracemalloc.get_traced_memory()[1] < 2**25 + 2**20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: encode([0, 1, 8], 8), RangeError, r"symbols\[2\] is 8"),
        (lambda: encode([-1], 8), RangeError, "is -1"),
        (lambda: encode([0.0, 1.0], 8), DTypeError, "float64"),
        (lambda: encode([[0, 1]], 8), ShapeError, "ravel"),
        (lambda: encode([0], 2**16 + 1), RangeError, "alphabet"),
        (lambda: decode(b"", -1, 8), RangeError, "count"),
        (lambda: decode(b"", 0, 0), RangeError, "alphabet"),
        (lambda: decode(b"\x00", 0, 8), FormatError, "follow"),
        (lambda: decode(b"", 1, 8), TruncatedError, "0 bytes"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
