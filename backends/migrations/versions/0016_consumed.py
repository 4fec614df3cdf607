"""What did Kafka add? How far groups of consumers have read, and which dead letters were taken after all."""

from __future__ import annotations

from alembic import op

from backends.sql_metadata import METADATA
from backends.sql_tables_consumed import CONSUMED_TABLES

revision = "0016_consumed"
down_revision = "0015_moderated_profiles"


def upgrade() -> None:
    """Make the tables; a fresh store has them from its first schema."""
    METADATA.create_all(op.get_bind(), tables=list(CONSUMED_TABLES), checkfirst=True)


def downgrade() -> None:
    """Drop them: whoever reads Kafka again begins at its beginning, and would count twice."""
    METADATA.drop_all(op.get_bind(), tables=list(CONSUMED_TABLES), checkfirst=True)
