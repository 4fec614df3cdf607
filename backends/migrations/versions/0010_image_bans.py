"""Which table came with banned pictures? That of backends.sql_tables_image_bans."""

from __future__ import annotations

from alembic import context, op

from backends.sql_downgrade import drop_empty
from backends.sql_tables_image_bans import IMAGE_BANS

revision = "0010_image_bans"
down_revision = "0009_posts"


def upgrade() -> None:
    """Make every table that is not there yet; a fresh store has them from its first schema."""
    context.config.attributes["metadata"].create_all(op.get_bind())


def downgrade() -> None:
    """Drop the table, as long as it is empty: bans are not thrown away."""
    drop_empty(op.get_bind(), [IMAGE_BANS], "banned pictures cannot be forgotten")
