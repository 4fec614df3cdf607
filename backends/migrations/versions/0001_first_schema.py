"""What did the first schema hold? All tables that backends.sql_schema knows."""

from __future__ import annotations

from alembic import context, op

from backends.sql_downgrade import drop_empty
from backends.sql_metadata import METADATA

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table that is not there yet."""
    context.config.attributes["metadata"].create_all(op.get_bind())


def downgrade() -> None:
    """Drop every table, as long as all are empty."""
    drop_empty(op.get_bind(), METADATA.sorted_tables, "a store is not thrown away")
