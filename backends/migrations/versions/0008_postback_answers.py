"""Which table came with answers to conversions that outlive the process? That of backends.sql_tables_measurement."""

from __future__ import annotations

from alembic import context, op

revision = "0008_postback_answers"
down_revision = "0006_pacing"


def upgrade() -> None:
    """Make every table that is not there yet; a fresh store has them from its first schema."""
    context.config.attributes["metadata"].create_all(op.get_bind())


def downgrade() -> None:
    """Calls that are sent again are done again; their orders are duplicates."""
    op.drop_table("postback_answers")
