"""How do events leave a SQL transaction? They are written beside the rows, and a relay tells the event log later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, bindparam, func, insert, select, update

from backends.projections_sql import move
from backends.sql import insert_once, reading, writing
from backends.sql_tables_measurement import PROJECTIONS
from backends.sql_tables_outbox import OUTBOX, OUTBOX_CLOCK
from common.clock import Clock
from common.nodes import DEFAULT_NODE

_CLOCK = 1
_OUTBOX = "outbox"
_TOLD = PROJECTIONS.c

_ADD = insert(OUTBOX)
_NEWEST = select(func.max(OUTBOX.c.sequence))
_TOLD_UPTO = select(_TOLD.upto_offset).where(_TOLD.node == bindparam("node"), _TOLD.projection == _OUTBOX)
_FRESH = (
    select(OUTBOX.c.sequence, OUTBOX.c.topic, OUTBOX.c.fields)
    .where(OUTBOX.c.sequence > bindparam("upto"))
    .order_by(OUTBOX.c.sequence)
    .limit(bindparam("batch"))
)
_ADVANCE = (
    update(OUTBOX_CLOCK)
    .where(OUTBOX_CLOCK.c.clock == bindparam("of_clock"))
    .values(newest_sequence=OUTBOX_CLOCK.c.newest_sequence + bindparam("count"))
    .returning(OUTBOX_CLOCK.c.newest_sequence)
)


class OutboxEvent(msgspec.Struct, frozen=True):
    """One event to be told: its sequence, its topic, and the fields of the topic's message."""

    sequence: int
    topic: str
    fields: dict[str, Any]


def append(connection: Connection, topic: str, events: Sequence[dict[str, Any]], at_ms: int) -> list[int]:
    """Write events into the outbox within the caller's transaction; their sequences, dense and in commit order."""
    if not events:
        return []
    newest = next_sequences(connection, len(events), _CLOCK)
    sequences = list(range(newest - len(events) + 1, newest + 1))
    rows = [
        {"sequence": sequence, "topic": topic, "fields": msgspec.json.encode(event).decode(), "written_at_ms": at_ms}
        for sequence, event in zip(sequences, events, strict=True)
    ]
    connection.execute(_ADD, rows)
    return sequences


def newest_sequence(connection: Connection) -> int:
    """The sequence of the newest event, 0 before the first."""
    newest: int | None = connection.execute(_NEWEST).scalar()
    return newest or 0


def next_sequences(connection: Connection, count: int, clock: int) -> int:
    """The last of `count` numbers of a clock, dense and in commit order: whoever comes next waits for the commit."""
    asked = {"of_clock": clock, "count": count}
    newest: int | None = connection.execute(_ADVANCE, asked).scalar_one_or_none()
    if newest is None:
        insert_once(connection, OUTBOX_CLOCK, {"clock": clock, "newest_sequence": 0})
        newest = connection.execute(_ADVANCE, asked).scalar_one()
    return newest


class OutboxRelay:
    """Tells the event log of a node what the outbox holds, in order, at least once.

    Every node tells its own log: what follows from an event in memory must follow on each of them. A crash between
    `publish` and the mark tells the same events again, with the same sequences, so that readers can drop doubles. One
    relay runs at a time on a node.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        publish: Callable[[Sequence[OutboxEvent]], None],
        batch: int = 500,
        node: str = DEFAULT_NODE,
    ) -> None:
        self._node = node
        self._engine = engine
        self._clock = clock
        self._publish = publish
        self._batch = batch

    def relay_once(self) -> int:
        """Publish at most one batch of events that this node has not told, and mark them; how many there were.

        `publish` returns when the log keeps the events; what it raises leaves them untold.
        """
        rows: Sequence[Any] = []
        with reading(self._engine) as connection:
            upto = connection.execute(_TOLD_UPTO, {"node": self._node}).scalar()
            if upto is not None:
                rows = connection.execute(_FRESH, {"upto": upto, "batch": self._batch}).all()
        if upto is None:
            # Before anything else, so that nothing is passed over which another node tells and marks meanwhile.
            with writing(self._engine) as connection:
                upto = _untold(connection)
                move(connection, _OUTBOX, _OUTBOX, 0, upto, 0, self._node)
            with reading(self._engine) as connection:
                rows = connection.execute(_FRESH, {"upto": upto, "batch": self._batch}).all()
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
            move(connection, _OUTBOX, _OUTBOX, upto, events[-1].sequence, 0, self._node)
        return len(events)


def _untold(connection: Connection) -> int:
    """The sequence behind which a node begins that has told nothing yet: what was told before is in no memory of it."""
    oldest: int | None = connection.execute(
        select(func.min(OUTBOX.c.sequence)).where(OUTBOX.c.sent_at_ms.is_(None))
    ).scalar()
    return newest_sequence(connection) if oldest is None else oldest - 1
