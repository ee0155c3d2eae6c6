"""Any bytes at all: the symbols that were announced, or a named error, in bounded time and memory."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicompress.errors import DTypeError, FormatError, LimitError, RangeError, ShapeError, TruncatedError
from minicompress.quantization import huffman_coder
from minicompress.quantization.huffman_coder import INDEXED_FROM, decode, encode


def normal(n, levels=16, rng=0):
    values = np.random.default_rng(rng).normal(size=n) * levels / 6 + (levels - 1) / 2
    return np.clip(np.round(values), 0, levels - 1).astype(np.uint8)


def decode_or_format_error(data, count, alphabet):
    """The one thing that may happen besides a FormatError is an array as announced."""
    try:
        symbols = decode(data, count, alphabet)
    except FormatError:
        return
    assert symbols.shape == (count,)
    assert symbols.size == 0 or symbols.max() < alphabet


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
