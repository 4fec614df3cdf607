"""How does one log become another? By topic, each record at its offset and with its time, resumed where it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Final

from common.errors import FieldError, InvalidInput
from streams.moving.checksums import Checksum, Compared, Sum
from streams.moving.ports import MovableLog
from streams.ports import EventLog, Record
from streams.topics import TOPICS

_AT_ONCE: Final = 1_000

# (topic, records so far, records in all)
Progress = Callable[[str, int, int], None]


def check_log(source: MovableLog, target: MovableLog) -> None:
    """InvalidInput when the target holds records that are not the source's."""
    strange = [topic for topic in TOPICS if not _is_ours(source, target, topic)]
    if strange:
        remedy = "give an empty data folder"
        raise InvalidInput([FieldError("--to-data-dir", f"holds other events in {', '.join(strange)}", remedy)])


def move_log(
    source: MovableLog, target: MovableLog, progress: Progress = lambda what, done, of: None
) -> list[Compared]:
    """Append what the target does not have; then both sides of each topic."""
    check_log(source, target)
    for topic in TOPICS:
        begin, end = source.begin(topic), source.end(topic)
        if target.end(topic) == 0 and begin:
            target.begin_at(topic, begin)
        for records in _portions(source, topic, target.end(topic), end):
            # Records of one moment go in together; the log keeps the time of each.
            for at_ms, same in groupby(records, lambda record: record.appended_at_ms):
                target.append(topic, [record.payload for record in same], at_ms)
            progress(topic, records[-1].offset + 1 - begin, end - begin)
    target.sync()
    return [Compared(f"topic {topic}", sum_of(source, topic), sum_of(target, topic)) for topic in TOPICS]


def sum_of(log: EventLog, topic: str) -> Sum:
    """Count and checksum of a topic: its offsets, times and bytes."""
    checksum = Checksum()
    for records in _portions(log, topic, 0, log.end(topic)):
        checksum.add(b"%d %d " % (record.offset, record.appended_at_ms) + record.payload for record in records)
    return checksum.sum()


def _is_ours(source: MovableLog, target: MovableLog, topic: str) -> bool:
    end = target.end(topic)
    if end == target.begin(topic):
        return end in (0, source.begin(topic))
    return target.read(topic, end - 1, 1) == source.read(topic, end - 1, 1)


def _portions(log: EventLog, topic: str, offset: int, end: int) -> Iterator[list[Record]]:
    while offset < end and (records := log.read(topic, offset, min(_AT_ONCE, end - offset))):
        yield records
        offset = records[-1].offset + 1
