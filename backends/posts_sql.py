"""How are posts kept in SQL? PostStore on any engine that SQLAlchemy knows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Engine, bindparam, delete, exists, func, insert, select, tuple_, update

from backends import outbox_sql, post_rows
from backends.post_rows import post_of
from backends.sql import chunks, in_turn, reading, writing
from backends.sql_tables_posts import POST_HISTORY, POST_MEDIA, POST_REVISIONS, POST_WRITES, POSTS
from common.errors import Conflict
from feed.ports import ErasedPosts, PostRevision
from feed.post import Post, PostState
from feed.post_states import Reach, StateStep
from streams.topics import POSTS as POSTS_TOPIC

_ID = re.compile(r"[0-9a-f]{32}")

# What every post asks for is built once: building a statement takes longer than SQLite takes to answer it.
_POST = select(POSTS).where(POSTS.c.tenant_id == bindparam("tenant"), POSTS.c.post_id == bindparam("post"))
_POST_LOCKED = _POST.with_for_update()
_WRITTEN = select(POST_WRITES.c.request_digest, POST_WRITES.c.post_id).where(
    POST_WRITES.c.tenant_id == bindparam("tenant"), POST_WRITES.c.idempotency_key == bindparam("key")
)
_NEWEST_STEP = select(func.max(POST_HISTORY.c.number)).where(POST_HISTORY.c.post_id == bindparam("post"))
_ADD, _ADD_REVISION, _ADD_STEP, _ADD_MEDIUM, _ADD_WRITE = map(
    insert, (POSTS, POST_REVISIONS, POST_HISTORY, POST_MEDIA, POST_WRITES)
)
_DROP_MEDIA = delete(POST_MEDIA).where(POST_MEDIA.c.post_id == bindparam("post"))


class SqlPostStore:
    """PostStore over an engine of backends.sql. May be used from several threads; `portion` posts are read at once."""

    def __init__(self, engine: Engine, *, portion: int = 1_000) -> None:
        self._engine = engine
        self._portion = portion

    def create(self, post: Post, key: str, digest: str, now_ms: int, steps: Sequence[StateStep] = ()) -> Post:
        """Store a post, or give the one that this key stored."""
        with writing(self._engine) as connection:
            if (known := _written(connection, post.tenant_id, key, digest, to_write=True)) is not None:
                return known
            row = post_rows.row_of(post)
            connection.execute(_ADD, row)
            _keep_content(connection, post, row["content"], now_ms)
            _keep_steps(connection, post.post_id, steps, is_new=True)
            _remember(connection, post, key, digest, now_ms)
            _tell(connection, post, now_ms)
            return post

    def change(self, post: Post, key: str, digest: str, now_ms: int, steps: Sequence[StateStep] = ()) -> Post | None:
        """Store a revision over the one before."""
        with writing(self._engine) as connection:
            if key and (known := _written(connection, post.tenant_id, key, digest, to_write=True)) is not None:
                return known
            before = _post_of(connection, post.tenant_id, post.post_id, lock=True)
            if before is None or before.revision != post.revision - 1:
                return None
            row = post_rows.row_of(post)
            changed = {name: value for name, value in row.items() if name not in ("post_id", "likes", "saves")}
            connection.execute(update(POSTS).where(POSTS.c.post_id == post.post_id).values(changed))
            if row["content"] != post_rows.row_of(before)["content"]:
                _keep_content(connection, post, row["content"], now_ms)
            _keep_steps(connection, post.post_id, steps)
            if key:
                _remember(connection, post, key, digest, now_ms)
            _tell(connection, post, now_ms)
            return post_rows.with_counts_of(post, before)

    def remember(self, post: Post, key: str, digest: str, now_ms: int) -> None:
        """Remember what a key was answered by."""
        with writing(self._engine) as connection:
            if _written(connection, post.tenant_id, key, digest, to_write=True) is None:
                _remember(connection, post, key, digest, now_ms)

    def written(self, tenant_id: str, key: str, digest: str) -> Post | None:
        """What `key` wrote."""
        with reading(self._engine) as connection:
            return _written(connection, tenant_id, key, digest)

    def get(self, tenant_id: str, post_id: str) -> Post | None:
        """The tenant's post."""
        with reading(self._engine) as connection:
            return _post_of(connection, tenant_id, post_id)

    def by_creator(
        self, tenant_id: str, creator_id: str, least_reach: int, before: tuple[int, str] | None, limit: int
    ) -> list[Post]:
        """A creator's posts, newest publication first."""
        place = tuple_(POSTS.c.published_at_ms, POSTS.c.post_id)
        wanted = (
            select(POSTS)
            .where(
                POSTS.c.tenant_id == tenant_id,
                POSTS.c.creator_id == creator_id,
                POSTS.c.reach >= least_reach,
                POSTS.c.state != int(PostState.WITHDRAWN),
            )
            .order_by(POSTS.c.published_at_ms.desc(), POSTS.c.post_id.desc())
            .limit(limit)
        )
        if before is not None:
            wanted = wanted.where(place < before)
        with reading(self._engine) as connection:
            return [post_of(row) for row in connection.execute(wanted)]

    def revisions(self, tenant_id: str, post_id: str, before_revision: int, limit: int) -> list[PostRevision]:
        """What stood in the post, newest first."""
        of = POST_REVISIONS.c
        wanted = (
            select(POST_REVISIONS)
            .where(of.post_id == post_id, of.revision < before_revision)
            .order_by(of.revision.desc())
            .limit(limit)
        )
        with reading(self._engine) as connection:
            if _post_of(connection, tenant_id, post_id) is None:
                return []
            return [post_rows.revision_of(row) for row in connection.execute(wanted)]

    def history(self, tenant_id: str, post_id: str, before: int, limit: int) -> list[tuple[int, StateStep]]:
        """What became of the post, newest first."""
        of = POST_HISTORY.c
        wanted = (
            select(POST_HISTORY)
            .where(of.post_id == post_id, of.number < before)
            .order_by(of.number.desc())
            .limit(limit)
        )
        with reading(self._engine) as connection:
            if _post_of(connection, tenant_id, post_id) is None:
                return []
            return [(row.number, post_rows.step_of(row)) for row in connection.execute(wanted)]

    def due(self, now_ms: int, limit: int) -> list[Post]:
        """Drafts whose time has come."""
        of = POSTS.c
        wanted = (
            select(POSTS)
            .where(of.publish_at_ms.between(1, now_ms), of.state == int(PostState.DRAFT))
            .order_by(of.publish_at_ms)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [post_of(row) for row in connection.execute(wanted)]

    def unchecked(self, limit: int) -> list[Post]:
        """Published posts without a verdict."""
        of = POSTS.c
        wanted = select(POSTS).where(of.state == int(PostState.CHECKING), of.verdict.is_(None)).limit(limit)
        with reading(self._engine) as connection:
            return [post_of(row) for row in connection.execute(wanted)]

    def shows_media(self, media_id: str) -> bool:
        """Is the medium in a post that others see?"""
        seen = exists().where(
            POST_MEDIA.c.media_id == media_id,
            POSTS.c.post_id == POST_MEDIA.c.post_id,
            POSTS.c.reach > int(Reach.AUTHOR),
        )
        with reading(self._engine) as connection:
            return bool(connection.execute(select(seen)).scalar())

    def erase_creator(self, tenant_id: str, creator_id: str, now_ms: int) -> ErasedPosts:
        """Delete a creator's posts and all that is told of them."""
        mine = (
            select(POSTS.c.post_id, POSTS.c.revision)
            .where(POSTS.c.tenant_id == tenant_id, POSTS.c.creator_id == creator_id)
            .order_by(POSTS.c.post_id)
        )
        with writing(self._engine) as connection:
            posts = [(row.post_id, row.revision + 1) for row in connection.execute(mine.with_for_update())]
            gone = dict.fromkeys((POST_REVISIONS, POST_HISTORY, POST_MEDIA, POST_WRITES, POSTS), 0)
            for some in chunks(post_id for post_id, _ in posts):
                for table in gone:
                    gone[table] += connection.execute(delete(table).where(table.c.post_id.in_(some))).rowcount
            for post_id, revision in posts:
                # Who followed the post learns that it is gone, and not whose it was.
                _append(connection, tenant_id, post_id, "", PostState.WITHDRAWN, revision, now_ms)
        return ErasedPosts(tuple(posts), revisions=gone[POST_REVISIONS], history=gone[POST_HISTORY])

    def all(self) -> Iterator[Post]:
        """Every post, by publication; each portion is read in a transaction of its own."""
        after: tuple[int, str] | None = None
        while True:
            wanted = select(POSTS).order_by(POSTS.c.published_at_ms, POSTS.c.post_id).limit(self._portion)
            if after is not None:
                wanted = wanted.where(tuple_(POSTS.c.published_at_ms, POSTS.c.post_id) > after)
            with reading(self._engine) as connection:
                rows = connection.execute(wanted).all()
            yield from map(post_of, rows)
            if len(rows) < self._portion:
                return
            after = rows[-1].published_at_ms, rows[-1].post_id


def _written(connection: Connection, tenant_id: str, key: str, digest: str, *, to_write: bool = False) -> Post | None:
    if to_write:
        in_turn(connection, "post write", tenant_id, key)
    row = connection.execute(_WRITTEN, {"tenant": tenant_id, "key": key}).first()
    if row is None:
        return None
    if row.request_digest != digest:
        raise Conflict("this idempotency_key was used for another request: give each write a fresh one")
    return _post_of(connection, tenant_id, row.post_id)


def _post_of(connection: Connection, tenant_id: str, post_id: str, *, lock: bool = False) -> Post | None:
    # What is no id of ours is not looked for: some engines refuse characters that an id could hold.
    if not _ID.fullmatch(post_id):
        return None
    own = {"tenant": tenant_id, "post": post_id}
    row = connection.execute(_POST_LOCKED if lock else _POST, own).first()
    return None if row is None else post_of(row)


def _keep_content(connection: Connection, post: Post, content: str, now_ms: int) -> None:
    revision = {"post_id": post.post_id, "revision": post.revision, "at_ms": now_ms, "content": content}
    connection.execute(_ADD_REVISION, revision)
    if post.revision > 1:
        connection.execute(_DROP_MEDIA, {"post": post.post_id})
    shown = {medium.media_id for medium in post.media if medium.media_id}
    if shown:
        rows = [{"post_id": post.post_id, "media_id": media_id} for media_id in sorted(shown)]
        connection.execute(_ADD_MEDIUM, rows)


def _keep_steps(connection: Connection, post_id: str, steps: Sequence[StateStep], *, is_new: bool = False) -> None:
    if not steps:
        return
    newest = 0 if is_new else connection.execute(_NEWEST_STEP, {"post": post_id}).scalar() or 0
    rows = [post_rows.history_row(post_id, newest + at, step) for at, step in enumerate(steps, 1)]
    connection.execute(_ADD_STEP, rows)


def _tell(connection: Connection, post: Post, now_ms: int) -> None:
    _append(connection, post.tenant_id, post.post_id, post.creator_id, post.state, post.revision, now_ms)


def _append(
    connection: Connection,
    tenant_id: str,
    post_id: str,
    creator_id: str,
    state: PostState,
    revision: int,
    now_ms: int,
) -> None:
    event = {
        "changed_at_ms": now_ms,
        "tenant_id": tenant_id,
        "post_id": post_id,
        "creator_id": creator_id,
        "state": int(state),
        "revision": revision,
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
    connection.execute(_ADD_WRITE, row)
