"""Which tables hold the record of money: limits, spend, leases?"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, PrimaryKeyConstraint, String, Table

from backends.sql_metadata import METADATA
from common.nodes import NAME_AT_MOST

# A line item's number, or a campaign's number + exchange.ports.CAMPAIGN_ACCOUNTS. Limits of 0 are no limits.
BUDGET_ACCOUNTS = Table(
    "budget_accounts",
    METADATA,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("total_micros", BigInteger, nullable=False),
    Column("daily_micros", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("time_zone", String(64), nullable=False),
    Column("spent_total_micros", BigInteger, nullable=False),
    # What was billed on `day`, a number of exchange.campaign_days.day_of.
    Column("spent_day_micros", BigInteger, nullable=False),
    Column("day", Integer, nullable=False),
    CheckConstraint("total_micros >= 0", name="total"),
    CheckConstraint("daily_micros >= 0", name="daily"),
    CheckConstraint("spent_total_micros >= 0", name="spent_total"),
    CheckConstraint("spent_day_micros >= 0", name="spent_day"),
)

# What processes may spend without asking again; a row stays when it is down to nothing.
BUDGET_LEASES = Table(
    "budget_leases",
    METADATA,
    Column("holder", String(64), nullable=False),
    # Not a foreign key: an account without limits has no row until something is spent.
    Column("account", BigInteger, nullable=False, index=True),
    Column("micros", BigInteger, nullable=False),
    Column("leased_at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("holder", "account"),
    CheckConstraint("micros >= 0", name="leased"),
)

# Thousandths of a micro that the next impression of a node is billed with, by line item number or "bidder <name>".
BUDGET_CARRIES = Table(
    "budget_carries",
    METADATA,
    Column("node", String(NAME_AT_MOST), nullable=False),
    Column("payer", String(128), nullable=False),
    Column("thousandths", Integer, nullable=False),
    PrimaryKeyConstraint("node", "payer"),
    CheckConstraint("thousandths BETWEEN 0 AND 999", name="carry"),
)

# How far topic `notices` of each node is counted, in the same transaction as the spend.
NOTICES_COUNTED = Table(
    "notices_counted",
    METADATA,
    Column("node", String(NAME_AT_MOST), primary_key=True),
    Column("upto_offset", BigInteger, nullable=False),
)
