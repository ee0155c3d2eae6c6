"""Huffman coding into bytes: the bits of `huffman.encode_simple`, with all that is needed to read them again.

    blob = code lengths | index | codewords | up to 7 zeros

The number of symbols and the alphabet are known from elsewhere (the header of a file). The code is canonical; its
lengths are at most 12 bits for up to 256 symbols, 16 bits above. Each length is stored as the step from the length
before it, in unary; the list ends by itself with the symbol that makes the Kraft sum 1. No symbols take no bytes, and
a lone symbol has codewords of 0 bits.

The index is for speed: with it, all whole segments of 512 symbols are decoded in lockstep. From 16,384 symbols on, it
holds how many bits each whole segment has, in about one byte (0.3 to 1.3 % of the blob). The remaining symbols, and
short inputs, are decoded one by one. Decoding checks all but one thing: that no other lengths would be better.
"""

import numpy as np

from ..errors import DTypeError, FormatError, LimitError, RangeError, ShapeError, TruncatedError
from ..inputs import as_integer
from .bitstream import BitReader, Field, Fields, as_fields, bit_windows, gamma, pack_bits, peek, unary
from .codewords import SEGMENT, codeword_fields, decode_one_by_one, decode_segments, decoding_table
from .huffman import code_lengths

INDEXED_FROM = 2**14  # symbols
STEPS = (0, 1, -1, None, *(step for size in range(2, 17) for step in (size, -size)))  # None: a run of unused symbols


def length_limit(alphabet: int) -> int:
    """The longest codeword, in bits: 12 for up to 256 symbols, 16 above."""
    return 12 if alphabet <= 256 else 16


def encode(symbols: np.ndarray, alphabet: int) -> bytes:
    """The blob of symbols (n,), integers in 0 .. alphabet - 1, alphabet ≤ 2^16.

    Raises DTypeError, ShapeError, RangeError.
    """
    symbols = _as_symbols(symbols, as_integer(alphabet, "alphabet", 1, 2**16))
    lengths = code_lengths(np.bincount(symbols, minlength=alphabet), length_limit(alphabet))
    used = np.flatnonzero(lengths)
    if len(used) == 0:
        return b""
    if len(used) == 1:
        return pack_bits([_length_fields(used, np.array([0]), alphabet)])
    codewords, segment_bits = codeword_fields(symbols, lengths)
    index = [_index_fields(segment_bits)] if len(symbols) >= INDEXED_FROM else []
    return pack_bits([_length_fields(used, lengths[used], alphabet), *index, *codewords])


def decode(data: bytes, count: int, alphabet: int, max_count: int = 2**26) -> np.ndarray:
    """The `count` symbols of a blob, (count,) uint8, or uint16 for an alphabet above 256.

    Raises LimitError for count > max_count; TruncatedError, FormatError for bytes that `encode` does not write.
    """
    alphabet = as_integer(alphabet, "alphabet", 1, 2**16)
    if as_integer(count, "count", 0) > max_count:
        raise LimitError(f"{count} symbols are announced; allowed: at most {max_count}. Hint: raise max_count.")
    reader = BitReader(bytes(data))
    symbols = np.empty(count, _dtype(alphabet))
    if count:
        used, lengths = _read_lengths(reader, alphabet)
        if len(used) == 1:
            symbols[:] = used[0]
        else:
            _read_codewords(reader, used, lengths, symbols)
    reader.finish()
    return symbols


def _dtype(alphabet: int) -> np.dtype:
    return np.dtype("u1" if alphabet <= 256 else "<u2")


def _as_symbols(symbols: np.ndarray, alphabet: int) -> np.ndarray:
    symbols = np.asarray(symbols)
    if symbols.ndim != 1:
        raise ShapeError(f"symbols have shape {symbols.shape}; allowed: (n,). Hint: symbols.ravel().")
    if symbols.size and symbols.dtype.kind not in "iu":
        raise DTypeError(f"symbols have dtype {symbols.dtype}; allowed: integers.")
    if symbols.size and not 0 <= symbols.min() <= symbols.max() < alphabet:
        at = np.argmax((symbols < 0) | (symbols >= alphabet))
        raise RangeError(f"symbols[{at}] is {symbols[at]}; allowed: 0 .. {alphabet - 1}. Hint: a larger alphabet.")
    return symbols.astype(_dtype(alphabet), copy=False)


def _length_fields(used: np.ndarray, lengths: np.ndarray, alphabet: int) -> Fields:
    fields: list[Field] = []
    following, previous = 0, (alphabet - 1).bit_length()
    for symbol, length in zip(used.tolist(), lengths.tolist(), strict=True):
        if symbol > following:
            fields += [unary(STEPS.index(None)), *gamma(symbol - following)]
        fields.append(unary(STEPS.index(length - previous)))
        following, previous = symbol + 1, length
    return as_fields(fields)


def _read_lengths(reader: BitReader, alphabet: int) -> tuple[np.ndarray, np.ndarray]:
    """The symbols that occur, and their code lengths."""
    used, lengths = [], []
    limit = length_limit(alphabet)
    symbol, length, room = 0, (alphabet - 1).bit_length(), 2**limit  # room: codewords of `limit` bits that are free
    while room:
        step = STEPS[reader.unary(len(STEPS) - 1)]
        if step is None:
            symbol += reader.gamma(alphabet - 1 - symbol)
            step = STEPS[reader.unary(len(STEPS) - 1)]
        if step is None or symbol >= alphabet or not 0 <= length + step <= limit:
            raise FormatError(f"the code length of symbol {symbol} is not one for an alphabet of {alphabet}.")
        length += step
        room -= 2 ** (limit - length)
        if room < 0:
            raise FormatError("the code lengths have a Kraft sum Σ 2^-ℓ above 1; allowed: exactly 1.")
        used.append(symbol)
        lengths.append(length)
        symbol += 1
    return np.array(used), np.array(lengths)


def _index_fields(segment_bits: np.ndarray) -> Fields:
    excess = segment_bits - segment_bits.min()
    width = int(excess.max()).bit_length()
    values, widths = as_fields([*gamma(int(segment_bits.min())), *gamma(width + 1)])
    return np.append(values, excess), np.append(widths, np.full(len(excess), width, np.uint64))


def _read_index(reader: BitReader, windows: np.ndarray, n_segments: int) -> np.ndarray:
    """The bits where the segments start, and where the last one ends, (n_segments + 1,)."""
    shortest, width = reader.gamma(2**13), reader.gamma(14) - 1
    excess = peek(windows, reader.position + width * np.arange(n_segments), width).view(np.int64)
    if excess.min() != 0 or int(excess.max()).bit_length() != width:
        raise FormatError("the index of the segments is not in its shortest form.")
    reader.position += width * n_segments
    return reader.position + np.cumsum(np.append(0, shortest + excess))


def _read_codewords(reader: BitReader, used: np.ndarray, lengths: np.ndarray, out: np.ndarray) -> None:
    n_bits = 8 * len(reader.data)
    if reader.position + len(out) * int(lengths.min()) > n_bits:
        raise TruncatedError(f"the data end after {len(reader.data)} bytes, too few for {len(out)} symbols.")
    windows = bit_windows(reader.data)
    table = decoding_table(used, lengths)
    n_segments = len(out) // SEGMENT if len(out) >= INDEXED_FROM else 0
    if n_segments:
        starts = _read_index(reader, windows, n_segments)
        if starts[-1] > n_bits:
            raise TruncatedError(f"the data end after {len(reader.data)} bytes, before the last segment does.")
        segments = out[: n_segments * SEGMENT].reshape(n_segments, SEGMENT)
        if not np.array_equal(decode_segments(windows, starts[:-1], table, segments), starts[1:]):
            raise FormatError("the index of the segments does not fit the codewords.")
        reader.position = int(starts[-1])
    rest = out[n_segments * SEGMENT :]
    reader.position = decode_one_by_one(windows, reader.position, n_bits, table, rest)
