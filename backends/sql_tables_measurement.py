"""Which tables hold what outside bidders are to be told, and what was counted for reports?"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, String, Table, Text

from backends.sql_metadata import METADATA
from backends.sql_tables_accounts import NUMBER
from common.nodes import DEFAULT_NODE, NAME_AT_MOST

# How far each projection has read a topic of a node's log; moved in the transaction of what it projects.
PROJECTIONS = Table(
    "projections",
    METADATA,
    Column("node", String(NAME_AT_MOST), nullable=False),
    Column("projection", String(20), nullable=False),
    Column("topic", String(48), nullable=False),
    Column("upto_offset", BigInteger, nullable=False),
    # The time of the newest event that was read.
    Column("as_of_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("node", "projection", "topic"),
)

OUTGOING = Table(
    "outgoing_notices",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    # Whose log it is from, and who tells of it.
    Column("node", String(NAME_AT_MOST), nullable=False, server_default=DEFAULT_NODE),
    # Its place in that log, so that it is enqueued once.
    Column("source", String(64), nullable=False, unique=True),
    Column("kind", Integer, nullable=False),
    Column("auction_id", String(32), nullable=False, index=True),
    Column("impression_id", String(40), nullable=False),
    Column("bidder", String(64), nullable=False),
    Column("url", Text, nullable=False),
    Column("state", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("enqueued_at_ms", BigInteger, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("said", String(200), nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_outgoing_due", OUTGOING.c.state, OUTGOING.c.due_at_ms)

# What was answered to calls with conversions, so that one that is sent again gets the same answer for a day.
POSTBACK_ANSWERS = Table(
    "postback_answers",
    METADATA,
    Column("tenant_id", String(64), nullable=False),
    Column("idempotency_key", String(64), nullable=False),
    Column("body_sha256", String(64), nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "idempotency_key"),
)

_DIMENSIONS = (
    # Hours since 1970-01-01 UTC.
    ("hour", Integer),
    ("publisher_id", String(64)),
    ("placement_id", String(64)),
    # 0 for an outside bidder's.
    ("line_item_number", NUMBER),
    ("creative_number", NUMBER),
    # Of an outside bidder, else empty.
    ("bidder", String(64)),
    ("advertiser_domain", String(253)),
)

# What came of it, by all that it can be asked by. A projection: it can be dropped and counted again.
REPORT_COUNTS = Table(
    "report_counts",
    METADATA,
    *(Column(name, kind, nullable=False) for name, kind in _DIMENSIONS),
    *(
        Column(name, BigInteger, nullable=False)
        for name in (
            *("bids", "wins", "impressions", "viewable", "clicks", "conversions", "video_starts", "video_completes"),
            *("invalid", "refunded", "spend_micros"),
        )
    ),
    PrimaryKeyConstraint(*(name for name, _ in _DIMENSIONS)),
)

# Why bids did not win (exchange.refusals), and why notices did not count (exchange.invalid_traffic, from 10,000 on).
# Line item 0 without a bidder holds the bids of an hour that the log counts by reason alone.
REPORT_REASONS = Table(
    "report_reasons",
    METADATA,
    *(Column(name, kind, nullable=False) for name, kind in _DIMENSIONS),
    Column("code", Integer, nullable=False),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint(*(name for name, _ in _DIMENSIONS), "code"),
)
