"""Which tables hold reputations: events, what they add up to, who vouches for whom, and tiers?"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, PrimaryKeyConstraint, String, Table

from backends.sql_metadata import METADATA
from backends.sql_tables_accounts import ID

PERSON = String(64)

REPUTATION_EVENTS = Table(
    "reputation_events",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    Column("event_id", String(100), nullable=False),
    Column("person_id", PERSON, nullable=False),
    Column("role", Integer, nullable=False),
    Column("kind", String(30), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("subject_id", String(64), nullable=False),
    Column("cause_id", String(64), nullable=False),
    # What it weighed when it came in: what is taken back is what was added.
    Column("good", Float, nullable=False),
    Column("bad", Float, nullable=False),
    PrimaryKeyConstraint("tenant_id", "event_id"),
)
Index(
    "ix_reputation_events_person",
    REPUTATION_EVENTS.c.tenant_id,
    REPUTATION_EVENTS.c.person_id,
    REPUTATION_EVENTS.c.role,
    REPUTATION_EVENTS.c.at_ms,
)
Index("ix_reputation_events_cause", REPUTATION_EVENTS.c.tenant_id, REPUTATION_EVENTS.c.cause_id)
Index("ix_reputation_events_at", REPUTATION_EVENTS.c.at_ms)

REPUTATION_RECORDS = Table(
    "reputation_records",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    Column("role", Integer, nullable=False),
    Column("person_id", PERSON, nullable=False),
    Column("good", Float, nullable=False),
    Column("bad", Float, nullable=False),
    Column("as_of_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "role", "person_id"),
)

REPUTATION_EDGES = Table(
    "reputation_edges",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    Column("edge_id", String(100), nullable=False),
    Column("source_id", PERSON, nullable=False),
    Column("target_id", PERSON, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "edge_id"),
)
Index(
    "ix_reputation_edges_link",
    REPUTATION_EDGES.c.tenant_id,
    REPUTATION_EDGES.c.source_id,
    REPUTATION_EDGES.c.target_id,
    REPUTATION_EDGES.c.kind,
)
Index("ix_reputation_edges_target", REPUTATION_EDGES.c.tenant_id, REPUTATION_EDGES.c.target_id)
Index("ix_reputation_edges_at", REPUTATION_EDGES.c.at_ms)

# What was sold and may still come back.
SALES_WAITING = Table(
    "sales_waiting",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    Column("sale_id", ID, nullable=False),
    # A digest of the visitor, or of the session.
    Column("buyer", ID, nullable=False),
    Column("remembered", Boolean, nullable=False),
    Column("creator_id", PERSON, nullable=False),
    Column("post_id", ID, nullable=False),
    Column("product_id", PERSON, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "sale_id"),
)
Index("ix_sales_waiting_buyer", SALES_WAITING.c.tenant_id, SALES_WAITING.c.buyer, SALES_WAITING.c.post_id)
Index("ix_sales_waiting_at", SALES_WAITING.c.at_ms)

CREATOR_TIERS = Table(
    "creator_tiers",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    Column("creator_id", PERSON, nullable=False),
    Column("tier", Integer, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("reputation", Float, nullable=False),
    Column("trust", Float, nullable=False),
    PrimaryKeyConstraint("tenant_id", "creator_id"),
)
