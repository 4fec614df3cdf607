"""What does the database refuse by itself from now on? Money that does not add up, and changes of what is written once.

On SQLite the trail, the postings and the rest refused changes before; on PostgreSQL they do now.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from backends.sql_metadata import METADATA
from backends.sql_rules import append_only, run
from backends.sql_tables_moderation import TRAIL
from backends.sql_tables_money import ADDS_UP, ONCE_WRITTEN, OPEN_TRANSACTIONS

revision = "0013_rules"
down_revision = "0012_social"


def upgrade() -> None:
    """Make the table of open transactions and every rule; a fresh store has them from its first schema."""
    bind = op.get_bind()
    METADATA.create_all(bind, tables=[OPEN_TRANSACTIONS], checkfirst=True)
    if bind.dialect.name == "postgresql":
        for verb in ("update", "delete"):
            op.execute(f"DROP RULE IF EXISTS moderation_trail_no_{verb} ON moderation_trail")
    trail = append_only(TRAIL, "the audit trail of moderation only grows")
    run(bind, [ADDS_UP, trail, *map(append_only, ONCE_WRITTEN)])


def downgrade() -> None:
    """Sums are checked by haat alone again; on PostgreSQL rows can be changed again."""
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        bind.execute(text("DROP TRIGGER balance_postings_add_up ON balance_postings"))
        for table in (TRAIL, *ONCE_WRITTEN):
            bind.execute(text(f"DROP TRIGGER {table.name}_no_change ON {table.name}"))
            bind.execute(text(f"DROP TRIGGER {table.name}_no_truncate ON {table.name}"))
        bind.execute(text("DROP FUNCTION haat_balance_postings_add_up()"))
        bind.execute(text("DROP FUNCTION haat_refuse_change()"))
    else:
        bind.execute(text("DROP TRIGGER balance_postings_add_up"))
    METADATA.drop_all(bind, tables=[OPEN_TRANSACTIONS])
