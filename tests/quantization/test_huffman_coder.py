"""The blob: the definition's bits, small, and safe against any bytes."""


import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
