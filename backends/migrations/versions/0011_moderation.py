"""Which tables came with moderation? Cases, their audit trail, reports, and reputations."""

from __future__ import annotations

from alembic import context, op

from backends.sql_downgrade import drop_empty
from backends.sql_tables_moderation import CASES, REPORTS, TRAIL
from backends.sql_tables_reputation import CREATOR_TIERS, REPUTATION_EDGES, REPUTATION_EVENTS, REPUTATION_RECORDS

revision = "0011_moderation"
down_revision = "0010_image_bans"


def upgrade() -> None:
    """Make every table that is not there yet; a fresh store has them from its first schema."""
    context.config.attributes["metadata"].create_all(op.get_bind())


def downgrade() -> None:
    """Drop the tables, as long as they are empty: an audit trail is not thrown away."""
    tables = (CASES, TRAIL, REPORTS, REPUTATION_EVENTS, REPUTATION_RECORDS, REPUTATION_EDGES, CREATOR_TIERS)
    drop_empty(op.get_bind(), tables, "the audit trail of moderation cannot be taken back")
