"""Which tables hold advertisers, campaigns, creatives and line items?

Numbers are given by the database, never reused, and are what the hot path, the budgets and the event log go by.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from backends.sql_metadata import METADATA
from backends.sql_tables_accounts import ID, NUMBER

ADVERTISERS = Table(
    "advertisers",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("advertiser_id", ID, nullable=False, unique=True),
    Column("tenant_id", ID, ForeignKey("tenants.tenant_id"), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("domain", String(253), nullable=False),
    Column("state", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    sqlite_autoincrement=True,
)

CAMPAIGNS = Table(
    "campaigns",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("campaign_id", ID, nullable=False, unique=True),
    Column("tenant_id", ID, ForeignKey("tenants.tenant_id"), nullable=False, index=True),
    Column("advertiser_number", NUMBER, ForeignKey("advertisers.number"), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("total_micros", BigInteger, nullable=False),
    Column("daily_micros", BigInteger, nullable=False),
    Column("time_zone", String(64), nullable=False),
    # exchange.pacing_ports.Pacing; what was stored before there was one goes on as fast as it can.
    Column("pacing", Integer, nullable=False, server_default="2"),
    Column("state", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    sqlite_autoincrement=True,
)

CREATIVES = Table(
    "creatives",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("creative_id", ID, nullable=False, unique=True),
    Column("tenant_id", ID, ForeignKey("tenants.tenant_id"), nullable=False, index=True),
    Column("advertiser_number", NUMBER, ForeignKey("advertisers.number"), nullable=False, index=True),
    Column("format", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("title", String(200), nullable=False),
    Column("image_url", Text, nullable=False),
    Column("landing_url", Text, nullable=False),
    Column("video_url", Text, nullable=False),
    Column("duration_s", Integer, nullable=False),
    Column("product_id", String(100), nullable=False),
    Column("category", String(100), nullable=False),
    # JSON list of numbers.
    Column("attributes", Text, nullable=False, server_default="[]"),
    Column("language", String(35), nullable=False, server_default=""),
    Column("app_bundle", String(200), nullable=False, server_default=""),
    Column("mime", String(64), nullable=False, server_default=""),
    Column("protocol", Integer, nullable=False, server_default="0"),
    Column("skippable", Boolean, nullable=False, server_default=false()),
    Column("body", Text, nullable=False, server_default=""),
    Column("call_to_action", String(40), nullable=False, server_default=""),
    Column("icon_url", Text, nullable=False, server_default=""),
    # JSON list of exchange.ports.MediaFile.
    Column("media_files", Text, nullable=False, server_default="[]"),
    Column("review_state", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    sqlite_autoincrement=True,
)

LINE_ITEMS = Table(
    "line_items",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    Column("line_item_id", ID, nullable=False, unique=True),
    Column("tenant_id", ID, ForeignKey("tenants.tenant_id"), nullable=False, index=True),
    Column("campaign_number", NUMBER, ForeignKey("campaigns.number"), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("strategy", Integer, nullable=False),
    Column("pricing_model", Integer, nullable=False),
    Column("bid_micros", BigInteger, nullable=False),
    Column("total_micros", BigInteger, nullable=False),
    Column("daily_micros", BigInteger, nullable=False),
    # exchange.campaign_values.Targeting as JSON.
    Column("targeting", Text, nullable=False),
    Column("cap_impressions", Integer, nullable=False),
    Column("cap_window_s", Integer, nullable=False),
    Column("starts_at_ms", BigInteger, nullable=False),
    Column("ends_at_ms", BigInteger, nullable=False),
    # JSON list.
    Column("hours_of_week", Text, nullable=False),
    # JSON list.
    Column("deal_ids", Text, nullable=False, server_default="[]"),
    Column("deals_only", Boolean, nullable=False, server_default=false()),
    Column("seat", String(64), nullable=False, server_default=""),
    # exchange.campaign_values.Cap as a JSON list.
    Column("caps", Text, nullable=False, server_default="[]"),
    Column("state", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    sqlite_autoincrement=True,
)

LINE_ITEM_CREATIVES = Table(
    "line_item_creatives",
    METADATA,
    Column("line_item_number", NUMBER, ForeignKey("line_items.number"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("creative_number", NUMBER, ForeignKey("creatives.number"), nullable=False, index=True),
    PrimaryKeyConstraint("line_item_number", "position"),
    UniqueConstraint("line_item_number", "creative_number"),
)

# What each write answered, so that the same request sent again gets the same answer.
IDEMPOTENCY = Table(
    "idempotency",
    METADATA,
    Column("tenant_id", ID, ForeignKey("tenants.tenant_id"), nullable=False),
    Column("idempotency_key", String(64), nullable=False),
    Column("method", String(40), nullable=False),
    Column("request_sha256", String(64), nullable=False),
    Column("response", LargeBinary, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "idempotency_key"),
)
