"""Which tables came with balances, invoices, alerts and the history of changes? Those of backends.sql_tables_money."""

from __future__ import annotations

from alembic import context, op

from backends import sql_tables_money as money
from backends.sql_downgrade import drop_empty

revision = "0005_money"
down_revision = "0004_measurement"

_TABLES = (
    money.BALANCE_POSTINGS, money.BALANCE_TRANSACTIONS, money.BALANCE_ACCOUNTS, money.PAYMENT_TERMS, money.BILLED_DAYS,
    money.PLACEMENT_DAYS, money.PLACEMENT_OFFERS, money.OFFERS_COUNTED, money.INVOICED, money.INVOICES,
    money.INVOICE_SERIES, money.BUDGET_ALERTS, money.EXCHANGE_SWITCH, money.CHANGES, money.EXTERNAL_IDS,
)  # fmt: skip


def upgrade() -> None:
    """Make every table that is not there yet; a fresh store has them from its first schema."""
    context.config.attributes["metadata"].create_all(op.get_bind())


def downgrade() -> None:
    """Drop the tables, as long as they are empty: money is not thrown away."""
    drop_empty(op.get_bind(), _TABLES, "balances and invoices cannot be taken back")
