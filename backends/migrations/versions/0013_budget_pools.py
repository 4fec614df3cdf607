"""How do several nodes share budgets through a pool? Which pools there are, their members, and what they drew."""

from __future__ import annotations

from alembic import op

from backends.sql_metadata import METADATA
from backends.sql_tables_pools import POOL_TABLES

revision = "0013_budget_pools"
down_revision = "0013_rules"


def upgrade() -> None:
    """Make the tables; a fresh store has them from its first schema."""
    METADATA.create_all(op.get_bind(), tables=list(POOL_TABLES), checkfirst=True)


def downgrade() -> None:
    """Drop them; what a pool had leased and not lent stays leased to it until its holder is given back."""
    METADATA.drop_all(op.get_bind(), tables=list(POOL_TABLES), checkfirst=True)
