"""Which tables hold posts, what wrote them, what became of them, and which likes and saves were counted?"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, String, Table, Text

from backends.sql_metadata import METADATA
from backends.sql_tables_accounts import ID, NUMBER

POSTS = Table(
    "posts",
    METADATA,
    Column("post_id", ID, primary_key=True),
    Column("tenant_id", ID, nullable=False),
    Column("creator_id", String(64), nullable=False),
    # Caption, pictures, product tags, hashtags and labels as a JSON object: read whole or not at all.
    Column("content", Text, nullable=False),
    Column("published_at_ms", BigInteger, nullable=False),
    Column("state", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("likes", BigInteger, nullable=False),
    Column("saves", BigInteger, nullable=False),
    # feed.post_states.Reach of the row's state, so that it can be searched by.
    Column("reach", Integer, nullable=False, server_default="0"),
    # When a draft is to be published; 0 for one that waits for its creator, and for what is published.
    Column("publish_at_ms", BigInteger, nullable=False, server_default="0"),
    # feed.verdict.Verdict as JSON; NULL while no check was made.
    Column("verdict", Text),
    Column("decided_by", String(64), nullable=False, server_default=""),
    Column("appeal", Text, nullable=False, server_default=""),
)
Index("ix_posts_published", POSTS.c.published_at_ms, POSTS.c.post_id)
Index("ix_posts_creator", POSTS.c.tenant_id, POSTS.c.creator_id, POSTS.c.published_at_ms, POSTS.c.post_id)
Index("ix_posts_publish_at", POSTS.c.publish_at_ms)
Index("ix_posts_state", POSTS.c.state)

POST_REVISIONS = Table(
    "post_revisions",
    METADATA,
    Column("post_id", ID, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("content", Text, nullable=False),
    PrimaryKeyConstraint("post_id", "revision"),
)

POST_HISTORY = Table(
    "post_history",
    METADATA,
    Column("post_id", ID, nullable=False),
    # 1, 2, … within a post.
    Column("number", NUMBER, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String(16), nullable=False),
    Column("by", String(64), nullable=False),
    # 0 for a post that was just made.
    Column("state_before", Integer, nullable=False),
    Column("state_after", Integer, nullable=False),
    Column("why", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    PrimaryKeyConstraint("post_id", "number"),
)

# Which uploads a post shows as it is now; `reach` of the post says who may see them.
POST_MEDIA = Table(
    "post_media",
    METADATA,
    Column("post_id", ID, nullable=False),
    Column("media_id", ID, nullable=False),
    PrimaryKeyConstraint("post_id", "media_id"),
)
Index("ix_post_media_media", POST_MEDIA.c.media_id)

POST_WRITES = Table(
    "post_writes",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    Column("idempotency_key", String(64), nullable=False),
    Column("request_digest", String(32), nullable=False),
    Column("post_id", ID, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "idempotency_key"),
)
Index("ix_post_writes_post", POST_WRITES.c.post_id)

# Digests that name an action and nobody; dropped when no repetition is to be expected any more.
POST_COUNTS = Table(
    "post_counts",
    METADATA,
    Column("action_key", LargeBinary(16), primary_key=True),
    Column("at_ms", BigInteger, nullable=False, index=True),
)
