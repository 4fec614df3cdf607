"""Which tables hold tenants, their API keys and who wrote what?"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, Table

from backends.sql_metadata import METADATA

ID = String(32)
# What the database counts rows by; SQLite gives numbers to a column of this one type alone.
NUMBER = BigInteger().with_variant(Integer, "sqlite")

TENANTS = Table(
    "tenants",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("tenant_id", ID, nullable=False, unique=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("created_at_ms", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("key_id", ID, primary_key=True),
    Column("key_sha256", String(64), nullable=False, unique=True),
    Column("tenant_id", ID, ForeignKey("tenants.tenant_id"), nullable=False, index=True),
    Column("role", String(20), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("revoked_at_ms", BigInteger),
)

# Append only: who wrote what, in the transaction that wrote it.
AUDIT = Table(
    "audit",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor_tenant_id", ID, nullable=False),
    Column("actor_role", String(20), nullable=False),
    Column("tenant_id", ID, nullable=False, index=True),
    Column("action", String(40), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("id", ID, nullable=False),
    sqlite_autoincrement=True,
)
