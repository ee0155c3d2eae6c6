"""Codecs: an array as bytes, in several ways, of which the file takes the shortest.

| codec | arrays | bytes |
|---|---|---|
| raw | any | its own dtype, little-endian |
| constant | any with one value | that value once |
| single, half | float64, float32 | each number in 4 or 2 bytes, where that is exact |
| nonzero | floats with zeros | a mask, then the rest by the best codec |
| bits | masks | one bit each |
| gaps | masks | Huffman-coded distances from one survivor to the next |
| fixed | unsigned integers | as many bits each as the largest needs |
| huffman | unsigned integers up to 16 bits | Huffman-coded |

Gaps are the relative index of Deep Compression (Han, Mao & Dally 2016, section 2): a distance too long for the bound is
bridged by fillers. A codec encodes to bytes or, where it does not apply, to None; it decodes any bytes to an array of
the announced dtype and size or raises FormatError.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..errors import FormatError, TruncatedError
from ..quantization import huffman_coder
from .varint import Reader, varint

Encoder = Callable[[np.ndarray], bytes | None]
Decoder = Callable[[bytes, np.dtype, tuple[int, ...]], np.ndarray]

CHUNK = 1 << 16  # values unpacked at once: what a decoder needs beside its result stays small


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal bit for bit: -0.0 differs from 0.0, and a NaN equals itself."""
    return a.tobytes() == b.tobytes()


def encode_raw(a: np.ndarray) -> bytes:
    return a.astype(a.dtype.newbyteorder("<"), copy=False).tobytes()


def decode_raw(data: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    size = math.prod(shape) * dtype.itemsize
    if len(data) != size:
        raise FormatError(f"{len(data)} bytes came for an array of {size} bytes.")
    return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype).reshape(shape)


def encode_constant(a: np.ndarray) -> bytes | None:
    flat = a.ravel()
    return encode_raw(flat[:1]) if a.size and same_bits(flat, np.repeat(flat[:1], a.size)) else None


def decode_constant(data: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, decode_raw(data, dtype, (1,))[0], dtype)


def narrow(to: type) -> tuple[Encoder, Decoder]:
    """The codec that stores floats in the narrower type `to`, where every one of them survives it."""

    def encode(a: np.ndarray) -> bytes | None:
        if a.dtype.kind != "f" or a.dtype.itemsize <= np.dtype(to).itemsize:
            return None
        with np.errstate(over="ignore", under="ignore"):
            narrowed = a.astype(to)
        return encode_raw(narrowed) if same_bits(narrowed.astype(a.dtype), np.ascontiguousarray(a)) else None

    def decode(data: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        if dtype.kind != "f" or dtype.itemsize <= np.dtype(to).itemsize:
            raise FormatError(f"{np.dtype(to)} numbers cannot stand for {dtype}.")
        return decode_raw(data, np.dtype(to), shape).astype(dtype)

    return encode, decode


def encode_nonzero(a: np.ndarray) -> bytes | None:
    if a.dtype.kind != "f":
        return None
    stored = encode_raw(a.ravel())
    mask = np.frombuffer(stored, np.uint8).reshape(a.size, a.dtype.itemsize).any(1)  # -0.0 is not zero here
    if mask.all() or not mask.any():
        return None
    index = encode(mask.reshape(a.shape))
    return varint(len(index)) + index + encode(a.ravel()[mask])


def decode_nonzero(data: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    if dtype.kind != "f":
        raise FormatError(f"the codec for zeros among floats met an array of {dtype}.")
    reader = Reader(data)
    mask = decode(reader.take(reader.varint()), np.dtype(bool), shape)
    a = np.zeros(shape, dtype)
    rest = reader.rest()
    if rest[:1] == bytes([CODEC_IDS["nonzero"]]):
        raise FormatError("zeros among floats, coded twice.")
    a[mask] = decode(rest, dtype, (int(np.count_nonzero(mask)),))
    return a


def encode_bits(a: np.ndarray) -> bytes | None:
    return np.packbits(a).tobytes() if a.dtype == bool else None


def decode_bits(data: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    if dtype != bool:
        raise FormatError(f"a mask is announced as {dtype}.")
    return unpack_fixed(data, 1, math.prod(shape), np.dtype(np.uint8)).view(bool).reshape(shape)


GAP_BOUNDS = [7, 15, 31, 63, 127, 255]


def encode_gaps(a: np.ndarray) -> bytes | None:
    """One byte for the bound and the order of reading, the number of symbols, the symbols by Huffman's code."""
    if a.dtype != bool or a.ndim == 0:
        return None
    candidates = []
    for order, mask in enumerate((a.ravel(), a.reshape(len(a), -1).T.ravel()) if a.ndim > 1 else (a,)):
        gaps = np.diff(np.flatnonzero(mask), prepend=-1) - 1
        for i, bound in enumerate(GAP_BOUNDS):
            symbols = gap_symbols(gaps, bound)
            lead = bytes([order * len(GAP_BOUNDS) + i]) + varint(len(symbols))
            candidates.append(lead + huffman_coder.encode(symbols, bound + 1))
    return min(candidates, key=len)


def gap_symbols(gaps: np.ndarray, bound: int) -> np.ndarray:
    """Each gap g as g // bound fillers (the symbol `bound`: skip so many zeros) and the symbol g mod bound."""
    ends = np.cumsum(gaps // bound + 1) - 1
    symbols = np.full(ends[-1] + 1 if len(ends) else 0, bound, np.uint8)
    symbols[ends] = gaps % bound
    return symbols


def decode_gaps(data: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    reader, size = Reader(data), math.prod(shape)
    order, i = divmod(reader.byte(), len(GAP_BOUNDS))
    count = reader.varint()
    if dtype != bool or order > (len(shape) > 1) or count > size:
        raise FormatError("the relative index of a mask does not fit its shape.")
    symbols = huffman_coder.decode(reader.rest(), count, GAP_BOUNDS[i] + 1)
    mask, position = np.zeros(size, bool), -1
    for start in range(0, count, CHUNK):
        part = symbols[start : start + CHUNK]
        survivor = part != GAP_BOUNDS[i]
        positions = np.cumsum(part.astype(np.int64) + survivor) + position
        position = int(positions[-1])
        if position >= size:
            raise FormatError("the relative index of a mask points past its end.")
        mask[positions[survivor]] = True
    if count and symbols[-1] == GAP_BOUNDS[i]:
        raise FormatError("the relative index of a mask ends in a filler.")
    return np.ascontiguousarray(mask.reshape(-1, shape[0]).T).reshape(shape) if order else mask.reshape(shape)


def pack_fixed(values: np.ndarray, width: int) -> bytes:
    """Each value in `width` bits, most significant first."""
    shifts = np.arange(width - 1, -1, -1, dtype=np.uint8)
    return np.packbits((values.ravel()[:, None] >> shifts.astype(values.dtype)) & values.dtype.type(1)).tobytes()


def unpack_fixed(data: bytes, width: int, count: int, dtype: np.dtype) -> np.ndarray:
    """The `count` values of `width` bits each.   Raises FormatError unless the bytes are exactly theirs."""
    if len(data) != -(-count * width // 8):
        raise TruncatedError(f"{len(data)} bytes came for {count} values of {width} bits.")
    packed, values = np.frombuffer(data, np.uint8), np.zeros(count, dtype)
    for start in range(0, count, CHUNK):
        part = values[start : start + CHUNK]
        bits = np.unpackbits(packed[start * width // 8 : -(-(start + len(part)) * width // 8)])
        if bits[len(part) * width :].any():
            raise FormatError("the bits behind the last value are not zero.")
        for column in bits[: len(part) * width].reshape(-1, width).T:
            part[...] = (part << values.dtype.type(1)) | column
    return values


def encode_fixed(a: np.ndarray) -> bytes | None:
    if a.dtype.kind != "u" or not a.size:
        return None
    width = max(1, int(a.max()).bit_length())
    return bytes([width]) + pack_fixed(a, width)


def decode_fixed(data: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    reader = Reader(data)
    width = reader.byte()
    if dtype.kind != "u" or not 1 <= width <= dtype.itemsize * 8:
        raise FormatError(f"{width} bits a value do not fit an array of {dtype}.")
    return unpack_fixed(reader.rest(), width, math.prod(shape), dtype).reshape(shape)


def encode_huffman(a: np.ndarray) -> bytes | None:
    if a.dtype.kind != "u" or not a.size or int(a.max()) >= 1 << 16:
        return None
    alphabet = int(a.max()) + 1
    return varint(alphabet - 1) + huffman_coder.encode(a.ravel(), alphabet)


def decode_huffman(data: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    reader = Reader(data)
    alphabet = reader.varint() + 1
    if dtype.kind != "u" or alphabet > min(1 << 16, 1 << (8 * dtype.itemsize)):
        raise FormatError(f"an alphabet of {alphabet} symbols does not fit an array of {dtype}.")
    return huffman_coder.decode(reader.rest(), math.prod(shape), alphabet).astype(dtype).reshape(shape)


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
CODEC_IDS = {name: i for i, name in enumerate(CODEC_NAMES)}


def encode(a: np.ndarray) -> bytes:
    """The shortest encoding of an array, led by the number of its codec; of equally short ones the first in the table."""
    coded = ((i, code(a)) for i, (code, _) in enumerate(CODECS.values()))
    return min((bytes([i]) + data for i, data in coded if data is not None), key=len)


def decode(data: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """The array of the given dtype and shape.   Raises FormatError for bytes that are not one."""
    if not data or data[0] >= len(CODECS):
        raise FormatError("an array is coded in a way that this release does not know.")
    return CODECS[CODEC_NAMES[data[0]]][1](data[1:], dtype, shape)
