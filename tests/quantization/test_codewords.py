"""Codewords by the million are the codewords of the definition."""

import numpy as np
import pytest

from minicompress.errors import TruncatedError
from minicompress.quantization.bitstream import bit_windows, pack_bits
from minicompress.quantization.codewords import (
    BLOCK,
    SEGMENT,
    codeword_fields,
    decode_one_by_one,
    decode_segments,
    decoding_table,
)
from minicompress.quantization.huffman import canonical_code, code_lengths, encode_simple

LENGTHS = {  # the longest codeword decides how many codewords a field and a table entry hold
    "1 bit": [1, 1],
    "4 bits": [1, 2, 3, 4, 4],
    "8 bits, gaps": [0, 1, 2, 0, 3, 4, 5, 6, 7, 8, 8],
    "9 bits": [9, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    "12 bits": [*range(1, 12), 12, 12],
    "16 bits": [*range(1, 16), 16, 16],
}


def draw(lengths, n, rng=0):
    lengths = np.array(lengths)
    used = np.flatnonzero(lengths)
    return np.random.default_rng(rng).choice(used, n, p=2.0 ** -lengths[used])


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("n", [1, 7, SEGMENT, 3 * SEGMENT + 1])
def test_fields_are_the_bits_of_the_definition(lengths, n):
    symbols = draw(lengths, n)
    words = canonical_code(lengths)
    fields, segment_bits = codeword_fields(symbols, np.array(lengths))
    bits = encode_simple(symbols.tolist(), words)
    assert pack_bits(fields) == int(bits + "0" * (-len(bits) % 8), 2).to_bytes(-(-len(bits) // 8), "big")
    segments = symbols[: n // SEGMENT * SEGMENT].reshape(-1, SEGMENT).tolist()
    assert segment_bits.tolist() == [len(encode_simple(segment, words)) for segment in segments]


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("dtype", ["u1", "<u2"])
def test_segments_and_single_symbols_are_decoded(lengths, dtype):
    symbols, lengths = draw(lengths, 5 * SEGMENT), np.array(lengths)
    fields, segment_bits = codeword_fields(symbols, lengths)
    data = pack_bits(fields)
    used = np.flatnonzero(lengths)
    table = decoding_table(used, lengths[used])
    edges = np.cumsum(np.append(0, segment_bits.astype(np.int64)))
    out = np.empty((5, SEGMENT), dtype)
    ends = decode_segments(bit_windows(data), edges[:-1], table, out)
    assert ends.tolist() == edges[1:].tolist()
    assert np.array_equal(out.ravel(), symbols)
    out = np.empty(2 * SEGMENT, dtype)
    assert decode_one_by_one(bit_windows(data), int(edges[3]), 8 * len(data), table, out) == edges[5]
    assert np.array_equal(out, symbols[3 * SEGMENT :])


def test_blocks_and_lanes_join_without_a_seam():
    symbols = np.random.default_rng(1).integers(0, 3, BLOCK * 33 + 5)  # more than LANES segments
    lengths = code_lengths(np.bincount(symbols))
    fields, segment_bits = codeword_fields(symbols, lengths)
    edges = np.cumsum(np.append(0, segment_bits.astype(np.int64)))
    out = np.empty((len(segment_bits), SEGMENT), np.uint8)
    table = decoding_table(np.arange(3), lengths)
    ends = decode_segments(bit_windows(pack_bits(fields)), edges[:-1], table, out)
    assert np.array_equal(ends, edges[1:])
    assert np.array_equal(out.ravel(), symbols[: out.size])


def test_the_end_of_the_data_is_not_overrun():
    table = decoding_table(np.array([0, 1, 2]), np.array([1, 2, 2]))
    windows = bit_windows(b"\x01")  # seven zeros, then the first bit of a codeword of two
    assert decode_one_by_one(windows, 0, 8, table, out := np.empty(7, np.uint8)) == 7 and not out.any()
    for n in (8, 9, 20):
        with pytest.raises(TruncatedError):
            decode_one_by_one(windows, 0, 8, table, np.empty(n, np.uint8))
    zeros = np.empty((1, SEGMENT), np.uint8)
    assert decode_segments(windows, np.array([10**6]), table, zeros) == 10**6 + SEGMENT and not zeros.any()
