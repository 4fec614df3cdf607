"""How are comments kept in SQL? CommentStore on any engine that SQLAlchemy knows."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, insert, select, update

from backends import social_writes_sql
from backends.reactions_sql import SqlReactionStore, tally
from backends.sql import insert_once, reading, writing
from backends.sql_tables_social import COMMENTS, POST_TALLIES
from common.errors import Conflict
from feed.actions import ActionKind
from feed.ports import Reaction
from feed.social.words import Comment, CommentState

_AT = COMMENTS.c
_REASONS = msgspec.json.Decoder(tuple[str, ...])


class SqlCommentStore:
    """CommentStore over an engine of backends.sql. May be used from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reactions = SqlReactionStore(engine)

    def add(self, comment: Comment, key: str, digest: str) -> Comment:
        """Store a comment, or give the one that this key stored."""
        with writing(self._engine) as connection:
            known = _written(connection, comment.tenant_id, key, digest, to_write=True)
            if known is not None:
                return known
            of = POST_TALLIES.c
            off = select(of.comments_off).where(of.tenant_id == comment.tenant_id, of.post_id == comment.post_id)
            if connection.execute(off).scalar():
                raise Conflict("the creator turned the comments of this post off")
            connection.execute(insert(COMMENTS), [_row(comment)])
            move(connection, comment, int(comment.counts))
            social_writes_sql.remember(
                connection, comment.tenant_id, key, digest, comment.author_id, comment.comment_id,
                comment.written_at_ms,
            )  # fmt: skip
            return comment

    def written(self, tenant_id: str, key: str, digest: str) -> Comment | None:
        """What `key` wrote."""
        with reading(self._engine) as connection:
            return _written(connection, tenant_id, key, digest)

    def get(self, tenant_id: str, comment_id: str) -> Comment | None:
        """The tenant's comment."""
        with reading(self._engine) as connection:
            return _comment_of(connection, tenant_id, comment_id)

    def change(self, comment: Comment, revision: int) -> Comment:
        """Replace a comment at this revision."""
        with writing(self._engine) as connection:
            before = _comment_of(connection, comment.tenant_id, comment.comment_id, lock=True)
            if before is None or before.revision != revision:
                raise Conflict("the comment changed meanwhile: read it and try again")
            # Counters move by themselves and are no part of a revision.
            kept = {"likes": before.likes, "replies": before.replies, "revision": revision + 1}
            after = msgspec.structs.replace(comment, **kept)
            connection.execute(update(COMMENTS).where(_AT.comment_id == comment.comment_id).values(_row(after)))
            move(connection, after, int(after.counts) - int(before.counts))
            return after

    def page(self, tenant_id: str, post_id: str, parent_id: str, after: str, limit: int) -> list[Comment]:
        """Comments of one thread, in order of their ids."""
        own = (_AT.tenant_id == tenant_id) & (_AT.post_id == post_id) & (_AT.parent_id == parent_id)
        return self._many(select(COMMENTS).where(own, _AT.comment_id > after).order_by(_AT.comment_id).limit(limit))

    def in_state(self, state: CommentState, after: str, limit: int) -> list[Comment]:
        """Comments in this state, by id."""
        own = (_AT.state == int(state)) & (_AT.comment_id > after)
        return self._many(select(COMMENTS).where(own).order_by(_AT.comment_id).limit(limit))

    def like(
        self, tenant_id: str, actor_key: bytes, comment_id: str, action_key: bytes, now_ms: int, *, on: bool
    ) -> int:
        """Like or no longer like a comment."""
        one = Reaction(ActionKind.LIKE, comment_id, action_key, on)
        return self._reactions.react(tenant_id, actor_key, [one], now_ms)[0].moved

    def allow(self, tenant_id: str, post_id: str, *, allowed: bool) -> None:
        """Turn the comments of a post on or off."""
        of = POST_TALLIES.c
        with writing(self._engine) as connection:
            insert_once(connection, POST_TALLIES, {"tenant_id": tenant_id, "post_id": post_id})
            own = (of.tenant_id == tenant_id) & (of.post_id == post_id)
            connection.execute(update(POST_TALLIES).where(own).values(comments_off=not allowed))

    def _many(self, wanted: Any) -> list[Comment]:
        with reading(self._engine) as connection:
            return [comment_of_row(row) for row in connection.execute(wanted)]


def move(connection: Connection, comment: Comment, by: int) -> None:
    """Move the counters of the post and of the comment that is replied to, within the caller's transaction."""
    if not by:
        return
    tally(connection, comment.tenant_id, comment.post_id, {"comments": by})
    if comment.parent_id:
        parent = (_AT.tenant_id == comment.tenant_id) & (_AT.comment_id == comment.parent_id)
        connection.execute(update(COMMENTS).where(parent).values(replies=_AT.replies + by))


def _written(
    connection: Connection, tenant_id: str, key: str, digest: str, *, to_write: bool = False
) -> Comment | None:
    wrote = social_writes_sql.written(connection, tenant_id, key, digest, to_write=to_write)
    return None if wrote is None else _comment_of(connection, tenant_id, wrote[1])


def _comment_of(connection: Connection, tenant_id: str, comment_id: str, *, lock: bool = False) -> Comment | None:
    wanted = select(COMMENTS).where(_AT.tenant_id == tenant_id, _AT.comment_id == comment_id)
    row = connection.execute(wanted.with_for_update() if lock else wanted).first()
    return None if row is None else comment_of_row(row)


def _row(comment: Comment) -> dict[str, Any]:
    row = {name: getattr(comment, name) for name in comment.__struct_fields__ if name in COMMENTS.c}
    findings = msgspec.json.encode(comment.reasons).decode()
    return row | {"state": int(comment.state), "findings": findings}


def comment_of_row(row: Row[Any]) -> Comment:
    """The comment that a row of COMMENTS holds."""
    return Comment(
        tenant_id=row.tenant_id,
        comment_id=row.comment_id,
        post_id=row.post_id,
        parent_id=row.parent_id,
        depth=row.depth,
        author_id=row.author_id,
        text=row.text,
        state=CommentState(row.state),
        written_at_ms=row.written_at_ms,
        hidden=row.hidden,
        edited_at_ms=row.edited_at_ms,
        revision=row.revision,
        likes=row.likes,
        replies=row.replies,
        reasons=_REASONS.decode(row.findings),
    )
