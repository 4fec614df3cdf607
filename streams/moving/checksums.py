"""Are two places holding the same? A count and a checksum, computed the same way on both sides.

The checksum is the sum of the digests of all things, so the order in which they are read does not matter: databases
sort text differently.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import msgspec

_BITS: Final = 128


class Checksum:
    """Counts what it is told and adds up its digests."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, things: Iterable[bytes]) -> None:
        """Take in things, each as its bytes."""
        for thing in things:
            self.count += 1
            self._sum += int.from_bytes(blake2b(thing, digest_size=_BITS // 8).digest())

    def sum(self) -> Sum:
        """What it has come to."""
        return Sum(self.count, f"{self._sum % (1 << _BITS):032x}")


class Sum(msgspec.Struct, frozen=True):
    """How many things, and their checksum as 32 hexadecimal digits."""

    count: int
    checksum: str


class Compared(msgspec.Struct, frozen=True):
    """One thing that was moved: both sides of it."""

    what: str
    source: Sum
    target: Sum

    @property
    def equal(self) -> bool:
        """Do both sides hold the same?"""
        return self.source == self.target
