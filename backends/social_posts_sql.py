"""Which posts are a creator's or stand under a hashtag, and what is counted beside them? PostReader and TagStore."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Engine, bindparam, delete, func, insert, select, tuple_

from backends.posts_sql import SqlPostStore
from backends.sql import chunks, in_turn, reading, writing
from backends.sql_tables_posts import POSTS
from backends.sql_tables_social import HASHTAGS, MENTIONS, POST_TALLIES
from feed.post import Post, PostState
from feed.social.words import Tallies

_AT = POSTS.c
_NEWEST_FIRST = (_AT.published_at_ms.desc(), _AT.post_id.desc())
_SEEN = (int(PostState.CLEAN), int(PostState.LIMITED))
_UNTAG = delete(HASHTAGS).where(HASHTAGS.c.tenant_id == bindparam("tenant"), HASHTAGS.c.post_id == bindparam("post"))
_TAG = insert(HASHTAGS)


class SqlPostReader:
    """PostReader over the record of posts. May be used from several threads."""

    def __init__(self, engine: Engine, posts: SqlPostStore) -> None:
        self._engine = engine
        self._posts = posts

    def get(self, tenant_id: str, post_id: str) -> Post | None:
        """The tenant's post."""
        return self._posts.get(tenant_id, post_id)

    def newest_of(self, tenant_id: str, creator_id: str, before: tuple[int, str], limit: int) -> list[Post]:
        """The creator's posts, newest first."""
        own = (_AT.tenant_id == tenant_id) & (_AT.creator_id == creator_id)
        return self._read(tenant_id, select(_AT.post_id).where(own), before, limit)

    def newest_tagged(self, tenant_id: str, tag: str, before: tuple[int, str], limit: int) -> list[Post]:
        """Posts under a hashtag, newest first."""
        tagged = (HASHTAGS.c.tenant_id == tenant_id) & (HASHTAGS.c.tag == tag)
        joined = select(_AT.post_id).join(HASHTAGS, HASHTAGS.c.post_id == _AT.post_id)
        return self._read(tenant_id, joined.where(tagged, _AT.tenant_id == tenant_id), before, limit)

    def totals(self, tenant_id: str, creator_id: str) -> tuple[int, int]:
        """(posts that everybody can see, the likes of them)."""
        own = (_AT.tenant_id == tenant_id) & (_AT.creator_id == creator_id) & _AT.state.in_(_SEEN)
        with reading(self._engine) as connection:
            posts, likes = connection.execute(select(func.count(), func.sum(_AT.likes)).where(own)).one()
        return int(posts), int(likes or 0)

    def tallies(self, tenant_id: str, post_ids: Sequence[str]) -> dict[str, Tallies]:
        """What is counted beside these posts."""
        of = POST_TALLIES.c
        found: dict[str, Tallies] = {}
        with reading(self._engine) as connection:
            for some in chunks(post_ids):
                rows = connection.execute(select(POST_TALLIES).where(of.tenant_id == tenant_id, of.post_id.in_(some)))
                found |= {
                    row.post_id: Tallies(**{name: getattr(row, name) for name in Tallies.__struct_fields__})
                    for row in rows
                }
        return found

    def all(self) -> Iterator[Post]:
        """Every post."""
        return self._posts.all()

    def _read(self, tenant_id: str, ids: Any, before: tuple[int, str], limit: int) -> list[Post]:
        earlier = tuple_(_AT.published_at_ms, _AT.post_id) < before
        with reading(self._engine) as connection:
            found = list(connection.execute(ids.where(earlier).order_by(*_NEWEST_FIRST).limit(limit)).scalars())
        posts = (self._posts.get(tenant_id, post_id) for post_id in found)
        return [post for post in posts if post is not None]


class SqlTagStore:
    """TagStore over an engine of backends.sql. May be used from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def tag(self, tenant_id: str, post_id: str, tags: Sequence[str]) -> None:
        """The hashtags of a post, in place of those it had."""
        rows = [{"tenant_id": tenant_id, "tag": tag, "post_id": post_id} for tag in dict.fromkeys(tags)]
        with writing(self._engine) as connection:
            in_turn(connection, "hashtags", tenant_id, post_id)
            connection.execute(_UNTAG, {"tenant": tenant_id, "post": post_id})
            if rows:
                connection.execute(_TAG, rows)

    def mention(self, tenant_id: str, source_id: str, person_ids: Sequence[str]) -> list[str]:
        """Who is mentioned, in place of before; those who were not mentioned before."""
        of = MENTIONS.c
        own = (of.tenant_id == tenant_id) & (of.source_id == source_id)
        with writing(self._engine) as connection:
            in_turn(connection, "mentions", tenant_id, source_id)
            before = set(connection.execute(select(of.person_id).where(own)).scalars())
            now = dict.fromkeys(person_ids)
            gone = before - set(now)
            if gone:
                connection.execute(delete(MENTIONS).where(own, of.person_id.in_(gone)))
            fresh = [person_id for person_id in now if person_id not in before]
            if fresh:
                rows = [{"tenant_id": tenant_id, "source_id": source_id, "person_id": one} for one in fresh]
                connection.execute(insert(MENTIONS), rows)
        return fresh
