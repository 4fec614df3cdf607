"""Which tables came with balances, invoices, alerts and the history of changes? Those of backends.sql_tables_money."""

from __future__ import annotations

from alembic import context, op

revision = "0005_money"
down_revision = "0004_measurement"


def upgrade() -> None:
    """Make every table that is not there yet; a fresh store has them from its first schema."""
    context.config.attributes["metadata"].create_all(op.get_bind())


def downgrade() -> None:
    """Money is not thrown away."""
    raise NotImplementedError("balances and invoices cannot be taken back")
