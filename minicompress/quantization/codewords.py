"""Canonical codewords, millions at a time: symbols into fields, and bits back into symbols.

Encoding looks up all codewords and joins them in pairs, pairs of pairs, ... while 64 bits hold them. Decoding looks
up the next L bits (L: the longest codeword) in a table of 2^L entries, in many segments of the bits in lockstep.

A table entry is a number of 64 bits: the length of the codeword that the L bits begin with, and its symbol from bit 8
on. Of several codewords, the sum of their lengths, and their symbols side by side: so entries can be added.
"""

import numpy as np

from ..errors import TruncatedError
from .bitstream import Fields, peek

SEGMENT = 512  # symbols
BLOCK = 2**16  # symbols encoded at once, so that they stay in the cache
LANES, ROUNDS = 2**12, 16  # segments decoded at once, and how often before their symbols are put in order
LENGTH = np.uint64(255)  # the bits of an entry that hold the length


def codeword_fields(symbols: np.ndarray, lengths: np.ndarray) -> tuple[list[Fields], np.ndarray]:
    """The codewords of `symbols` (n,), several to a field; and the bits of each whole segment (n // SEGMENT,).

    lengths (alphabet,) has 0 for symbols that do not occur, and 1 .. 32 for at least two that do.
    """
    order, n_windows = _canonical_order(lengths)
    words = np.zeros(len(lengths), np.uint64)
    words[order] = (np.cumsum(n_windows) - n_windows) >> (lengths.max() - lengths[order])
    lengths = lengths.astype(np.uint64)
    fields, segment_bits = [], []
    for begin in range(0, len(symbols), BLOCK):
        block = symbols[begin : begin + BLOCK].astype(np.intp)
        value, width = words.take(block), lengths.take(block)
        if padding := -len(block) % SEGMENT:
            value, width = np.pad(value, (0, padding)), np.pad(width, (0, padding))
        per_segment = SEGMENT
        while per_segment > 1 and 2 * width.max() <= 64:
            value = value[::2] << width[1::2] | value[1::2]
            width = width[::2] + width[1::2]
            per_segment //= 2
        fields.append((value, width))
        segment_bits.append(width.reshape(-1, per_segment).sum(axis=1))
    return fields, np.concatenate(segment_bits)[: len(symbols) // SEGMENT]


def decoding_table(symbols: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The entries (2^L,) of the canonical code with these lengths (n,) ≥ 1, whose Kraft sum is 1, for these symbols."""
    order, n_windows = _canonical_order(lengths)
    return np.repeat(symbols[order].astype(np.uint64) << np.uint64(8) | lengths[order].astype(np.uint64), n_windows)


def decode_segments(windows: np.ndarray, starts: np.ndarray, table: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The symbols of the segments that start at these bits, into out (n, SEGMENT); returns the bits where they end.

    A segment is read as far as its symbols go, zeros after the end of the data: the caller compares the ends.
    """
    per_entry = 8 * out.itemsize
    while per_entry < 32 and len(table) <= 2**8:
        table, per_entry = _pairs(table, per_entry), 2 * per_entry
    tables = [_moved(table, bits) for bits in range(0, 32, per_entry)]
    ends = [
        _decode_lanes(windows, starts[lane : lane + LANES], tables, out[lane : lane + LANES])
        for lane in range(0, len(starts), LANES)
    ]
    return np.concatenate(ends)


def decode_one_by_one(windows: np.ndarray, start: int, stop: int, table: np.ndarray, out: np.ndarray) -> int:
    """The symbols from the bit `start` on, into out (n,); returns the bit where they end.

    Looks up an entry at every bit, as if a codeword started there, then follows the lengths from one to the next.
    Raises TruncatedError where that leads beyond the bit `stop`.
    """
    width = len(table).bit_length() - 1
    positions = np.arange(start, min(start + len(out) * width, stop))
    entries = table.take(peek(windows, positions, width).view(np.int64))
    lengths = (entries & LENGTH).tolist()
    path, at = [], 0
    for _ in range(len(out)):
        if at >= len(lengths):
            break
        path.append(at)
        at += lengths[at]
    if len(path) < len(out) or start + at > stop:
        raise TruncatedError(f"the data end within symbol {len(path)} of the last {len(out)}.")
    out[:] = entries[path] >> np.uint64(8)
    return start + at


def _canonical_order(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The symbols in the order of their codewords, and how many of the 2^L windows begin with each codeword."""
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    return order, 1 << (lengths.max() - lengths[order])


def _pairs(table: np.ndarray, entry_bits: int) -> np.ndarray:
    """The entries for windows of twice the bits: two codewords, the second one's symbols behind the first one's."""
    width = np.uint64(len(table).bit_length() - 1)
    windows = np.arange(len(table) ** 2, dtype=np.uint64)
    first = table[windows >> width]
    rest = windows << (first & LENGTH) & np.uint64(len(windows) - 1)
    return first + _moved(table, entry_bits)[rest >> width]


def _moved(table: np.ndarray, bits: int) -> np.ndarray:
    """The entries with their symbols moved up, to be added to entries that have `bits` bits of symbols."""
    return table & LENGTH | (table & ~LENGTH) << np.uint64(bits)


def _decode_lanes(windows: np.ndarray, starts: np.ndarray, tables: list[np.ndarray], out: np.ndarray) -> np.ndarray:
    position = starts.astype(np.uint64)
    columns = out.view("<u4")
    rounds = np.empty((ROUNDS, len(starts)), "<u4")
    for begin in range(0, columns.shape[1], ROUNDS):
        _decode_rounds(windows, position, tables, rounds)
        columns[:, begin : begin + ROUNDS] = rounds.T
    return position


def _decode_rounds(windows: np.ndarray, position: np.ndarray, tables: list[np.ndarray], rounds: np.ndarray) -> None:
    """A row of `rounds` is 64 bits from each position, a lookup in each table, 32 bits of symbols; moves `position`."""
    four, fifteen, low, eight = (np.array(n, np.uint64) for n in (4, 15, 63, 8))  # arrays: scalars cost a conversion
    unused = np.array(65 - len(tables[0]).bit_length(), np.uint64)  # 64 - L
    window, i, entry, total = np.empty((4, len(position)), np.uint64)
    index = i.view(np.int64)
    for row in rounds:
        np.right_shift(position, four, i)
        windows.take(index, None, window, "clip")
        np.bitwise_and(position, fifteen, i)
        np.left_shift(window, i, window)
        np.right_shift(window, unused, i)
        tables[0].take(index, None, total, "wrap")
        for table in tables[1:]:
            np.bitwise_and(total, low, i)
            np.left_shift(window, i, i)
            np.right_shift(i, unused, i)
            table.take(index, None, entry, "wrap")
            np.add(total, entry, total)
        np.bitwise_and(total, low, i)
        np.add(position, i, position)
        np.right_shift(total, eight, row, casting="unsafe")
