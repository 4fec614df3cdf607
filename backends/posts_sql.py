"""How are posts kept in SQL? PostStore on any engine that SQLAlchemy knows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, delete, insert, select, tuple_, update

from backends import outbox_sql
from backends.sql import chunks, reading, writing
from backends.sql_tables_posts import POST_COUNTS, POST_WRITES, POSTS
from common.errors import Conflict
from feed.ports import Count
from feed.post import Post, PostState, ProductTag
from streams.topics import POSTS as POSTS_TOPIC

# A client that lost an answer asks again within seconds, a phone without a network perhaps tomorrow.
REPEATED_WITHIN_MS = 2 * 86_400_000
_PURGE_EVERY_MS = 3_600_000
_ID = re.compile(r"[0-9a-f]{32}")


class _Content(msgspec.Struct, frozen=True):
    """The columns of a post that nothing is searched by."""

    caption: str
    image_urls: tuple[str, ...]
    product_tags: tuple[ProductTag, ...]
    hashtags: tuple[str, ...]


_CONTENT = msgspec.json.Decoder(_Content)


class SqlPostStore:
    """PostStore over an engine of backends.sql. May be used from several threads; `portion` posts are read at once."""

    def __init__(self, engine: Engine, *, portion: int = 1_000) -> None:
        self._engine = engine
        self._portion = portion
        self._purged_at_ms = 0

    def create(self, post: Post, key: str, digest: str, now_ms: int) -> Post:
        """Store a post, or give the one that this key stored."""
        with writing(self._engine) as connection:
            if (known := _written(connection, post.tenant_id, key, digest)) is not None:
                return known
            content = _Content(post.caption, post.image_urls, post.product_tags, post.hashtags)
            row = {name: getattr(post, name) for name in msgspec.structs.asdict(post) if name in POSTS.c}
            row |= {"content": msgspec.json.encode(content).decode(), "state": int(post.state)}
            connection.execute(insert(POSTS), [row])
            _tell(connection, post, key, digest, now_ms)
            return post

    def written(self, tenant_id: str, key: str, digest: str) -> Post | None:
        """What `key` wrote."""
        with reading(self._engine) as connection:
            return _written(connection, tenant_id, key, digest)

    def get(self, tenant_id: str, post_id: str) -> Post | None:
        """The tenant's post."""
        with reading(self._engine) as connection:
            return _post_of(connection, tenant_id, post_id)

    def withdraw(self, tenant_id: str, post_id: str, key: str, digest: str, now_ms: int) -> Post | None:
        """Withdraw a post."""
        with writing(self._engine) as connection:
            if (known := _written(connection, tenant_id, key, digest)) is not None:
                return known
            post = _post_of(connection, tenant_id, post_id)
            if post is None:
                return None
            if post.state is PostState.WITHDRAWN:
                _remember(connection, post, key, digest, now_ms)
                return post
            withdrawn = msgspec.structs.replace(post, state=PostState.WITHDRAWN, revision=post.revision + 1)
            connection.execute(
                update(POSTS)
                .where(POSTS.c.post_id == post_id)
                .values(state=int(withdrawn.state), revision=withdrawn.revision)
            )
            _tell(connection, withdrawn, key, digest, now_ms)
            return withdrawn

    def count(self, tenant_id: str, counts: Sequence[Count], now_ms: int) -> list[bool]:
        """Add likes and saves, each action once."""
        fresh: dict[bytes, Count] = {}
        with writing(self._engine) as connection:
            known = _counted(connection, counts)
            taken = []
            for one in counts:
                taken.append(one.action_key not in known and one.action_key not in fresh)
                fresh |= {one.action_key: one} if taken[-1] else {}
            if fresh:
                connection.execute(
                    insert(POST_COUNTS), [{"action_key": action_key, "at_ms": now_ms} for action_key in fresh]
                )
            # In the order of their ids, so that two transactions never wait for each other.
            for one in sorted(fresh.values(), key=lambda one: one.post_id):
                connection.execute(
                    update(POSTS)
                    .where(POSTS.c.tenant_id == tenant_id, POSTS.c.post_id == one.post_id)
                    .values(likes=POSTS.c.likes + one.likes, saves=POSTS.c.saves + one.saves)
                )
            if now_ms - self._purged_at_ms >= _PURGE_EVERY_MS:
                connection.execute(delete(POST_COUNTS).where(POST_COUNTS.c.at_ms < now_ms - REPEATED_WITHIN_MS))
                self._purged_at_ms = now_ms
        return taken

    def all(self) -> Iterator[Post]:
        """Every post, by publication; each portion is read in a transaction of its own."""
        after: tuple[int, str] | None = None
        while True:
            wanted = select(POSTS).order_by(POSTS.c.published_at_ms, POSTS.c.post_id).limit(self._portion)
            if after is not None:
                wanted = wanted.where(tuple_(POSTS.c.published_at_ms, POSTS.c.post_id) > after)
            with reading(self._engine) as connection:
                rows = connection.execute(wanted).all()
            yield from map(_post, rows)
            if len(rows) < self._portion:
                return
            after = rows[-1].published_at_ms, rows[-1].post_id


def _written(connection: Connection, tenant_id: str, key: str, digest: str) -> Post | None:
    wrote = select(POST_WRITES).where(POST_WRITES.c.tenant_id == tenant_id, POST_WRITES.c.idempotency_key == key)
    row = connection.execute(wrote).first()
    if row is None:
        return None
    if row.request_digest != digest:
        raise Conflict("this idempotency_key was used for another request: give each write a fresh one")
    return _post_of(connection, tenant_id, row.post_id)


def _post_of(connection: Connection, tenant_id: str, post_id: str) -> Post | None:
    # What is no id of ours is not looked for: some engines refuse characters that an id could hold.
    if not _ID.fullmatch(post_id):
        return None
    row = connection.execute(select(POSTS).where(POSTS.c.tenant_id == tenant_id, POSTS.c.post_id == post_id)).first()
    return None if row is None else _post(row)


def _tell(connection: Connection, post: Post, key: str, digest: str, now_ms: int) -> None:
    _remember(connection, post, key, digest, now_ms)
    event = {
        "changed_at_ms": now_ms,
        "tenant_id": post.tenant_id,
        "post_id": post.post_id,
        "creator_id": post.creator_id,
        "state": int(post.state),
        "revision": post.revision,
    }
    outbox_sql.append(connection, POSTS_TOPIC.name, [event], now_ms)


def _remember(connection: Connection, post: Post, key: str, digest: str, now_ms: int) -> None:
    row = {
        "tenant_id": post.tenant_id,
        "idempotency_key": key,
        "request_digest": digest,
        "post_id": post.post_id,
        "at_ms": now_ms,
    }
    connection.execute(insert(POST_WRITES), [row])


def _counted(connection: Connection, counts: Sequence[Count]) -> set[bytes]:
    known: set[bytes] = set()
    for some in chunks(one.action_key for one in counts):
        rows = connection.execute(select(POST_COUNTS.c.action_key).where(POST_COUNTS.c.action_key.in_(some)))
        known |= {row.action_key for row in rows}
    return known


def _post(row: Row[Any]) -> Post:
    content = _CONTENT.decode(row.content)
    return Post(
        tenant_id=row.tenant_id,
        post_id=row.post_id,
        creator_id=row.creator_id,
        caption=content.caption,
        image_urls=content.image_urls,
        product_tags=content.product_tags,
        hashtags=content.hashtags,
        published_at_ms=row.published_at_ms,
        state=PostState(row.state),
        revision=row.revision,
        likes=row.likes,
        saves=row.saves,
    )
