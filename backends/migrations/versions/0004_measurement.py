"""What was added for measuring? The list of what outside bidders are to be told, and the counts of reports."""

from __future__ import annotations

from alembic import op

from backends.sql_metadata import METADATA
from backends.sql_tables_measurement import OUTGOING, PROJECTIONS, REPORT_COUNTS, REPORT_REASONS

revision = "0004_measurement"
down_revision = "0003_formats"

_TABLES = [PROJECTIONS, OUTGOING, REPORT_COUNTS, REPORT_REASONS]


def upgrade() -> None:
    """Make the tables; a fresh store has them from its first schema."""
    METADATA.create_all(op.get_bind(), tables=_TABLES, checkfirst=True)


def downgrade() -> None:
    """Drop them: all but the tries of what was told can be read out of the log again."""
    METADATA.drop_all(op.get_bind(), tables=_TABLES, checkfirst=True)
