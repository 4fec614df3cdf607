"""What may a line item bid under? Its deals, whether it bids under nothing else, the buyer's seat, further caps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_eligibility"
down_revision = "0001"

_COLUMNS: tuple[sa.Column[object], ...] = (
    sa.Column("deal_ids", sa.Text, nullable=False, server_default="[]"),
    sa.Column("deals_only", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("seat", sa.String(64), nullable=False, server_default=""),
    sa.Column("caps", sa.Text, nullable=False, server_default="[]"),
)


def upgrade() -> None:
    """Add the columns that are not there: the first schema makes all tables as they are when it runs."""
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("line_items")}
    for column in _COLUMNS:
        if column.name not in there:
            op.add_column("line_items", column)


def downgrade() -> None:
    """Drop the columns and what is in them."""
    with op.batch_alter_table("line_items") as table:
        for column in _COLUMNS:
            table.drop_column(column.name)
