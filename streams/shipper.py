"""How does the log get to the broker? Its records are the outbox; a shipper reads them behind, and never in the way.

Each record carries where it comes from (node and log), its offset there, the offset of the record that its partition
got before it, and the offset at which this attempt to send began. With these a consumer sees what came twice and what
came too early (streams/sifting.py), so it does not matter how often, and after which failure, something is sent again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from common.errors import BackendUnavailable
from streams.broker_ports import Headers, Parcel, Place, Producer
from streams.partitioning import placed
from streams.ports import OutboxLog, Record
from streams.schema_registry import Registry
from streams.topics import TOPICS, Topic

SOURCE: Final = "source"
OFFSET: Final = "offset"
BEFORE: Final = "before"
ATTEMPT: Final = "attempt"
SCHEMA: Final = "schema"
AT: Final = "at_ms"
# Before the first record of a partition.
NOTHING_BEFORE: Final = -1

# A record of a busy exchange is a batch of 57 kB.
_RECORDS_AT_ONCE: Final = 256
_BYTES_AT_ONCE: Final = 8 << 20


class Shipped(msgspec.Struct, frozen=True):
    """How far a topic is shipped: up to `upto`, and the last offset that each partition got."""

    upto: int = 0
    last: dict[int, int] = {}


class ShippedStore(Protocol):
    """How far each topic of one log is shipped. It belongs to the log, and is lost and restored with it."""

    @property
    def log_id(self) -> str:
        """What tells this log from every other, also of the same node."""

    def read(self, topic: str) -> Shipped:
        """How far; from the beginning where nothing is known."""

    def write(self, topic: str, shipped: Shipped) -> None:
        """Keep it, so that it survives the death of the machine."""


class Shipper:
    """Ships one node's log. Used by one thread; the counts may be read by others.

    `most_bytes` bounds what waits: beyond it the oldest telemetry is dropped, unsent, and counted.
    """

    def __init__(
        self,
        *,
        log: OutboxLog,
        store: ShippedStore,
        node: str,
        open_producer: Callable[[], Producer],
        registry: Registry,
        most_bytes: int,
    ) -> None:
        self._log = log
        self._store = store
        self._source = f"{node}/{store.log_id}".encode()
        self._open_producer = open_producer
        self._producer: Producer | None = None
        self._schemas = {name: str(registry.newest(topic)).encode() for name, topic in TOPICS.items()}
        self._most_bytes = most_bytes
        self._shipped = {topic: store.read(topic) for topic in TOPICS}
        self.sent: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.waiting_bytes = 0

    @property
    def source(self) -> str:
        """What its records name as their origin."""
        return self._source.decode()

    def shipped_upto(self, topic: str) -> int:
        """From this offset on nothing is on the broker for certain."""
        return self._shipped[topic].upto

    def waiting(self) -> dict[str, int]:
        """Records that are not shipped yet, by topic."""
        return {topic: max(self._log.end(topic) - self._shipped[topic].upto, 0) for topic in TOPICS}

    def ship_once(self) -> int:
        """Ship some of each topic, money first; how many records of the log. Blocks for the broker.

        BackendUnavailable when the broker does not take them: they stay where they are.
        """
        self.make_room()
        ends = {topic: self._log.end(topic) for topic in TOPICS}
        if all(ends[topic] <= self._shipped[topic].upto for topic in TOPICS):
            return 0
        # What the death of the machine could still take is not told to others: its offsets would be given again.
        self._log.sync()
        order = sorted(TOPICS.values(), key=lambda topic: (not topic.money, topic.droppable))
        return sum(self._ship(topic, ends[topic.name]) for topic in order)

    def make_room(self) -> None:
        """Drop the oldest telemetry while more waits than may; nothing else ever gives way."""
        waiting = {
            topic: self._log.bytes_from(topic, self._shipped[topic].upto)
            for topic in TOPICS
            if self._log.end(topic) > self._shipped[topic].upto
        }
        self.waiting_bytes = sum(waiting.values())
        while self.waiting_bytes > self._most_bytes:
            oldest = {
                topic: found[0]
                for topic in waiting
                if TOPICS[topic].droppable and (found := self._log.read(topic, self._shipped[topic].upto, 1))
            }
            if not oldest:
                return
            topic = min(oldest, key=lambda name: oldest[name].appended_at_ms)
            self._drop(topic, oldest[topic])
            before = waiting[topic]
            waiting[topic] = self._log.bytes_from(topic, self._shipped[topic].upto)
            self.waiting_bytes -= before - waiting[topic]

    def close(self) -> None:
        """Let go of the broker."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close()

    def _ship(self, topic: Topic, end: int) -> int:
        shipped = self._shipped[topic.name]
        records = self._fitting(topic.name, shipped.upto, end)
        if not records:
            return 0
        parcels, last = parcels_of(topic, records, shipped, self._source, self._schemas[topic.name])
        self._send(parcels)
        self._keep(topic.name, Shipped(records[-1].offset + 1, last))
        self.sent[topic.name] += len(records)
        return len(records)

    def _fitting(self, topic: str, offset: int, end: int) -> list[Record]:
        records = self._log.read(topic, offset, min(_RECORDS_AT_ONCE, max(end - offset, 0)))
        size = 0
        for number, record in enumerate(records):
            size += len(record.payload)
            if size > _BYTES_AT_ONCE and number:
                return records[:number]
        return records

    def _send(self, parcels: list[Parcel]) -> None:
        if self._producer is None:
            self._producer = self._open_producer()
        try:
            self._producer.send(parcels)
        except BackendUnavailable:
            # What it still has under way would mix with the next attempt.
            self.close()
            raise

    def _drop(self, topic: str, first: Record) -> None:
        """A tenth of what waits, one record at the least."""
        shipped = self._shipped[topic]
        upto = first.offset + max((self._log.end(topic) - first.offset) // 10, 1)
        self._log.drop_before(topic, upto)
        self._keep(topic, Shipped(upto, shipped.last))
        self.dropped[topic] += upto - first.offset

    def _keep(self, topic: str, shipped: Shipped) -> None:
        self._store.write(topic, shipped)
        self._shipped[topic] = shipped


def parcels_of(
    topic: Topic, records: list[Record], shipped: Shipped, source: bytes, schema: bytes
) -> tuple[list[Parcel], dict[int, int]]:
    """The records as they are sent, and the last offset of each partition after them."""
    last = dict(shipped.last)
    parcels = []
    for record in records:
        for part in placed(topic, record):
            before = last.get(part.partition, NOTHING_BEFORE)
            headers: Headers = (
                (SOURCE, source),
                (OFFSET, b"%d" % record.offset),
                (BEFORE, b"%d" % before),
                (ATTEMPT, b"%d" % shipped.upto),
                (SCHEMA, schema),
                (AT, b"%d" % record.appended_at_ms),
            )
            parcels.append(Parcel(Place(topic.name, part.partition), part.key, part.payload, headers))
            last[part.partition] = record.offset
    return parcels, last
