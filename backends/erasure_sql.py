"""What of a person stands in SQL, and how is it removed? Hooks for what people do and what they posted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, String, Table, cast, delete, exists, func, or_, select, update

from backends import comments_sql, graph_sql, notifications_sql, outbox_sql
from backends.reactions_sql import take_back_all
from backends.sql import chunks, insert_once, reading, writing
from backends.sql_tables_outbox import OUTBOX
from backends.sql_tables_posts import POST_HISTORY, POST_MEDIA, POST_REVISIONS, POST_WRITES, POSTS
from backends.sql_tables_social import (
    COMMENTS,
    HASHTAGS,
    MENTIONS,
    NOTIFICATIONS,
    PENDING_ERASURES,
    PEOPLE,
    POST_FATES,
    POST_TALLIES,
    REACTIONS,
    RELATIONS,
    SHARE_LINKS,
    SOCIAL_WRITES,
)
from common.clock import Clock
from common.ids import made_at_ms, number_of
from feed.actor import person_key
from feed.post import PostState
from feed.social.words import CommentState, Relation
from streams.topics import POSTS as POSTS_TOPIC


class SqlPendingErasures:
    """PendingErasures over an engine of backends.sql."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, tenant_id: str, person_id: str) -> None:
        """Note that a person is being erased."""
        with writing(self._engine) as connection:
            insert_once(connection, PENDING_ERASURES, {"tenant_id": tenant_id, "person_id": person_id})

    def done(self, tenant_id: str, person_id: str) -> None:
        """Nothing is left of the person, this note neither."""
        with writing(self._engine) as connection:
            _drop(connection, PENDING_ERASURES, _of(PENDING_ERASURES, tenant_id, person_id))

    def all(self) -> list[tuple[str, str]]:
        """(tenant, person) of erasures that were begun and not finished."""
        with reading(self._engine) as connection:
            return [(row.tenant_id, row.person_id) for row in connection.execute(select(PENDING_ERASURES))]


class SqlSocialErasure:
    """ErasureHook of the social part: the account, the graph, reactions, comments, notifications and links."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def erase(self, tenant_id: str, person_id: str) -> Mapping[str, int]:
        """Remove it in one transaction; counters of others move along."""
        with writing(self._engine) as connection:
            counts = {
                "likes, saves, hides, reports and purchases": take_back_all(
                    connection, tenant_id, [person_key(tenant_id, person_id)]
                ),
                **_relations(connection, tenant_id, person_id),
                "comments": _comments(connection, tenant_id, person_id),
                "mentions": _drop(connection, MENTIONS, _of(MENTIONS, tenant_id, person_id)),
                "notifications": _notifications(connection, tenant_id, person_id),
                "share links": _links(connection, tenant_id, person_id),
            }
            _drop(connection, SOCIAL_WRITES, _of(SOCIAL_WRITES, tenant_id, person_id))
            counts["accounts"] = _drop(connection, PEOPLE, _of(PEOPLE, tenant_id, person_id))
        return counts


class SqlPostErasure:
    """ErasureHook of posts: the posts, with what others said of them, and what was to be told of them."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def erase(self, tenant_id: str, person_id: str) -> Mapping[str, int]:
        """Remove the posts in portions; each is told as withdrawn, by nobody."""
        counts = Counter({"posts": 0, "comments on posts": 0})
        own = _of(POSTS, tenant_id, person_id, "creator_id")
        while True:
            with writing(self._engine) as connection:
                posts = connection.execute(select(POSTS.c.post_id, POSTS.c.revision).where(own).limit(200)).all()
                if posts:
                    counts["posts"] += len(posts)
                    counts["comments on posts"] += _remove_posts(connection, tenant_id, [row.post_id for row in posts])
                    self._tell(connection, tenant_id, posts)
                _scrub_outbox(connection, person_id)
            if not posts:
                return counts

    def creators(self) -> Iterator[tuple[str, str, int]]:
        """(tenant, creator, when the creator's oldest post was made) of every creator."""
        of = POSTS.c
        oldest = select(of.tenant_id, of.creator_id, func.min(of.post_id)).group_by(of.tenant_id, of.creator_id)
        with reading(self._engine) as connection:
            rows = connection.execute(oldest).all()
        for tenant_id, creator_id, post_id in rows:
            yield tenant_id, creator_id, made_at_ms(number_of(post_id))

    def _tell(self, connection: Connection, tenant_id: str, posts: Sequence[Any]) -> None:
        now_ms = self._clock.now_ms()
        events = [
            {
                "changed_at_ms": now_ms, "tenant_id": tenant_id, "post_id": row.post_id, "creator_id": "",
                "state": int(PostState.WITHDRAWN), "revision": row.revision + 1,
            }
            for row in posts
        ]  # fmt: skip
        outbox_sql.append(connection, POSTS_TOPIC.name, events, now_ms)


def _of(table: Table, tenant_id: str, person_id: str, column: str = "person_id") -> Any:
    return (table.c.tenant_id == tenant_id) & (table.c[column] == person_id)


def _drop(connection: Connection, table: Table, where: Any) -> int:
    return connection.execute(delete(table).where(where)).rowcount


def _relations(connection: Connection, tenant_id: str, person_id: str) -> dict[str, int]:
    counts = {"follows": 0, "followers": 0, "blocks and mutes": 0}
    of = RELATIONS.c
    rows = connection.execute(
        select(RELATIONS).where(of.tenant_id == tenant_id, or_(of.person_id == person_id, of.subject == person_id))
    ).all()
    for row in rows:
        kind = Relation(row.kind)
        if kind is Relation.MUTE_WORD and row.person_id != person_id:
            continue
        graph_sql.end(connection, tenant_id, row.person_id, kind, row.subject)
        follow = "follows" if row.person_id == person_id else "followers"
        counts[follow if kind is Relation.FOLLOW else "blocks and mutes"] += 1
    return counts


def _comments(connection: Connection, tenant_id: str, person_id: str) -> int:
    """Comments lose their author and text; those without replies go altogether."""
    rows = connection.execute(select(COMMENTS).where(_of(COMMENTS, tenant_id, person_id, "author_id"))).all()
    for row in rows:
        counted = row.state in (int(CommentState.CLEAN), int(CommentState.LIMITED)) and not row.hidden
        comments_sql.move(connection, comments_sql.comment_of_row(row), -int(counted))
        _drop(connection, MENTIONS, _of(MENTIONS, tenant_id, row.comment_id, "source_id"))
        _drop(connection, REACTIONS, _of(REACTIONS, tenant_id, row.comment_id, "subject_id"))
        blank = {"author_id": "", "text": "", "findings": "[]", "state": int(CommentState.DELETED), "likes": 0}
        connection.execute(update(COMMENTS).where(COMMENTS.c.comment_id == row.comment_id).values(blank))
    # A reply that goes may leave its parent without any.
    for row in sorted(rows, key=lambda row: -row.depth):
        replies = COMMENTS.alias()
        childless = ~exists().where(replies.c.tenant_id == tenant_id, replies.c.parent_id == row.comment_id)
        _drop(connection, COMMENTS, (COMMENTS.c.comment_id == row.comment_id) & childless)
    return len(rows)


def _notifications(connection: Connection, tenant_id: str, person_id: str) -> int:
    told = select(NOTIFICATIONS.c.notification_id).where(_of(NOTIFICATIONS, tenant_id, person_id))
    own = list(connection.execute(told).scalars())
    for some in chunks(own):
        notifications_sql.forget(connection, some)
    return len(own) + notifications_sql.forget_actor(connection, tenant_id, person_id)


def _links(connection: Connection, tenant_id: str, person_id: str) -> int:
    """Links that the person shared, and those of others to the person's posts."""
    of = SHARE_LINKS.c
    tracking = select(PEOPLE.c.tracking_id).where(_of(PEOPLE, tenant_id, person_id)).scalar_subquery()
    return _drop(
        connection,
        SHARE_LINKS,
        (of.tenant_id == tenant_id) & or_(of.person_id == person_id, of.tracking_id == tracking),
    )


def _remove_posts(connection: Connection, tenant_id: str, post_ids: Sequence[str]) -> int:
    """Remove posts and all that hangs on them; how many comments there were."""
    on_posts = (COMMENTS.c.tenant_id == tenant_id) & COMMENTS.c.post_id.in_(post_ids)
    comments = list(connection.execute(select(COMMENTS.c.comment_id).where(on_posts)).scalars())
    subjects: Iterable[str] = (*post_ids, *comments)
    for some in chunks(subjects):
        told = select(NOTIFICATIONS.c.notification_id).where(
            NOTIFICATIONS.c.tenant_id == tenant_id, NOTIFICATIONS.c.subject_id.in_(some)
        )
        for ids in chunks(connection.execute(told).scalars()):
            notifications_sql.forget(connection, ids)
        for table, column in ((REACTIONS, "subject_id"), (MENTIONS, "source_id"), (SOCIAL_WRITES, "subject_id")):
            _drop(connection, table, (table.c.tenant_id == tenant_id) & table.c[column].in_(some))
    _drop(connection, COMMENTS, on_posts)
    for table in (POST_REVISIONS, POST_HISTORY, POST_MEDIA):
        _drop(connection, table, table.c.post_id.in_(post_ids))
    for table in (HASHTAGS, POST_TALLIES, POST_FATES, SHARE_LINKS, POST_WRITES, POSTS):
        _drop(connection, table, (table.c.tenant_id == tenant_id) & table.c.post_id.in_(post_ids))
    return len(comments)


def _scrub_outbox(connection: Connection, person_id: str) -> None:
    """What waits to be told, and what was told lately, names the person no longer."""
    of = OUTBOX.c
    quoted = msgspec.json.encode(person_id).decode()
    holds = cast(of.fields, String).contains(quoted, autoescape=True)
    for row in connection.execute(select(of.sequence, of.fields).where(of.topic == POSTS_TOPIC.name, holds)).all():
        fields = msgspec.json.decode(row.fields)
        if fields.get("creator_id") == person_id:
            scrubbed = msgspec.json.encode(fields | {"creator_id": ""}).decode()
            connection.execute(update(OUTBOX).where(of.sequence == row.sequence).values(fields=scrubbed))
