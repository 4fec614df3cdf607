"""Which table holds what was uploaded?"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from backends.sql_metadata import METADATA
from backends.sql_tables_accounts import ID

MEDIA = Table(
    "media",
    METADATA,
    Column("media_id", ID, primary_key=True),
    Column("tenant_id", ID, nullable=False),
    Column("creator_id", String(64), nullable=False),
    # Kind, sizes and renditions as a JSON object.
    Column("facts", Text, nullable=False),
    Column("picture_hash", LargeBinary(64)),
    Column("created_at_ms", BigInteger, nullable=False),
    # False while its files are being written.
    Column("ready", Boolean, nullable=False),
    # feed.verdict.Outcome, who said so, and how often that changed.
    Column("outcome", Integer, nullable=False, server_default="0"),
    Column("decided_by", String(64), nullable=False, server_default=""),
    Column("revision", Integer, nullable=False, server_default="1"),
)
Index("ix_media_creator", MEDIA.c.tenant_id, MEDIA.c.creator_id)

# What was announced on a day, days since 1970 in UTC.
UPLOAD_DAYS = Table(
    "upload_days",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    Column("creator_id", String(64), nullable=False),
    Column("day", Integer, nullable=False),
    Column("uploads", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "creator_id", "day"),
)
Index("ix_media_outcome", MEDIA.c.outcome)
