"""What is told to all nodes of one database? Products into each log, relations into each memory, posts into each index.

Without a database of several nodes nothing of this is there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Engine

from app.settings import Settings
from backends.outbox_sql import OutboxEvent
from backends.posts_sql import SqlPostStore
from backends.shared_records_sql import SqlSharedRecords
from feed.post import Post
from feed.social.sights import Sights
from streams.catalogue import Catalogue
from streams.ports import EventLog
from streams.shared_topics import SharedTopics
from streams.topics import POSTS, PRODUCTS

_SIGHTS = "sights"


def share(settings: Settings, engine: Engine, log: EventLog, catalogue: Catalogue) -> SharedTopics | None:
    """The topics that nodes share, with a loaded catalogue; what one node had before is everybody's from now on."""
    if not settings.database_url:
        return None
    shared = SharedTopics(SqlSharedRecords(engine, settings.node), {PRODUCTS.name: catalogue.keep}, log.sync)
    shared.begin_with(PRODUCTS.name, catalogue.records)
    catalogue.follow()
    return shared


def share_sights(
    shared: SharedTopics | None, sights: Callable[[], Sights]
) -> Callable[[str, Sequence[str]], object] | None:
    """How sights tell those of other nodes, which hear it from now on."""
    if shared is None:
        return None

    def hear(payload: bytes) -> None:
        tenant_id, *people = msgspec.json.decode(payload, type=list[str])
        sights().heard(tenant_id, people)

    shared.hear(_SIGHTS, hear)
    return lambda tenant_id, people: shared.tell(_SIGHTS, msgspec.json.encode([tenant_id, *people]))


class FollowedPosts:
    """Posts that changed on any node, as the outbox tells of them, into this node's index."""

    def __init__(self, engine: Engine) -> None:
        self._store = SqlPostStore(engine)
        self._changed: deque[tuple[str, str]] = deque()

    def heard(self, events: Sequence[OutboxEvent]) -> None:
        """The outbox told of these; from any thread."""
        self._changed.extend(
            (event.fields["tenant_id"], event.fields["post_id"]) for event in events if event.topic == POSTS.name
        )

    async def take_in(self, put: Callable[[Post], object]) -> None:
        """Read them as they stand now, and put them in on the loop's thread; an older revision changes nothing."""
        while self._changed:
            tenant_id, post_id = self._changed[0]
            post = await asyncio.to_thread(self._store.get, tenant_id, post_id)
            if post is not None:
                put(post)
            self._changed.popleft()


async def take_in(shared: SharedTopics, catalogue: Catalogue) -> None:
    """For a job beside: what was told on other nodes is here."""
    await asyncio.to_thread(shared.take_in)
    catalogue.follow()


def told_to(
    tell: Callable[[Sequence[OutboxEvent]], Any], posts: FollowedPosts, shared: SharedTopics | None
) -> Callable[[Sequence[OutboxEvent]], Any]:
    """What the relay does with events: into the log, then the index hears of posts where others write them too."""
    return tell if shared is None else partial(_tell_both, tell, posts)


def _tell_both(
    tell: Callable[[Sequence[OutboxEvent]], Any], posts: FollowedPosts, events: Sequence[OutboxEvent]
) -> None:
    tell(events)
    posts.heard(events)
