"""What a move of streams needs of both sides: logs that can begin anywhere, and profiles by the digests of ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from streams.ports import EventLog, Profile


class MovableLog(EventLog, Protocol):
    """A log whose offsets can be kept when it comes from elsewhere: others have written down how far they read it."""

    def begin(self, topic: str) -> int:
        """The offset of the oldest record that is kept; `end(topic)` when there is none."""

    def begin_at(self, topic: str, offset: int) -> None:
        """Let the next record of a topic that never had one get this offset; ValueError when it had one."""


class StoredProfiles(Protocol):
    """Profiles by the digests of their visitors' ids: the ids themselves are kept nowhere."""

    def portions(self, after: bytes, limit: int) -> Iterator[list[tuple[bytes, Profile]]]:
        """All profiles beyond a digest, at most `limit` together, in the order of the digests; broken ones left out."""

    def read_stored(self, digests: Sequence[bytes]) -> list[Profile | None]:
        """One entry for each digest, None where nothing is stored."""

    def put_stored(self, profiles: Mapping[bytes, Profile]) -> None:
        """Store all of them or none; what was there is replaced."""

    def count_stored(self) -> int:
        """How many are stored, to the unit."""

    def sync(self) -> None:
        """Return when everything written so far would survive the death of the machine."""
