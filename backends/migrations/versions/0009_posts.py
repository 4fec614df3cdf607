"""How do posts get states, revisions, a history and media? Columns of `posts`, and the tables beside it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from backends.sql_downgrade import drop_empty, refuse_rows
from backends.sql_tables_posts import POST_HISTORY, POST_MEDIA, POST_REVISIONS, POSTS

revision = "0009_posts"
down_revision = "0008_postback_answers"

_COLUMNS: tuple[sa.Column[object], ...] = (
    sa.Column("reach", sa.Integer, nullable=False, server_default="0"),
    sa.Column("publish_at_ms", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("verdict", sa.Text),
    sa.Column("decided_by", sa.String(64), nullable=False, server_default=""),
    sa.Column("appeal", sa.Text, nullable=False, server_default=""),
)
_INDEXES = (
    ("ix_posts_creator", "posts", ["tenant_id", "creator_id", "published_at_ms", "post_id"]),
    ("ix_posts_publish_at", "posts", ["publish_at_ms"]),
    ("ix_posts_state", "posts", ["state"]),
    ("ix_post_writes_post", "post_writes", ["post_id"]),
)


def upgrade() -> None:
    """Add what is not there yet; posts of before were seen by everybody, and are."""
    inspector = sa.inspect(op.get_bind())
    there = {column["name"] for column in inspector.get_columns("posts")}
    for column in _COLUMNS:
        if column.name not in there:
            op.add_column("posts", column)
    if "reach" not in there:
        op.execute("UPDATE posts SET reach = 2 WHERE state = 1")
    for name, table, columns in _INDEXES:
        if name not in {index["name"] for index in inspector.get_indexes(table)}:
            op.create_index(name, table, columns)
    context.config.attributes["metadata"].create_all(op.get_bind())


def downgrade() -> None:
    """Drop the tables and columns, as long as there are no posts: histories and verdicts are not thrown away."""
    refuse_rows(op.get_bind(), [POSTS], "what moderation decided cannot be taken back")
    drop_empty(op.get_bind(), [POST_REVISIONS, POST_HISTORY, POST_MEDIA], "histories cannot be taken back")
    for name, table, _ in _INDEXES:
        op.drop_index(name, table)
    for column in _COLUMNS:
        op.drop_column("posts", column.name)
