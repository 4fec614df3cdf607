"""Which tables record what a shared pool of budgets has lent out?"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Integer, PrimaryKeyConstraint, String, Table

from backends.sql_metadata import METADATA

# A pool that budgets are lent from; a retired one lends no more. Its leases stand in budget_leases under its name.
BUDGET_POOLS = Table(
    "budget_pools",
    METADATA,
    Column("pool", String(64), primary_key=True),
    # Counts pools in the order in which they were opened.
    Column("number", Integer, nullable=False, unique=True),
    # 0 while it is open.
    Column("retired_at_ms", BigInteger, nullable=False),
)

# Who may hold money of a pool that is not booked yet.
BUDGET_POOL_MEMBERS = Table(
    "budget_pool_members",
    METADATA,
    Column("pool", String(64), ForeignKey("budget_pools.pool", ondelete="CASCADE"), nullable=False),
    Column("holder", String(64), nullable=False),
    PrimaryKeyConstraint("pool", "holder"),
)

# What a pool has lent to a holder in all, as far as it is booked: as much was moved from the pool's lease to its own.
BUDGET_DRAWS = Table(
    "budget_draws",
    METADATA,
    Column("pool", String(64), ForeignKey("budget_pools.pool", ondelete="CASCADE"), nullable=False),
    Column("holder", String(64), nullable=False),
    Column("account", BigInteger, nullable=False),
    Column("micros", BigInteger, nullable=False),
    PrimaryKeyConstraint("pool", "holder", "account"),
    CheckConstraint("micros >= 0", name="drawn"),
)

POOL_TABLES = (BUDGET_POOLS, BUDGET_POOL_MEMBERS, BUDGET_DRAWS)
