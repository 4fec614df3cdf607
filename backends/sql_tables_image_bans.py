"""Which tables hold what nobody may publish? Banned pictures, by tenant."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, String, Table

from backends.sql_metadata import METADATA

IMAGE_BANS = Table(
    "image_bans",
    METADATA,
    Column("tenant_id", String(32), nullable=False),
    # PDQ as 64 hexadecimal digits.
    Column("image_hash", String(64), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("banned_by", String(64), nullable=False),
    Column("banned_at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "image_hash"),
)
