"""Which tables hold posts, what wrote them, and which likes and saves were counted?"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, String, Table, Text

from backends.sql_metadata import METADATA
from backends.sql_tables_accounts import ID

POSTS = Table(
    "posts",
    METADATA,
    Column("post_id", ID, primary_key=True),
    Column("tenant_id", ID, nullable=False),
    Column("creator_id", String(64), nullable=False),
    # Caption, picture addresses, product tags and hashtags as a JSON object: read whole or not at all.
    Column("content", Text, nullable=False),
    Column("published_at_ms", BigInteger, nullable=False),
    Column("state", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("likes", BigInteger, nullable=False),
    Column("saves", BigInteger, nullable=False),
)
Index("ix_posts_published", POSTS.c.published_at_ms, POSTS.c.post_id)

POST_WRITES = Table(
    "post_writes",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    Column("idempotency_key", String(64), nullable=False),
    Column("request_digest", String(32), nullable=False),
    Column("post_id", ID, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "idempotency_key"),
)

# Digests that name an action and nobody; dropped when no repetition is to be expected any more.
POST_COUNTS = Table(
    "post_counts",
    METADATA,
    Column("action_key", LargeBinary(16), primary_key=True),
    Column("at_ms", BigInteger, nullable=False, index=True),
)
