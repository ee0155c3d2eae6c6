"""Masks as bytes: one bit each, or the gaps: how many zeros stand before each survivor.

Gaps are the relative index of Deep Compression (Han, Mao & Dally 2016, section 2): one too long for the bound is
bridged by fillers, stored zero weights there and only symbols here. Where most weights survive, the gaps count
the survivors before each pruned weight. A matrix is read by rows or by columns, whichever is shorter.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import FormatError
from .integers import PIECE, decode_symbols, encode_symbols, unpack
from .varint import Reader, varint

BOUNDS = [7, 15, 31, 63, 127, 255]


def encode_bits(a: np.ndarray) -> bytes | None:
    return np.packbits(a).tobytes() if a.dtype == bool else None


def decode_bits(data: memoryview, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    if dtype.kind != "b":
        raise FormatError(f"a mask is announced as {dtype}.")
    return unpack(data, 1, math.prod(shape), np.dtype(np.uint8)).view(bool).reshape(shape)


def encode_gaps(a: np.ndarray) -> bytes | None:
    """A lead byte, the number of symbols, Huffman's code.

    The lead byte names the bound, the order of reading, and which entries the gaps lead to (the rarer ones).
    """
    if a.dtype != bool or not a.size:
        return None
    value = bool(2 * np.count_nonzero(a) <= a.size)
    orders = [a.ravel(), a.reshape(len(a), -1).T.ravel()] if a.ndim > 1 else [a.ravel()]
    candidates = []
    for by_columns, flat in enumerate(orders):
        gaps = np.diff(np.flatnonzero(flat == value), prepend=-1) - 1
        for i, bound in enumerate(BOUNDS):
            symbols = gap_symbols(gaps, bound)
            lead = bytes([(2 * value + by_columns) * len(BOUNDS) + i]) + varint(len(symbols))
            candidates.append(lead + encode_symbols(symbols, bound + 1))
            if bound > gaps.max(initial=0):
                break  # a larger bound gives the same symbols
    return min(candidates, key=len)


def gap_symbols(gaps: np.ndarray, bound: int) -> np.ndarray:
    """Each gap g as g // bound fillers (the symbol `bound`: pass so many entries) and the symbol g mod bound."""
    ends = np.cumsum(gaps // bound + 1) - 1
    symbols = np.full(ends[-1] + 1 if len(ends) else 0, bound, np.uint8)
    symbols[ends] = gaps % bound
    return symbols


def decode_gaps(data: memoryview, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    reader, size = Reader(data), math.prod(shape)
    kind, i = divmod(reader.byte(), len(BOUNDS))
    value, by_columns = divmod(kind, 2)
    count = reader.varint()
    if dtype.kind != "b" or value > 1 or by_columns > (len(shape) > 1) or count > size:
        raise FormatError("the relative index of a mask does not fit its shape.")
    mask, position, survivor = np.full(size, not value), -1, np.ones(1, bool)
    for symbols in decode_symbols(reader, count, BOUNDS[i] + 1):
        for start in range(0, len(symbols), PIECE):
            part = symbols[start : start + PIECE]
            survivor = part != BOUNDS[i]
            positions = np.cumsum(part.astype(np.int64) + survivor) + position
            position = int(positions[-1])
            if position >= size:
                raise FormatError("the relative index of a mask points past its end.")
            if by_columns:
                column = positions // shape[0]  # not divmod, which takes several times as long
                positions = (positions - column * shape[0]) * (size // shape[0]) + column
            mask[positions[survivor]] = value
    if not survivor[-1]:
        raise FormatError("the relative index of a mask ends in a filler.")
    return mask.reshape(shape)
