"""Unsigned integers as bytes, such as a codebook's codes: in as many bits as the largest needs, or by Huffman's code.

Both work through long arrays piece by piece, so that what they need beside the result stays small, however few bytes
announce however many numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..errors import FormatError
from ..quantization import huffman_coder
from .varint import Reader, varint

PIECE = 1 << 16  # values packed at once; a multiple of 8, so that each piece begins with a byte
BLOCK = 1 << 20  # symbols with a Huffman code of their own


def pack(values: np.ndarray, width: int) -> bytes:
    """Each value in `width` bits, most significant first."""
    flat, shifts = values.ravel(), np.arange(width - 1, -1, -1).astype(values.dtype)
    pieces = (flat[i : i + PIECE, None] >> shifts & values.dtype.type(1) for i in range(0, flat.size, PIECE))
    return b"".join(np.packbits(piece.astype(np.uint8, copy=False)).tobytes() for piece in pieces)


def unpack(data: memoryview, width: int, count: int, dtype: np.dtype) -> np.ndarray:
    """The `count` values of `width` bits each.   Raises FormatError unless the bytes are exactly theirs."""
    if len(data) != -(-count * width // 8):
        raise FormatError(f"{len(data)} bytes came for {count} values of {width} bits.")
    packed, values = np.frombuffer(data, np.uint8), np.zeros(count, dtype)
    for start in range(0, count, PIECE):
        part = values[start : start + PIECE]
        bits = np.unpackbits(packed[start * width // 8 : -(-(start + len(part)) * width // 8)])
        if bits[len(part) * width :].any():
            raise FormatError("the bits behind the last value are not zero.")
        for column in bits[: len(part) * width].reshape(-1, width).T:
            part[...] = (part << dtype.type(1)) | column
    return values


def encode_fixed(a: np.ndarray) -> bytes | None:
    """One byte for the width, then the values."""
    if a.dtype.kind != "u" or not a.size:
        return None
    width = max(1, int(a.max()).bit_length())
    return bytes([width]) + pack(a, width)


def decode_fixed(data: memoryview, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    reader = Reader(data)
    width = reader.byte()
    if dtype.kind != "u" or not 1 <= width <= dtype.itemsize * 8:
        raise FormatError(f"{width} bits a value do not fit an array of {dtype}.")
    return unpack(reader.rest(), width, math.prod(shape), dtype).reshape(shape)


def encode_symbols(symbols: np.ndarray, alphabet: int) -> bytes:
    """Huffman's code for each block of symbols (n,), and before each block but the last the number of its bytes."""
    blocks = [huffman_coder.encode(symbols[i : i + BLOCK], alphabet) for i in range(0, len(symbols), BLOCK)]
    return b"".join([part for block in blocks[:-1] for part in (varint(len(block)), block)] + blocks[-1:])


def decode_symbols(reader: Reader, count: int, alphabet: int) -> Iterator[np.ndarray]:
    """The blocks of `count` symbols, one after the other; the reader must end with the last."""
    for start in range(0, count, BLOCK):
        data = reader.take(reader.varint()) if start + BLOCK < count else reader.rest()
        yield huffman_coder.decode(bytes(data), min(BLOCK, count - start), alphabet)
    if reader.rest():
        raise FormatError("bytes follow behind the last symbol.")


def encode_huffman(a: np.ndarray) -> bytes | None:
    """The largest value, then the blocks."""
    if a.dtype.kind != "u" or not a.size or int(a.max()) >= 1 << 16:
        return None
    return varint(int(a.max())) + encode_symbols(a.ravel(), int(a.max()) + 1)


def decode_huffman(data: memoryview, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    reader, values, start = Reader(data), np.empty(math.prod(shape), dtype), 0
    largest = reader.varint()
    if dtype.kind != "u" or largest >= min(1 << 16, 1 << (8 * dtype.itemsize)):
        raise FormatError(f"symbols up to {largest} do not fit an array of {dtype}.")
    for symbols in decode_symbols(reader, values.size, largest + 1):
        values[start : start + len(symbols)] = symbols
        start += len(symbols)
    return values.reshape(shape)
