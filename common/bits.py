"""How are numbers read out of a string of bits? What TC strings and GPP sections share."""

from __future__ import annotations

import base64
import binascii

_LONGEST_SEGMENT = 8_192
_LARGEST_FIBONACCI = 0xFFFF


class BitReader:
    """Reads big-endian numbers one after the other; ValueError when the bits end before the number does."""

    def __init__(self, text: str) -> None:
        """`text` is web-safe base64 without padding; ValueError when it is empty, too long or no such text."""
        if not 0 < len(text) <= _LONGEST_SEGMENT:
            raise ValueError(f"a segment has 1 to {_LONGEST_SEGMENT} characters, this one {len(text)}")
        # Encoders stop at the last six bits they need, so any length is met; what fills it up is cut off again.
        fill = -len(text) % 4
        try:
            data = base64.b64decode(text + "A" * fill, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("not web-safe base64") from None
        self._number = int.from_bytes(data, "big") >> 6 * fill
        self._bits = self._left = 6 * len(text)

    @property
    def left(self) -> int:
        """How many bits have not been read."""
        return self._left

    def take(self, width: int) -> int:
        """The next `width` bits as a number."""
        if width > self._left:
            raise ValueError(f"the bits end {width - self._left} short")
        self._left -= width
        return self._number >> self._left & ((1 << width) - 1)

    def at(self, offset: int, width: int) -> int:
        """The `width` bits from `offset` on, wherever the reader stands."""
        if offset + width > self._bits:
            raise ValueError(f"the bits end {offset + width - self._bits} short")
        return self._number >> (self._bits - offset - width) & ((1 << width) - 1)

    def flag(self) -> bool:
        """The next bit."""
        return self.take(1) == 1

    def ids(self, width: int) -> frozenset[int]:
        """A bit field: the positions, from 1 on, of the bits that are set."""
        field = self.take(width)
        return frozenset(at for at in range(1, width + 1) if field >> (width - at) & 1)

    def fibonacci(self) -> int:
        """A number in Fibonacci coding, which ends with two ones in a row (Global Privacy Platform, GPP String);
        ValueError when it has more than 16 bits.
        """
        total, last, smaller, larger = 0, 0, 1, 2
        while smaller <= _LARGEST_FIBONACCI:
            bit = self.take(1)
            if bit and last:
                return total
            if bit:
                total += smaller
            last, smaller, larger = bit, larger, smaller + larger
        raise ValueError(f"a number beyond {_LARGEST_FIBONACCI} in Fibonacci coding")
