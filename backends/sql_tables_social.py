"""Which tables hold people, whom they follow and block, what they say, what they are told, and the links they share?"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from backends.sql_metadata import METADATA
from backends.sql_tables_accounts import ID

# The storefront's own name of a person, which is also the creator id of its posts.
PERSON = String(64)

PEOPLE = Table(
    "people",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    Column("person_id", PERSON, nullable=False),
    Column("handle", String(30), nullable=False),
    # What the handle looks like: two people never look alike.
    Column("skeleton", String(64), nullable=False),
    Column("display_name", String(80), nullable=False),
    Column("bio", Text, nullable=False),
    Column("links", Text, nullable=False),
    Column("joined_at_ms", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("followers", BigInteger, nullable=False),
    Column("following", BigInteger, nullable=False),
    # What share links carry; it names the person to nobody else.
    Column("tracking_id", ID, nullable=False),
    # Kinds of notifications that this person does not want, as bits.
    Column("unwanted_kinds", Integer, nullable=False),
    # The medium and file of the picture as JSON; empty without one.
    Column("picture", Text, nullable=False, server_default=""),
    # feed.social.words.ProfileState; whoever was never checked waits to be.
    Column("state", Integer, nullable=False, server_default="2"),
    # Sentences of moderation as JSON, and who decided.
    Column("reasons", Text, nullable=False, server_default="[]"),
    Column("decided_by", String(64), nullable=False, server_default=""),
    # What others see, as JSON: what moderation last let through; empty while nothing was.
    Column("shown", Text, nullable=False, server_default=""),
    Column("shown_picture_id", String(64), nullable=False, server_default=""),
    PrimaryKeyConstraint("tenant_id", "person_id"),
)
Index("ix_people_state", PEOPLE.c.state, PEOPLE.c.tenant_id, PEOPLE.c.person_id)
Index("ix_people_shown_picture", PEOPLE.c.shown_picture_id)
Index("uq_people_skeleton", PEOPLE.c.tenant_id, PEOPLE.c.skeleton, unique=True)

# Follows, blocks, muted people and muted words: `kind` is feed.social.ports.Relation.
RELATIONS = Table(
    "relations",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    Column("person_id", PERSON, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("subject", String(100), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "person_id", "kind", "subject"),
)
Index("ix_relations_subject", RELATIONS.c.tenant_id, RELATIONS.c.kind, RELATIONS.c.subject)

# What stands: one row while a post or a comment is liked, saved, hidden or reported by somebody.
REACTIONS = Table(
    "reactions",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    # A digest: of the person's id where the person agreed to be remembered, else of the session's.
    Column("actor_key", LargeBinary(16), nullable=False),
    Column("kind", Integer, nullable=False),
    Column("subject_id", ID, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "actor_key", "kind", "subject_id"),
)
Index("ix_reactions_subject", REACTIONS.c.tenant_id, REACTIONS.c.subject_id)

# What is counted of a post beside its likes and saves, and whether it may be commented.
POST_TALLIES = Table(
    "post_tallies",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    Column("post_id", ID, nullable=False),
    Column("comments", BigInteger, nullable=False, default=0),
    Column("shares", BigInteger, nullable=False, default=0),
    Column("reports", BigInteger, nullable=False, default=0),
    Column("hides", BigInteger, nullable=False, default=0),
    Column("purchases", BigInteger, nullable=False, default=0),
    Column("comments_off", Boolean, nullable=False, default=False),
    PrimaryKeyConstraint("tenant_id", "post_id"),
)

COMMENTS = Table(
    "comments",
    METADATA,
    Column("comment_id", ID, primary_key=True),
    Column("tenant_id", ID, nullable=False),
    Column("post_id", ID, nullable=False),
    # Empty for a comment of the post itself.
    Column("parent_id", ID, nullable=False),
    Column("depth", Integer, nullable=False),
    # Empty, as the text is, where the comment was deleted and has replies.
    Column("author_id", PERSON, nullable=False),
    Column("text", Text, nullable=False),
    Column("state", Integer, nullable=False),
    # What moderation found, as JSON: its author sees it.
    Column("findings", Text, nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("written_at_ms", BigInteger, nullable=False),
    Column("edited_at_ms", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("likes", BigInteger, nullable=False),
    Column("replies", BigInteger, nullable=False),
)
Index("ix_comments_thread", COMMENTS.c.tenant_id, COMMENTS.c.post_id, COMMENTS.c.parent_id, COMMENTS.c.comment_id)
Index("ix_comments_author", COMMENTS.c.tenant_id, COMMENTS.c.author_id)
Index("ix_comments_state", COMMENTS.c.state)

MENTIONS = Table(
    "mentions",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    # The post or the comment.
    Column("source_id", ID, nullable=False),
    Column("person_id", PERSON, nullable=False),
    PrimaryKeyConstraint("tenant_id", "source_id", "person_id"),
)
Index("ix_mentions_person", MENTIONS.c.tenant_id, MENTIONS.c.person_id)

HASHTAGS = Table(
    "hashtags",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    Column("tag", String(100), nullable=False),
    Column("post_id", ID, nullable=False),
    PrimaryKeyConstraint("tenant_id", "tag", "post_id"),
)
Index("ix_hashtags_post", HASHTAGS.c.tenant_id, HASHTAGS.c.post_id)

NOTIFICATIONS = Table(
    "notifications",
    METADATA,
    Column("notification_id", ID, primary_key=True),
    Column("tenant_id", ID, nullable=False),
    Column("person_id", PERSON, nullable=False),
    Column("kind", Integer, nullable=False),
    # The post, the comment or, for a follow, nothing.
    Column("subject_id", ID, nullable=False),
    Column("text", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("read_at_ms", BigInteger, nullable=False),
)
Index("ix_notifications_person", NOTIFICATIONS.c.tenant_id, NOTIFICATIONS.c.person_id, NOTIFICATIONS.c.at_ms)

NOTIFICATION_ACTORS = Table(
    "notification_actors",
    METADATA,
    Column("notification_id", ID, nullable=False),
    Column("actor_id", PERSON, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("notification_id", "actor_id"),
)
Index("ix_notification_actors_actor", NOTIFICATION_ACTORS.c.actor_id)

# The state of a post that its creator was told of last.
POST_FATES = Table(
    "post_fates",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    Column("post_id", ID, nullable=False),
    Column("state", Integer, nullable=False),
    PrimaryKeyConstraint("tenant_id", "post_id"),
)

SHARE_LINKS = Table(
    "share_links",
    METADATA,
    Column("share_id", String(16), primary_key=True),
    Column("tenant_id", ID, nullable=False),
    Column("post_id", ID, nullable=False),
    Column("person_id", PERSON, nullable=False),
    Column("tracking_id", PERSON, nullable=False),
    Column("landing_url", Text, nullable=False),
    Column("disclosure", String(24), nullable=False),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("clicks", BigInteger, nullable=False),
)
Index("ix_share_links_person", SHARE_LINKS.c.tenant_id, SHARE_LINKS.c.person_id)

# Digests that name a session's click on a link and nobody.
SHARE_CLICKS = Table(
    "share_clicks",
    METADATA,
    Column("click_key", LargeBinary(16), primary_key=True),
    Column("at_ms", BigInteger, nullable=False, index=True),
)

# What an idempotency key of the social part wrote; dropped when no repetition is to be expected any more.
SOCIAL_WRITES = Table(
    "social_writes",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    Column("idempotency_key", String(64), nullable=False),
    Column("request_digest", String(32), nullable=False),
    Column("person_id", PERSON, nullable=False),
    # The comment or the link that was written; empty when it is the person.
    Column("subject_id", ID, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "idempotency_key"),
)

# Who is being erased; a row stays only while that goes on, so that one that was cut short is finished.
PENDING_ERASURES = Table(
    "pending_erasures",
    METADATA,
    Column("tenant_id", ID, nullable=False),
    Column("person_id", PERSON, nullable=False),
    PrimaryKeyConstraint("tenant_id", "person_id"),
)

SOCIAL_TABLES = (
    PEOPLE, RELATIONS, REACTIONS, POST_TALLIES, COMMENTS, MENTIONS, HASHTAGS, NOTIFICATIONS, NOTIFICATION_ACTORS,
    POST_FATES, SHARE_LINKS, SHARE_CLICKS, SOCIAL_WRITES, PENDING_ERASURES,
)  # fmt: skip
