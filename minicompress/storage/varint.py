"""Whole numbers in as few bytes as they need, and a reader that never reads past the end.

A varint holds 7 bits of the number in each byte, the lowest first; the top bit says that another byte follows.
"""

from __future__ import annotations

from ..errors import FormatError, TruncatedError


def varint(value: int) -> bytes:
    """A number ≥ 0 as a varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Reader:
    """Bytes, read from the front, without copying them.   Raises TruncatedError where they end too early."""

    def __init__(self, data: bytes | memoryview) -> None:
        self.data, self.position = memoryview(data).toreadonly(), 0

    def take(self, count: int) -> memoryview:
        """The next `count` bytes."""
        if count > len(self.data) - self.position:
            raise TruncatedError(f"{count} bytes are announced where only {len(self.data) - self.position} are left.")
        self.position += count
        return self.data[self.position - count : self.position]

    def byte(self) -> int:
        return self.take(1)[0]

    def varint(self, limit_bits: int = 64) -> int:
        """The next varint, in its shortest form and below 2 ** limit_bits."""
        value, shift, byte = 0, 0, 0x80
        while byte & 0x80:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if value >> limit_bits or shift > limit_bits + 7:
                raise FormatError(f"a number is larger than 2^{limit_bits}.")
        if byte == 0 and shift > 7:
            raise FormatError("a number is written with leading zeros.")
        return value

    def rest(self) -> memoryview:
        """All that is left."""
        return self.take(len(self.data) - self.position)
