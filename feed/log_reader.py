"""How are the feed's topics read? Event by event, in bounded portions; what cannot be read is passed over."""

from __future__ import annotations

from collections.abc import Iterator

from streams import schemas
from streams.ports import EventLog
from streams.schemas import Event

_READ_AT_ONCE = 1_000


def events(log: EventLog, topic: str, since_ms: int = 0, *, at_most: int | None = None) -> Iterator[Event]:
    """Events of a topic that were appended at `since_ms` or later; of more than `at_most`, the newest."""
    end = log.end(topic)
    offset = log.first_offset_at(topic, since_ms)
    if at_most is not None:
        offset = max(offset, end - at_most)
    while offset < end and (records := log.read(topic, offset, _READ_AT_ONCE)):
        for record in records:
            event = schemas.decode(topic, record)
            if not isinstance(event, schemas.Unreadable):
                yield event
        offset = records[-1].offset + 1
