"""Where is kept what outside bidders are to be told? In SQL, with the offset of the log that it stands for."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace
from sqlalchemy import Engine, bindparam, delete, insert, select, update

from backends.projections_sql import move, read_upto
from backends.sql import chunks, reading, writing
from backends.sql_tables_measurement import OUTGOING
from common.nodes import DEFAULT_NODE
from exchange.outgoing import Outgoing, OutgoingKind, OutgoingState, Told, Tried, Waiting

_PROJECTION = "outgoing"
_AT = OUTGOING.c


class SqlOutgoingStore:
    """OutgoingStore over an engine of backends.sql: what the log of one node holds, and that node tells."""

    def __init__(self, engine: Engine, node: str = DEFAULT_NODE) -> None:
        self._engine = engine
        self._node = node

    def read_upto(self, topic: str) -> int:
        """See OutgoingStore."""
        return read_upto(self._engine, _PROJECTION, topic, self._node)[0]

    def enqueue(self, topic: str, entries: Sequence[Outgoing], from_offset: int, upto_offset: int, now_ms: int) -> bool:
        """See OutgoingStore."""
        with writing(self._engine) as connection:
            if not move(connection, _PROJECTION, topic, from_offset, upto_offset, now_ms, self._node):
                return False
            entries = [replace(entry, source=self._source(entry)) for entry in entries]
            known: set[str] = set()
            for some in chunks([entry.source for entry in entries]):
                known.update(connection.execute(select(_AT.source).where(_AT.source.in_(some))).scalars())
            rows = [_row(entry, now_ms) | {"node": self._node} for entry in entries if entry.source not in known]
            if rows:
                connection.execute(insert(OUTGOING), rows)
        return True

    def due(self, now_ms: int, limit: int) -> list[Waiting]:
        """See OutgoingStore."""
        statement = (
            select(_AT.number, _AT.url, _AT.attempts, _AT.enqueued_at_ms)
            .where(_AT.node == self._node, _AT.state == OutgoingState.WAITING, _AT.due_at_ms <= now_ms)
            .order_by(_AT.due_at_ms, _AT.number)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [Waiting(*row) for row in connection.execute(statement)]

    def note(self, tried: Sequence[Tried]) -> None:
        """See OutgoingStore."""
        if not tried:
            return
        statement = (
            update(OUTGOING)
            .where(_AT.number == bindparam("of_number"), _AT.state != OutgoingState.HEARD)
            .values(
                state=bindparam("to_state"),
                attempts=bindparam("of_attempts"),
                due_at_ms=bindparam("due"),
                at_ms=bindparam("at"),
                said=bindparam("what"),
            )
        )
        rows = [
            {
                "of_number": entry.number,
                "to_state": int(entry.state),
                "of_attempts": entry.attempts,
                "due": entry.due_at_ms,
                "at": entry.at_ms,
                "what": entry.said[:200],
            }
            for entry in tried
        ]
        with writing(self._engine) as connection:
            connection.execute(statement, rows)

    def of_auction(self, auction_id: str) -> list[Told]:
        """See OutgoingStore."""
        statement = select(OUTGOING).where(_AT.auction_id == auction_id).order_by(_AT.number)
        with reading(self._engine) as connection:
            return [
                Told(
                    OutgoingKind(row.kind), row.impression_id, row.bidder, OutgoingState(row.state), row.attempts,
                    row.enqueued_at_ms, row.at_ms, row.said,
                )
                for row in connection.execute(statement)
            ]  # fmt: skip

    def forget_before(self, at_ms: int) -> int:
        """See OutgoingStore."""
        done = delete(OUTGOING).where(_AT.enqueued_at_ms < at_ms, _AT.state != OutgoingState.WAITING)
        with writing(self._engine) as connection:
            return connection.execute(done).rowcount

    def _source(self, entry: Outgoing) -> str:
        """Its place among those of all nodes; the first node's are written as they were when there was no other."""
        return entry.source if self._node == DEFAULT_NODE else f"{self._node} {entry.source}"


def _row(entry: Outgoing, now_ms: int) -> dict[str, object]:
    return {
        "source": entry.source,
        "kind": int(entry.kind),
        "auction_id": entry.impression_id[:32],
        "impression_id": entry.impression_id,
        "bidder": entry.bidder[:64],
        "url": entry.url,
        "state": int(OutgoingState.WAITING),
        "attempts": 0,
        "enqueued_at_ms": now_ms,
        "due_at_ms": now_ms,
        "at_ms": 0,
        "said": "",
    }
