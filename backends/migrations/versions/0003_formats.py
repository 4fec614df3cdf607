"""What do creatives hold for native ads and videos? Texts, an icon, media files, and what publishers block them by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_formats"
down_revision = "0002_eligibility"

_COLUMNS: tuple[sa.Column[object], ...] = (
    sa.Column("attributes", sa.Text, nullable=False, server_default="[]"),
    sa.Column("language", sa.String(35), nullable=False, server_default=""),
    sa.Column("app_bundle", sa.String(200), nullable=False, server_default=""),
    sa.Column("mime", sa.String(64), nullable=False, server_default=""),
    sa.Column("protocol", sa.Integer, nullable=False, server_default="0"),
    sa.Column("skippable", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("body", sa.Text, nullable=False, server_default=""),
    sa.Column("call_to_action", sa.String(40), nullable=False, server_default=""),
    sa.Column("icon_url", sa.Text, nullable=False, server_default=""),
    sa.Column("media_files", sa.Text, nullable=False, server_default="[]"),
)


def upgrade() -> None:
    """Add the columns that are not there: the first schema made all tables as they were at that time."""
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("creatives")}
    for column in _COLUMNS:
        if column.name not in there:
            op.add_column("creatives", column)
    op.execute("UPDATE creatives SET mime = 'video/mp4', protocol = 13 WHERE format = 3 AND mime = ''")


def downgrade() -> None:
    """Drop the columns and what is in them."""
    with op.batch_alter_table("creatives") as table:
        for column in _COLUMNS:
            table.drop_column(column.name)
