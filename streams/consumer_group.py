"""How does a group take what comes, each record once in effect? Its result and its place are kept in one transaction.

What Kafka knows of the group's offsets is not asked. A member that was away too long has lost its partitions without
noticing it: its step finds that another has moved the place, and comes to nothing.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from common.errors import BackendUnavailable
from streams.broker_ports import Arrived, Broker, Consumer, Ends, Parcel, Place, Producer
from streams.ports import Record
from streams.schema_registry import Registry
from streams.sifting import Dead, Position, Reason, Sifted, sift
from streams.topics import DEAD_LETTERS

R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

_log = logging.getLogger(__name__)


class Projection(Protocol[R_co]):
    """What a group makes of records. Pure; it takes them in any number and any order of partitions."""

    @property
    def name(self) -> str:
        """Name of the group."""

    @property
    def topics(self) -> tuple[str, ...]:
        """What it reads."""

    def fold(self, topic: str, records: Sequence[Record]) -> tuple[R_co, dict[int, str]]:
        """The result of those that can be read, and why others cannot, by their index in `records`."""


class ConsumedStore(Protocol[R_contra]):
    """Results of one group, and how far each partition is read: both in one transaction, or neither."""

    def position(self, place: Place) -> Position | None:
        """How far the partition is read; None: nothing of it is."""

    def counted_before(self, topic: str) -> Mapping[str, int]:
        """By log: up to which offset its node had counted by itself before it shipped."""

    def keep(self, place: Place, before: Position | None, after: Position, result: R_contra | None) -> bool:
        """Add the result and move on; False, and nothing is added, when another has moved from `before`."""

    def keep_retried(self, letter: Place, offset: int, topic: str, result: R_contra) -> bool:
        """Add the result of a dead letter; False, and nothing is added, when that was done before."""


class Member:
    """One member of a group, in one thread; the counts may be read by others."""

    def __init__(
        self, *, broker: Broker, projection: Projection[R], store: ConsumedStore[R], registry: Registry
    ) -> None:
        self._broker = broker
        self._projection = projection
        self._store = store
        self._registry = registry
        self._consumer: Consumer | None = None
        self._letters: Producer | None = None
        # Where each partition is; what was kept last.
        self._positions: dict[Place, Position | None] = {}
        self._counts: Counter[str] = Counter()
        self.lag: dict[Place, int] = {}

    @property
    def name(self) -> str:
        """Name of the group."""
        return self._projection.name

    @property
    def counts(self) -> Mapping[str, int]:
        """Records by what became of them: taken, duplicate, early, expired, rolled_back, and dead letters by reason."""
        return dict(self._counts)

    def step(self, timeout_s: float = 1.0) -> int:
        """Take what has come; how many records.

        BackendUnavailable when the broker or the store does not answer; the next step goes on from what was kept.
        """
        try:
            if self._consumer is None:
                self._consumer = self._broker.consumer(self.name, self._projection.topics, self._place_all)
            by_place: defaultdict[Place, list[Arrived]] = defaultdict(list)
            for one in self._consumer.poll(timeout_s):
                by_place[one.place].append(one)
            for place, arrived in by_place.items():
                self._take(self._consumer, place, arrived)
        except BaseException:
            # What came and was not kept comes again to whoever is in the group next.
            self.close()
            raise
        return sum(map(len, by_place.values()))

    def measure(self) -> None:
        """See how far behind it is, into `lag`."""
        if self._consumer is None:
            self.lag = {}
            return
        mine = self._consumer.assigned()
        lag = {}
        for place, ends in self._consumer.ends(mine).items():
            position = self._positions.get(place)
            lag[place] = ends.end - max(position.offset if position else 0, ends.begin)
        self.lag = lag

    def close(self) -> None:
        """Leave the group."""
        consumer, self._consumer = self._consumer, None
        letters, self._letters = self._letters, None
        self._positions.clear()
        self.lag = {}
        for open_one in (consumer, letters):
            if open_one is None:
                continue
            try:
                open_one.close()
            except BackendUnavailable as error:
                _log.info("a connection to the broker was given up: %s", error)

    def _place_all(self, ends: Mapping[Place, Ends]) -> dict[Place, int]:
        """Where to read from: as the store has it, within what the broker still holds."""
        found = {}
        for place, (begin, end) in ends.items():
            position = self._store.position(place)
            self._positions[place] = position
            at = position.offset if position else begin
            if not begin <= at <= end:
                _log.warning(
                    "group %s was at %d of %s/%d, which holds %d to %d: it goes on from the beginning",
                    *(self.name, at, place.topic, place.partition, begin, end),
                )
                at = begin
            found[place] = at
        return found

    def _take(self, consumer: Consumer, place: Place, arrived: list[Arrived]) -> None:
        before = self._positions.get(place)
        sifted = sift(
            arrived, before or Position(arrived[0].offset), self._store.counted_before(place.topic), self._registry
        )
        result = None
        unreadable: dict[int, str] = {}
        if sifted.fresh:
            result, unreadable = self._folded(place.topic, [record for _, record in sifted.fresh])
        dead = sifted.dead + [
            Dead(sifted.fresh[index][0], Reason.UNREADABLE, detail) for index, detail in unreadable.items()
        ]
        self._bury(dead)
        if self._store.keep(place, before, sifted.position, result):
            self._positions[place] = sifted.position
            self._count(sifted, dead, len(unreadable))
            return
        self._counts["rolled_back"] += len(arrived)
        # Somebody else has been at work here: read on from where they are, if it is still ours.
        if place in consumer.assigned():
            position = self._store.position(place)
            self._positions[place] = position
            consumer.seek(place, position.offset if position else 0)

    def _folded(self, topic: str, records: Sequence[Record]) -> tuple[Any, dict[int, str]]:
        """The fold; a record that it breaks on, against its promise, is left out and told of: one record of a stranger,
        or one mistake of ours, must not stop a partition for ever.
        """
        try:
            return self._projection.fold(topic, records)
        except Exception as trouble:
            breaking = {}
            for at, record in enumerate(records):
                try:
                    self._projection.fold(topic, [record])
                except Exception as error:
                    breaking[at] = f"{type(error).__name__} where it is read"
            if not breaking:
                raise
            _log.error("group %s breaks on %d records: %s", self.name, len(breaking), type(trouble).__name__)
            good = [at for at in range(len(records)) if at not in breaking]
            result, unreadable = self._projection.fold(topic, [records[at] for at in good])
            return result, breaking | {good[at]: detail for at, detail in unreadable.items()}

    def _bury(self, dead: Sequence[Dead]) -> None:
        """Before the step is kept, so none is lost; one that is buried twice is known by where it came from."""
        if not dead:
            return
        if self._letters is None:
            self._letters = self._broker.producer()
        self._letters.send([letter_of(self.name, one) for one in dead])

    def _count(self, sifted: Sifted, dead: Sequence[Dead], unreadable: int) -> None:
        self._counts["taken"] += len(sifted.fresh) - unreadable
        self._counts["duplicate"] += sifted.duplicates
        self._counts["early"] += sifted.early
        self._counts["expired"] += sifted.expired
        for one in dead:
            self._counts[one.reason.value] += 1


def letter_of(group: str, dead: Dead) -> Parcel:
    """The record as it came, with who could not take it, where it was and why."""
    one = dead.arrived
    said = {
        "dead_group": group,
        "dead_topic": one.place.topic,
        "dead_partition": str(one.place.partition),
        "dead_offset": str(one.offset),
        "dead_reason": dead.reason.value,
        "dead_detail": dead.detail[:200],
    }
    added = tuple((name, value.encode(errors="replace")) for name, value in said.items())
    return Parcel(Place(DEAD_LETTERS.name, 0), one.key, one.value, (*one.headers, *added))
