"""What streams need from outside: a log to write to, a store of visitor profiles; a broker has ports of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record of a topic: its offset (0, 1, 2 …), the time it was appended, its bytes."""

    offset: int
    appended_at_ms: int
    payload: bytes


class EventLog(Protocol):
    """Everything that happened, in order, by topic. Many readers in many processes, one writer process.

    Promises: offsets of a topic are dense and in append order; an append is all or nothing; what `append` returned
    for survives the death of the process at once, and the death of the machine once `sync` returned.
    """

    def append(self, topic: str, payloads: Sequence[bytes], appended_at_ms: int) -> int:
        """Append records; the offset of the first. BackendUnavailable when nothing could be written (disk full)."""

    def sync(self) -> None:
        """Return when everything appended so far would survive the death of the machine."""

    def read(self, topic: str, offset: int, limit: int = 1000) -> list[Record]:
        """At most `limit` records from `offset` on; fewer or none at the end."""

    def end(self, topic: str) -> int:
        """The offset that the next record will get."""

    def first_offset_at(self, topic: str, at_ms: int) -> int:
        """The first offset appended at `at_ms` or later; `end(topic)` when there is none."""

    def close(self) -> None:
        """Write what is buffered and let go of the files."""


class OutboxLog(EventLog, Protocol):
    """An event log that is shipped from, and that gives up its oldest records where it must."""

    def begin(self, topic: str) -> int:
        """The offset of the oldest record that is kept; `end(topic)` when there is none."""

    def bytes_from(self, topic: str, offset: int) -> int:
        """About how many bytes the records from `offset` on take; by their share of the topic, without reading them."""

    def drop_before(self, topic: str, offset: int) -> int:
        """Forget the records before `offset`; how many."""


# The newest impressions of a visitor, that caps count.
IMPRESSIONS_AT_MOST = 64

# Visitor id, line item number, at_ms, creative number.
Impression = tuple[str, int, int, int]
# Visitor id, what is added to the visitor's affinities by product id, at_ms.
AddedAffinities = tuple[str, Mapping[str, float], int]


class Profile(msgspec.Struct, array_like=True):
    """What is remembered of a visitor who agreed to be remembered.

    `segments` are "name=value"; `affinities` maps product id to weight; `seen_line_items` and `seen_at_ms` are
    parallel, newest last, at most 64: the impressions that frequency caps count. `seen_creatives` stands last and may
    be shorter: impressions that were remembered before creatives were have none, it holds those of the newest.
    """

    segments: list[str] = msgspec.field(default_factory=list)
    affinities: dict[str, float] = msgspec.field(default_factory=dict)
    seen_line_items: list[int] = msgspec.field(default_factory=list)
    seen_at_ms: list[int] = msgspec.field(default_factory=list)
    updated_at_ms: int = 0
    seen_creatives: list[int] = msgspec.field(default_factory=list)


class ProfileStore(Protocol):
    """Visitor profiles by visitor id. Reads are batches; a write replaces the whole profile."""

    def read(self, visitor_ids: Sequence[str]) -> list[Profile | None]:
        """One entry for each id, None where nothing is known. A broken record reads as None and is counted."""

    def write(self, profiles: dict[str, Profile]) -> None:
        """Store all of them or none."""

    def add_impressions(self, impressions: Sequence[Impression]) -> None:
        """Add impressions to the profiles, of which each keeps its newest 64, whoever else adds some; in memory, or
        written a moment later where that would wait for a network.
        """

    def add_affinities(self, additions: Sequence[AddedAffinities]) -> None:
        """Add to the affinities of the profiles, as streams.affinities says, whoever else adds some; at once, or a
        moment later where that would wait for a network.
        """

    def sync(self) -> None:
        """Return when what was written so far lasts as long as this store lasts."""

    def erase(self, visitor_id: str) -> bool:
        """Forget one visitor; False when there was nothing to forget."""

    def count(self) -> int:
        """How many profiles are stored."""

    def close(self) -> None:
        """Let go of the files."""
