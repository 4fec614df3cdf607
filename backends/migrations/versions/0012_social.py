"""What did the social part add? People, their graph, comments, notifications and share links."""

from __future__ import annotations

from alembic import op

from backends.sql_metadata import METADATA
from backends.sql_tables_social import SOCIAL_TABLES

revision = "0012_social"
down_revision = "0011_moderation"


def upgrade() -> None:
    """Make the tables; a fresh store has them from its first schema."""
    METADATA.create_all(op.get_bind(), tables=list(SOCIAL_TABLES), checkfirst=True)


def downgrade() -> None:
    """Drop them, with all that people wrote."""
    METADATA.drop_all(op.get_bind(), tables=list(SOCIAL_TABLES), checkfirst=True)
