"""Which tables hold what was counted of each line item, hour by hour?"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, String, Table

from backends.sql_metadata import METADATA
from backends.sql_tables_accounts import NUMBER
from common.nodes import NAME_AT_MOST

# A projection of topic `notices`: it can be dropped and counted again.
STATISTICS = Table(
    "statistics",
    METADATA,
    Column("line_item_number", NUMBER, nullable=False),
    # Hours since 1970-01-01 UTC.
    Column("hour", Integer, nullable=False),
    Column("impressions", BigInteger, nullable=False),
    Column("clicks", BigInteger, nullable=False),
    Column("conversions", BigInteger, nullable=False),
    Column("spend_micros", BigInteger, nullable=False),
    PrimaryKeyConstraint("line_item_number", "hour"),
)

# How far the topic of each node is counted, in the same transaction as the counts.
STATISTICS_COUNTED = Table(
    "statistics_counted",
    METADATA,
    Column("node", String(NAME_AT_MOST), primary_key=True),
    Column("upto_offset", BigInteger, nullable=False),
    Column("as_of_ms", BigInteger, nullable=False),
)
