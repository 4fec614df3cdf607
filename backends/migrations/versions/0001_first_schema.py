"""What did the first schema hold? All tables that backends.sql_schema knows."""

from __future__ import annotations

from alembic import context, op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table that is not there yet."""
    context.config.attributes["metadata"].create_all(op.get_bind())


def downgrade() -> None:
    """There is nothing before the first schema."""
    raise NotImplementedError("the first schema cannot be taken back")
