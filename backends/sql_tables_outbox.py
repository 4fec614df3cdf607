"""Which tables hold events that a transaction wrote and the event log has yet to be told?"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from backends.sql_metadata import METADATA

# One row. Each writer takes its numbers here and keeps the row locked until it commits, so sequences are dense and
# become visible in their order on every engine.
OUTBOX_CLOCK = Table(
    "outbox_clock",
    METADATA,
    Column("clock", Integer, primary_key=True, autoincrement=False),
    Column("newest_sequence", BigInteger, nullable=False),
)

# Rows stay after they were sent: they are also the journal that the inventory snapshot follows.
OUTBOX = Table(
    "outbox",
    METADATA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("topic", String(48), nullable=False),
    # The event's fields as a JSON object.
    Column("fields", Text, nullable=False),
    Column("written_at_ms", BigInteger, nullable=False),
    Column("sent_at_ms", BigInteger),
)
Index(
    "ix_outbox_unsent",
    OUTBOX.c.sequence,
    sqlite_where=OUTBOX.c.sent_at_ms.is_(None),
    postgresql_where=OUTBOX.c.sent_at_ms.is_(None),
)
