"""What could no group take, and can it be taken now? Reading the topic of dead letters, and trying them again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from streams.broker_ports import Arrived, Broker, Place
from streams.consumer_group import ConsumedStore, Projection
from streams.ports import Record
from streams.schema_registry import Registry
from streams.sifting import Reason, origin_of, schema_trouble
from streams.topics import DEAD_LETTERS, TOPICS


class DeadLetter(msgspec.Struct, frozen=True):
    """One dead letter: who could not take it, where it was, why, and where it came from; `arrived` holds its bytes."""

    group: str
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    source: str
    bytes: int
    arrived: Arrived

    @property
    def place(self) -> Place:
        """Where it was."""
        return Place(self.topic, self.partition)


def dead_letters(broker: Broker) -> Iterator[DeadLetter]:
    """Every dead letter that the broker still holds, oldest first; one that was buried twice comes once."""
    seen = set()
    for arrived in broker.read_all(DEAD_LETTERS.name):
        letter = _letter(arrived)
        if letter is not None and (known := (letter.group, letter.place, letter.offset)) not in seen:
            seen.add(known)
            yield letter


def retry(letter: DeadLetter, projection: Projection[Any], store: ConsumedStore[Any], registry: Registry) -> str:
    """Try one again: "taken", "taken before", or why it still cannot be taken. Once in effect, however often."""
    one = letter.arrived
    origin = origin_of(one)
    if origin is None or letter.topic not in TOPICS:
        return Reason.NO_ORIGIN.value
    if (trouble := schema_trouble(one, letter.topic, registry)) is not None:
        return trouble[0].value
    result, unreadable = projection.fold(letter.topic, [Record(origin[1], origin[4], one.value)])
    if unreadable:
        return Reason.UNREADABLE.value
    return "taken" if store.keep_retried(letter.place, letter.offset, letter.topic, result) else "taken before"


def _letter(arrived: Arrived) -> DeadLetter | None:
    said = {name: value.decode(errors="replace") for name, value in arrived.headers}
    try:
        return DeadLetter(
            group=said["dead_group"],
            topic=said["dead_topic"],
            partition=int(said["dead_partition"]),
            offset=int(said["dead_offset"]),
            reason=said["dead_reason"],
            detail=said["dead_detail"],
            source=f"{said.get('source', '?')} at {said.get('offset', '?')}",
            bytes=len(arrived.value),
            arrived=arrived,
        )
    except (KeyError, ValueError):
        return None
