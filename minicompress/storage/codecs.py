"""Codecs: an array as bytes, in several ways, of which the file takes the shortest.

| codec | arrays | bytes |
|---|---|---|
| raw | any | its own dtype, little-endian |
| constant | any with one value | that value once, without the zeros in front |
| single, half | float64, float32 | each number in 4 or 2 bytes, where that is exact |
| nonzero | floats with zeros | a mask, then the rest by the best codec |
| bits, gaps | masks | one bit each; Huffman-coded numbers of zeros between survivors (masks.py) |
| fixed, huffman | unsigned integers | as many bits each as the largest needs; Huffman-coded (integers.py) |

A codec encodes to bytes or, where it does not apply, to None. It decodes any bytes to an array of the announced shape,
or a view into the bytes, or raises FormatError.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..errors import FormatError
from .integers import PIECE, decode_fixed, decode_huffman, encode_fixed, encode_huffman
from .masks import decode_bits, decode_gaps, encode_bits, encode_gaps
from .varint import Reader, varint

Encoder = Callable[[np.ndarray], bytes | None]
Decoder = Callable[[memoryview, np.dtype, tuple[int, ...]], np.ndarray]


def bit_patterns(a: np.ndarray) -> np.ndarray:
    """The numbers of `a` as unsigned integers: -0.0 differs from 0.0, and a NaN equals itself.      (n,)"""
    return a.ravel().view(f"u{a.dtype.itemsize}")


def encode_raw(a: np.ndarray) -> bytes:
    return a.astype(a.dtype.newbyteorder("<"), copy=False).tobytes()


def decode_raw(data: memoryview, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    size = math.prod(shape) * dtype.itemsize
    if len(data) != size:
        raise FormatError(f"{len(data)} bytes came for an array of {size} bytes.")
    if dtype.kind == "b" and np.frombuffer(data, np.uint8).max(initial=0) > 1:
        raise FormatError("a byte of a mask is neither 0 nor 1.")
    return np.frombuffer(data, dtype.newbyteorder("<")).reshape(shape)


def encode_constant(a: np.ndarray) -> bytes | None:
    bits = bit_patterns(a)
    return encode_raw(a.ravel()[:1]).lstrip(b"\0") if a.size and (bits == bits[0]).all() else None


def decode_constant(data: memoryview, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    if data[:1] == b"\0":
        raise FormatError("a number is written with leading zeros.")
    return np.broadcast_to(decode_raw(memoryview(bytes(data).rjust(dtype.itemsize, b"\0")), dtype, ()), shape)


def narrow(to: type) -> tuple[Encoder, Decoder]:
    """The codec that stores floats in the narrower type `to`, where every one of them survives it."""

    def encode(a: np.ndarray) -> bytes | None:
        if a.dtype.kind != "f" or a.dtype.itemsize <= np.dtype(to).itemsize:
            return None
        with np.errstate(all="ignore"):
            narrowed: np.ndarray = a.astype(to)
        return encode_raw(narrowed) if np.array_equal(narrowed, a) else None  # never with NaN, which equals nothing

    def decode(data: memoryview, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        if dtype.kind != "f" or dtype.itemsize <= np.dtype(to).itemsize:
            raise FormatError(f"{np.dtype(to)} numbers cannot stand for {dtype}.")
        return decode_raw(data, np.dtype(to), shape)

    return encode, decode


def encode_nonzero(a: np.ndarray) -> bytes | None:
    mask = bit_patterns(a) != 0
    if a.dtype.kind != "f" or mask.all() or not mask.any():
        return None
    index = encode(mask.reshape(a.shape))
    return varint(len(index)) + index + encode(a.ravel()[mask])


def decode_nonzero(data: memoryview, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    reader = Reader(data)
    mask = decode(reader.take(reader.varint()), np.dtype(bool), shape)
    rest = reader.rest()
    if dtype.kind != "f" or rest[:1] == bytes([CODEC_NAMES.index("nonzero")]):
        raise FormatError(f"zeros are left out of {dtype}, or twice; allowed: once, of floats.")
    bits, count, stop = np.packbits(mask), int(np.count_nonzero(mask)), 0
    del mask  # as bits it takes an eighth: the memory beside the result stays small
    a, numbers = np.zeros(shape, dtype), view(rest, dtype, (count,))
    for i in range(0, a.size, PIECE):
        part = a.reshape(-1)[i : i + PIECE]
        kept = np.unpackbits(bits[i // 8 : (i + PIECE) // 8], count=len(part)).view(bool)
        start, stop = stop, stop + int(np.count_nonzero(kept))
        part[kept] = numbers[start:stop]
    return a


CODECS: dict[str, tuple[Encoder, Decoder]] = {
    "raw": (encode_raw, decode_raw),
    "constant": (encode_constant, decode_constant),
    "single": narrow(np.float32),
    "half": narrow(np.float16),
    "nonzero": (encode_nonzero, decode_nonzero),
    "bits": (encode_bits, decode_bits),
    "gaps": (encode_gaps, decode_gaps),
    "fixed": (encode_fixed, decode_fixed),
    "huffman": (encode_huffman, decode_huffman),
}
CODEC_NAMES = list(CODECS)  # the order is part of the format: a codec's number is its place here


def encode(a: np.ndarray) -> bytes:
    """The shortest encoding of an array, led by the number of its codec; of equals the first in the table."""
    coded = ((i, code(a)) for i, (code, _) in enumerate(CODECS.values()))
    return min((bytes([i]) + data for i, data in coded if data is not None), key=len)


def decode(data: bytes | memoryview, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """The array of the given dtype and shape.   Raises FormatError for bytes that are not one."""
    with np.errstate(all="ignore"):
        return np.require(view(memoryview(data).toreadonly(), dtype, shape), dtype, ["C", "W"])


def view(data: memoryview, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """The array as its codec gives it: read-only perhaps, or of a narrower dtype. Nothing large is made twice."""
    if not data or data[0] >= len(CODECS):
        raise FormatError("an array is coded in a way that this release does not know.")
    return CODECS[CODEC_NAMES[data[0]]][1](data[1:], dtype, shape)
