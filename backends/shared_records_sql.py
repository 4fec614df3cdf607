"""What are all nodes told? Records in one order by SQL, which each node takes in from where it stood."""

from __future__ import annotations

from sqlalchemy import Engine, insert, select

from backends.follower_offsets_sql import SqlFollowerOffsets
from backends.outbox_sql import next_sequences
from backends.sql import reading, writing
from backends.sql_tables_nodes import SHARED_RECORDS
from streams.shared_topics import SharedRecord

_AT = SHARED_RECORDS.c
_FOLLOWER = "shared"
# The row of the outbox's clock that counts these.
_CLOCK = 2


class SqlSharedRecords:
    """streams.shared_topics.SharedRecords over an engine of backends.sql, for one node."""

    def __init__(self, engine: Engine, node: str) -> None:
        self._engine = engine
        self._offsets = SqlFollowerOffsets(engine, _FOLLOWER, node)

    def append(self, topic: str, payload: bytes) -> int:
        """See SharedRecords."""
        with writing(self._engine) as connection:
            sequence = next_sequences(connection, 1, _CLOCK)
            connection.execute(insert(SHARED_RECORDS).values(sequence=sequence, topic=topic, payload=payload))
        return sequence

    def read(self, after: int, limit: int) -> list[SharedRecord]:
        """See SharedRecords."""
        query = select(_AT.sequence, _AT.topic, _AT.payload).where(_AT.sequence > after)
        with reading(self._engine) as connection:
            return [SharedRecord(*row) for row in connection.execute(query.order_by(_AT.sequence).limit(limit))]

    def holds(self, topic: str) -> bool:
        """See SharedRecords."""
        with reading(self._engine) as connection:
            return connection.execute(select(_AT.sequence).where(_AT.topic == topic).limit(1)).first() is not None

    def taken_upto(self) -> int:
        """See SharedRecords."""
        return self._offsets.read_upto(_FOLLOWER)

    def taken(self, before: int, upto: int) -> None:
        """See SharedRecords."""
        self._offsets.move(_FOLLOWER, before, upto)
