"""How do events leave a SQL transaction? They are written beside the rows, and a relay tells the event log later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, func, insert, select, update

from backends.sql import reading, writing
from backends.sql_tables_outbox import OUTBOX, OUTBOX_CLOCK
from common.clock import Clock

_CLOCK = 1


class OutboxEvent(msgspec.Struct, frozen=True):
    """One event to be told: its sequence, its topic, and the fields of the topic's message."""

    sequence: int
    topic: str
    fields: dict[str, Any]


def append(connection: Connection, topic: str, events: Sequence[dict[str, Any]], at_ms: int) -> list[int]:
    """Write events into the outbox within the caller's transaction; their sequences, dense and in commit order."""
    if not events:
        return []
    newest = _take(connection, len(events))
    sequences = list(range(newest - len(events) + 1, newest + 1))
    rows = [
        {"sequence": sequence, "topic": topic, "fields": msgspec.json.encode(event).decode(), "written_at_ms": at_ms}
        for sequence, event in zip(sequences, events, strict=True)
    ]
    connection.execute(insert(OUTBOX), rows)
    return sequences


def newest_sequence(connection: Connection) -> int:
    """The sequence of the newest event, 0 before the first."""
    newest: int | None = connection.execute(select(func.max(OUTBOX.c.sequence))).scalar()
    return newest or 0


def _take(connection: Connection, count: int) -> int:
    advance = (
        update(OUTBOX_CLOCK)
        .where(OUTBOX_CLOCK.c.clock == _CLOCK)
        .values(newest_sequence=OUTBOX_CLOCK.c.newest_sequence + count)
        .returning(OUTBOX_CLOCK.c.newest_sequence)
    )
    newest: int | None = connection.execute(advance).scalar_one_or_none()
    if newest is None:
        connection.execute(insert(OUTBOX_CLOCK).values(clock=_CLOCK, newest_sequence=count))
        newest = count
    return newest


class OutboxRelay:
    """Tells the event log what the outbox holds, in order, at least once.

    A crash between `publish` and the mark tells the same events again, with the same sequences, so that readers can
    drop doubles. One relay runs at a time.
    """

    def __init__(
        self, *, engine: Engine, clock: Clock, publish: Callable[[Sequence[OutboxEvent]], None], batch: int = 500
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._publish = publish
        self._batch = batch

    def relay_once(self) -> int:
        """Publish at most one batch of unsent events and mark them; how many there were.

        `publish` returns when the log keeps the events; what it raises leaves them unsent.
        """
        unsent = (
            select(OUTBOX.c.sequence, OUTBOX.c.topic, OUTBOX.c.fields)
            .where(OUTBOX.c.sent_at_ms.is_(None))
            .order_by(OUTBOX.c.sequence)
            .limit(self._batch)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(unsent).all()
        if not rows:
            return 0
        events = [OutboxEvent(sequence, topic, msgspec.json.decode(fields)) for sequence, topic, fields in rows]
        self._publish(events)
        sent = (
            update(OUTBOX)
            .where(OUTBOX.c.sequence.between(events[0].sequence, events[-1].sequence), OUTBOX.c.sent_at_ms.is_(None))
            .values(sent_at_ms=self._clock.now_ms())
        )
        with writing(self._engine) as connection:
            connection.execute(sent)
        return len(events)
