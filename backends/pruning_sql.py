"""What may be forgotten? Answers of writes that nobody repeats any more, and events that were told long ago."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Engine, Table, delete, func, select, tuple_

from backends.sql import reading, writing
from backends.sql_tables_campaigns import IDEMPOTENCY
from backends.sql_tables_measurement import POSTBACK_ANSWERS
from backends.sql_tables_outbox import OUTBOX
from backends.sql_tables_posts import POST_WRITES
from backends.sql_tables_social import SHARE_CLICKS, SOCIAL_WRITES

# A write that is sent again within this time answers the same.
IDEMPOTENCY_KEPT_MS: Final = 48 * 3_600_000
# The inventory of a process that stood still follows over this time.
OUTBOX_KEPT_MS: Final = 7 * 86_400_000
# In one transaction: others wait for it no longer than some milliseconds.
ROWS_AT_ONCE: Final = 500


class Pruning:
    """Drops rows whose time is over, some at a time. Payments and invoices keep their keys for ever."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def prune(self, now_ms: int) -> int:
        """Drop all that is over; how many rows. Blocks on SQL: call it in a thread. BackendUnavailable."""
        dropped = 0
        for table in (IDEMPOTENCY, POST_WRITES, POSTBACK_ANSWERS, SHARE_CLICKS, SOCIAL_WRITES):
            dropped += self._drop(table, table.c.at_ms < now_ms - IDEMPOTENCY_KEPT_MS)
        with reading(self._engine) as connection:
            newest: int = connection.execute(select(func.max(OUTBOX.c.sequence))).scalar() or 0
        # The newest stays whatever its age: sequences go on from it, and what was not told is never dropped.
        told = OUTBOX.c.sent_at_ms < now_ms - OUTBOX_KEPT_MS
        return dropped + self._drop(OUTBOX, told & (OUTBOX.c.sequence < newest))

    def _drop(self, table: Table, over: ColumnElement[bool]) -> int:
        dropped = 0
        key = list(table.primary_key.columns)
        while True:
            with writing(self._engine) as connection:
                rows = [tuple(row) for row in connection.execute(select(*key).where(over).limit(ROWS_AT_ONCE))]
                if rows:
                    connection.execute(delete(table).where(tuple_(*key).in_(rows)))
            dropped += len(rows)
            if len(rows) < ROWS_AT_ONCE:
                return dropped
