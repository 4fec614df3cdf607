"""Which records of a partition are new to a group, which came before, too early, or cannot be taken? Pure.

A partition gets the records of one log in the order of their offsets. Each names the one before it, and the offset at
which its attempt to send began: all before that had arrived. So what is at or below the mark of its log came before,
and what follows a record of its own attempt that is not there came too early: the attempt failed in between, and all of
it comes again, in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from streams.broker_ports import Arrived
from streams.ports import Record
from streams.schema_registry import Registry
from streams.shipper import AT, ATTEMPT, BEFORE, NOTHING_BEFORE, OFFSET, SCHEMA, SOURCE
from streams.topics import TOPICS

_MOST_SOURCE: Final = 100
_MOST_OFFSET: Final = 1 << 62


class Reason(StrEnum):
    """Why a record is a dead letter."""

    NO_ORIGIN = "no_origin"
    """Its headers do not say where it comes from: haat did not send it."""
    SCHEMA_FROM_THE_FUTURE = "schema_from_the_future"
    """A newer haat wrote it: upgrade, then retry."""
    SCHEMA_OF_ANOTHER_TOPIC = "schema_of_another_topic"
    UNREADABLE = "unreadable"
    """Its bytes are not what its schema says."""


class Dead(msgspec.Struct, frozen=True):
    """A record that cannot be taken, and why."""

    arrived: Arrived
    reason: Reason
    detail: str = ""


class Position(msgspec.Struct, frozen=True):
    """How far a group has read a partition: the broker's offset, and by log the offset of the newest record."""

    offset: int
    marks: Mapping[str, int] = {}


class Sifted(msgspec.Struct, frozen=True):
    """What to do with the records that came: `fresh` are to be counted, `position` holds once all this is done.

    `expired` counts the places at which the broker had dropped records before the group read them.
    """

    fresh: list[tuple[Arrived, Record]]
    dead: list[Dead]
    position: Position
    duplicates: int
    early: int
    expired: int


def sift(
    arrived: Sequence[Arrived], position: Position, counted_before: Mapping[str, int], registry: Registry
) -> Sifted:
    """Sort out the records of one partition, which come in order. `counted_before` says by log up to which offset the
    node had counted for itself before the group began.
    """
    marks = dict(position.marks)
    fresh: list[tuple[Arrived, Record]] = []
    dead: list[Dead] = []
    duplicates = early = expired = 0
    for one in arrived:
        origin = origin_of(one)
        if origin is None:
            dead.append(Dead(one, Reason.NO_ORIGIN))
            continue
        source, offset, before, attempt, at_ms = origin
        mark = marks.get(source, NOTHING_BEFORE)
        if offset <= mark:
            duplicates += 1
            continue
        if before != mark:
            if before >= attempt:
                early += 1
                continue
            # It had arrived, and is not there any more. Of a log that is new to the group nothing is missed.
            expired += source in marks
        marks[source] = offset
        if offset < counted_before.get(source, 0):
            duplicates += 1
            continue
        if (trouble := schema_trouble(one, one.place.topic, registry)) is not None:
            dead.append(Dead(one, *trouble))
            continue
        fresh.append((one, Record(offset, at_ms, one.value)))
    offset = arrived[-1].offset + 1 if arrived else position.offset
    return Sifted(fresh, dead, Position(offset, marks), duplicates, early, expired)


def origin_of(one: Arrived) -> tuple[str, int, int, int, int] | None:
    """(log, offset in it, the one before it in this partition, where its attempt began, when it was appended); None
    where that is not said.
    """
    headers = dict(one.headers)
    try:
        source = headers[SOURCE].decode()
        offset, before, attempt, at_ms = (int(headers[name]) for name in (OFFSET, BEFORE, ATTEMPT, AT))
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    if not 0 < len(source) <= _MOST_SOURCE or not NOTHING_BEFORE <= before < offset < _MOST_OFFSET:
        return None
    return source, offset, before, attempt, at_ms


def schema_trouble(one: Arrived, topic: str, registry: Registry) -> tuple[Reason, str] | None:
    """Why a record's schema cannot be read here, with a detail; None when it can."""
    said = dict(one.headers).get(SCHEMA, b"")
    message = registry.message_of(int(said)) if said.isdigit() and len(said) < 10 else None
    if message is None:
        return Reason.SCHEMA_FROM_THE_FUTURE, f"schema {said[:20]!r}"
    if message != TOPICS[topic].message:
        return Reason.SCHEMA_OF_ANOTHER_TOPIC, f"a {message}"
    return None
