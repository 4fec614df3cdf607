"""What do streams need of a broker, which carries topics from node to node? Producing, consuming, and a look at topics.

Names of topics are those of streams/topics.py; a prefix is the backend's own matter. Every call may raise
BackendUnavailable. Nothing here is made for several threads at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from streams.topics import Topic

Headers = tuple[tuple[str, bytes], ...]


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Parcel(msgspec.Struct, frozen=True, gc=False):
    """One record on its way to a broker; an empty key is none."""

    place: Place
    key: bytes
    value: bytes
    headers: Headers


class Arrived(msgspec.Struct, frozen=True, gc=False):
    """One record of a broker, at `offset` of its partition."""

    place: Place
    offset: int
    key: bytes
    value: bytes
    headers: Headers


class Ends(NamedTuple):
    """What a partition holds: from `begin` (inclusive) to `end` (exclusive)."""

    begin: int
    end: int


class TopicState(msgspec.Struct, frozen=True):
    """A topic as the broker has it; `config` holds what the catalogue sets of it."""

    partitions: int
    replicas: int
    config: Mapping[str, str]


# From where on partitions that were just assigned are read, told what they hold.
Positions = Callable[[Mapping[Place, Ends]], Mapping[Place, int]]


class Producer(Protocol):
    """Sends records, once each and in order within a partition as long as nothing fails."""

    def send(self, parcels: Sequence[Parcel]) -> None:
        """Return when all in-sync replicas have all of them. After BackendUnavailable some may have arrived, out of
        order or later still: send all of them again.
        """

    def close(self) -> None:
        """Let go of the connection; what is under way may be lost."""


class Consumer(Protocol):
    """One member of a consumer group. Where it reads from is asked of `positions` whenever partitions are assigned to
    it, never of the broker, and nothing is committed there.
    """

    def poll(self, timeout_s: float, limit: int = 500) -> list[Arrived]:
        """What has come, in order within each partition; nothing of partitions that are another's by now."""

    def assigned(self) -> frozenset[Place]:
        """The partitions that are this member's, as of the last poll."""

    def seek(self, place: Place, offset: int) -> None:
        """Read an assigned partition from here on."""

    def ends(self, places: Collection[Place]) -> Mapping[Place, Ends]:
        """What the partitions hold now."""

    def close(self) -> None:
        """Leave the group at once."""


class Broker(Protocol):
    """One cluster; topics are kept as long as Topic.broker_days says."""

    def producer(self) -> Producer:
        """A producer with a connection of its own: acks of all in-sync replicas, idempotent."""

    def consumer(self, group: str, topics: Collection[str], positions: Positions) -> Consumer:
        """A member of a group; it joins with its first poll."""

    def topics(self) -> Mapping[str, TopicState]:
        """The topics of the catalogue that the broker has."""

    def create(self, topics: Sequence[Topic], replicas: int) -> None:
        """Make topics as the catalogue wants them; those that are there already stay as they are."""

    def delete(self, topics: Collection[str]) -> None:
        """Remove topics with all that is in them."""

    def read_all(self, topic: str) -> Iterator[Arrived]:
        """Everything that the topic holds now, without a group."""

    def close(self) -> None:
        """Let go of the connection."""
