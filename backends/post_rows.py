"""What is a post as a row, and a row as a post?"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import Row

from feed.ports import PostRevision
from feed.post import Disclosure, Post, PostMedia, PostState, ProductTag
from feed.post_states import Actor, StateStep, reach_of
from feed.verdict import Verdict


class _Content(msgspec.Struct, frozen=True, omit_defaults=True):
    """The columns of a post that nothing is searched by; what came later has a default."""

    caption: str
    image_urls: tuple[str, ...]
    product_tags: tuple[ProductTag, ...]
    hashtags: tuple[str, ...]
    media: tuple[PostMedia, ...] = ()
    paid: bool = False
    disclosure: Disclosure = Disclosure.NONE
    partner: str = ""


_CONTENT = msgspec.json.Decoder(_Content)
_VERDICT = msgspec.json.Decoder(Verdict)
_FIELDS = _Content.__struct_fields__


def row_of(post: Post) -> dict[str, Any]:
    """The values of the columns of `posts`."""
    content = _Content(**{name: getattr(post, name) for name in _FIELDS})
    return {
        "post_id": post.post_id,
        "tenant_id": post.tenant_id,
        "creator_id": post.creator_id,
        "content": msgspec.json.encode(content).decode(),
        "published_at_ms": post.published_at_ms,
        "state": int(post.state),
        "revision": post.revision,
        "likes": post.likes,
        "saves": post.saves,
        "reach": int(reach_of(post)),
        "publish_at_ms": post.publish_at_ms,
        "verdict": None if post.verdict is None else msgspec.json.encode(post.verdict).decode(),
        "decided_by": post.decided_by,
        "appeal": post.appeal,
    }


def post_of(row: Row[Any]) -> Post:
    """The post that a row of `posts` holds."""
    content = _CONTENT.decode(row.content)
    return Post(
        tenant_id=row.tenant_id,
        post_id=row.post_id,
        creator_id=row.creator_id,
        published_at_ms=row.published_at_ms,
        state=PostState(row.state),
        revision=row.revision,
        likes=row.likes,
        saves=row.saves,
        publish_at_ms=row.publish_at_ms,
        verdict=None if row.verdict is None else _VERDICT.decode(row.verdict),
        decided_by=row.decided_by,
        appeal=row.appeal,
        **{name: getattr(content, name) for name in _FIELDS},
    )


def with_counts_of(post: Post, stored: Post) -> Post:
    """`post` with the likes and saves that the store has counted by now."""
    return replace(post, likes=stored.likes, saves=stored.saves)


def revision_of(row: Row[Any]) -> PostRevision:
    """What a row of `post_revisions` holds."""
    content = _CONTENT.decode(row.content)
    fields = {name: getattr(content, name) for name in _FIELDS}
    return PostRevision(revision=row.revision, at_ms=row.at_ms, **fields)


def history_row(post_id: str, number: int, step: StateStep) -> dict[str, Any]:
    """The values of the columns of `post_history`."""
    return {
        "post_id": post_id,
        "number": number,
        "at_ms": step.at_ms,
        "actor": str(step.actor),
        "by": step.by,
        "state_before": int(step.before or 0),
        "state_after": int(step.after),
        "why": step.why,
        "revision": step.revision,
    }


def step_of(row: Row[Any]) -> StateStep:
    """The line that a row of `post_history` holds."""
    before = PostState(row.state_before) if row.state_before else None
    return StateStep(row.at_ms, Actor(row.actor), row.by, before, PostState(row.state_after), row.why, row.revision)
