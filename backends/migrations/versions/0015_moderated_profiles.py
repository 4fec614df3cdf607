"""What do people and media hold since moderation looks at them, and where do sales wait until they are kept?"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from backends.sql_metadata import METADATA
from backends.sql_tables_media import UPLOAD_DAYS
from backends.sql_tables_reputation import SALES_WAITING

revision = "0015_moderated_profiles"
down_revision = "0014_nodes"

_COLUMNS: tuple[tuple[str, sa.Column[object]], ...] = (
    ("people", sa.Column("picture", sa.Text, nullable=False, server_default="")),
    # Who signed up before waits to be checked, and is seen by nobody else until then.
    ("people", sa.Column("state", sa.Integer, nullable=False, server_default="2")),
    ("people", sa.Column("reasons", sa.Text, nullable=False, server_default="[]")),
    ("people", sa.Column("decided_by", sa.String(64), nullable=False, server_default="")),
    ("people", sa.Column("shown", sa.Text, nullable=False, server_default="")),
    ("people", sa.Column("shown_picture_id", sa.String(64), nullable=False, server_default="")),
    ("media", sa.Column("outcome", sa.Integer, nullable=False, server_default="0")),
    ("media", sa.Column("decided_by", sa.String(64), nullable=False, server_default="")),
    ("media", sa.Column("revision", sa.Integer, nullable=False, server_default="1")),
)
_INDEXES = (
    ("ix_people_state", "people", ["state", "tenant_id", "person_id"]),
    ("ix_people_shown_picture", "people", ["shown_picture_id"]),
    ("ix_media_outcome", "media", ["outcome"]),
)


def upgrade() -> None:
    """Add what is not there: the first schema made all tables as they were at that time."""
    inspector = sa.inspect(op.get_bind())
    there = {(table, column["name"]) for table in ("people", "media") for column in inspector.get_columns(table)}
    for table, column in _COLUMNS:
        if (table, column.name) not in there:
            op.add_column(table, column)
    METADATA.create_all(op.get_bind(), tables=[SALES_WAITING, UPLOAD_DAYS], checkfirst=True)
    known = {index["name"] for table in ("people", "media") for index in inspector.get_indexes(table)}
    for name, table, columns in _INDEXES:
        if name not in known:
            op.create_index(name, table, columns)


def downgrade() -> None:
    """Drop them, with what was decided."""
    METADATA.drop_all(op.get_bind(), tables=[SALES_WAITING, UPLOAD_DAYS], checkfirst=True)
    for name, table, _ in _INDEXES:
        op.drop_index(name, table)
    for table in ("people", "media"):
        with op.batch_alter_table(table) as changing:
            for of_table, column in _COLUMNS:
                if of_table == table:
                    changing.drop_column(column.name)
