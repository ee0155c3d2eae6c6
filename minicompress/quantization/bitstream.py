"""Bits into bytes and out of bytes, whole arrays at a time. The first bit is the highest bit of the first byte.

A field is a number and its width in bits. Elias's γ code: Elias, "Universal codeword sets and representations of the
integers", IEEE Transactions on Information Theory 21 (1975).
"""

from collections.abc import Iterable

import numpy as np

from ..errors import FormatError, TruncatedError

Field = tuple[int, int]  # value, width
Fields = tuple[np.ndarray, np.ndarray]  # values (n,), widths (n,), both uint64


def pack_bits(parts: Iterable[Fields]) -> bytes:
    """The fields of all parts side by side; up to 7 zeros fill the last byte.

    widths are 0 .. 64, and values < 2^widths. Parts of some 10,000 fields are fastest: they stay in the cache.
    """
    parts = [(values, widths) for values, widths in parts if len(values)]
    n_bits = sum(int(widths.sum()) for _, widths in parts)
    words = np.zeros(n_bits // 64 + 2, np.uint64)
    start = np.uint64(0)
    for values, widths in parts:
        ends = start + np.cumsum(widths)
        starts = ends - widths
        word, shift = (starts >> np.uint64(6)).view(np.int64), starts & np.uint64(63)
        values = values << (np.uint64(64) - widths)  # NumPy shifts by 64 to 0
        first = np.flatnonzero(np.diff(word, prepend=-1))  # the first field that begins in each word
        words[word[first]] |= np.bitwise_or.reduceat(values >> shift, first)
        last = np.append(first[1:], len(word)) - 1  # only the last one can reach into the next word
        words[word[last] + 1] |= values[last] << (np.uint64(64) - shift[last])
        start = ends[-1]
    return words.astype(">u8").tobytes()[: -(-n_bits // 8)]


def bit_windows(data: bytes) -> np.ndarray:
    """windows[i] = the 64 bits from bit 16 i on, (len(data) // 2 + 2,) uint64; zeros follow the data."""
    overlapping = np.ndarray((len(data) // 2 + 2,), ">u8", data + bytes(10), strides=(2,))
    return overlapping.astype(np.uint64)


def peek(windows: np.ndarray, positions: np.ndarray, width: int) -> np.ndarray:
    """The `width` bits (0 .. 49) from each of the bit positions on, as uint64; zeros after the end."""
    window = windows.take(positions >> 4, mode="clip") << (positions & 15).astype(np.uint64)
    return window >> np.uint64(64 - width)


def as_fields(fields: list[Field]) -> Fields:
    """Single fields as a pair of arrays."""
    values, widths = np.array(fields, np.uint64).T
    return values, widths


def unary(n: int) -> Field:
    """n ones and a zero."""
    return 2 ** (n + 1) - 2, n + 1


def gamma(n: int) -> list[Field]:
    """n ≥ 1 in Elias's γ code: in unary how many binary digits follow the leading one, then those digits."""
    digits = n.bit_length() - 1
    return [unary(digits), (n - 2**digits, digits)]


class BitReader:
    """Reads one field after the other. `position`: the bits read so far. Past the end: TruncatedError."""

    def __init__(self, data: bytes):
        self.data = data
        self.position = 0

    def field(self, width: int) -> int:
        """The value of the next `width` bits."""
        end = self.position + width
        if end > 8 * len(self.data):
            raise TruncatedError(f"the data end after {len(self.data)} bytes; allowed: at least {-(-end // 8)}.")
        value = int.from_bytes(self.data[self.position // 8 : -(-end // 8)], "big") >> (-end % 8)
        self.position = end
        return value & (2**width - 1)

    def unary(self, high: int) -> int:
        """The number of ones before the next zero.   Raises FormatError above `high`."""
        for n in range(high + 1):
            if not self.field(1):
                return n
        raise FormatError(f"a number in unary is above {high}.")

    def gamma(self, high: int) -> int:
        """The next number in γ code.   Raises FormatError above `high`."""
        digits = self.unary(high.bit_length() - 1)
        value = 2**digits + self.field(digits)
        if value > high:
            raise FormatError(f"a number in γ code is {value}; allowed: 1 .. {high}.")
        return value

    def finish(self) -> None:
        """Raises FormatError if anything is left but the zeros that fill the last byte."""
        left = 8 * len(self.data) - self.position
        if left >= 8:
            raise FormatError(f"{left // 8} bytes follow after the last bit; allowed: none.")
        if self.field(left):
            raise FormatError("the bits that fill the last byte are not zero.")
