"""What did people do with the posts before this process began? Read back from the event log at the start."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from feed.actions import WORTH, ActionKind
from feed.index import FeedIndex
from streams import schemas
from streams.ports import EventLog
from streams.schemas import Event, FeedActionTaken, FeedPageServed
from streams.topics import FEED_ACTIONS, FEED_PAGES

# As long as a post can be fresh; what is older hardly moves a rank.
LOOK_BACK_MS = 72 * 3_600_000
MAX_RECORDS = 200_000
_READ_AT_ONCE = 1_000
_STORED = (ActionKind.LIKE, ActionKind.SAVE)


class Restored(msgspec.Struct, frozen=True):
    """How many pages and actions were counted again; posts that are no longer known are passed over."""

    pages: int
    actions: int


def restore(index: FeedIndex, log: EventLog, now_ms: int) -> Restored:
    """Count the pages and actions of the last three days (at most 200,000 of each, the newest) into the index.

    To be called once, after the index was folded from the store and before anything is served.
    """
    pages = actions = 0
    for event in _events(log, FEED_PAGES.name, now_ms):
        if isinstance(event, FeedPageServed):
            shelf = index.shelf(event.tenant_id)
            rows = [shelf.row_of[post_id] for post_id in event.post_ids if post_id in shelf.row_of]
            shelf.count_views(np.array(rows, np.int32))
            pages += 1
    for event in _events(log, FEED_ACTIONS.name, now_ms):
        if isinstance(event, FeedActionTaken) and event.kind in WORTH:
            kind, shelf = ActionKind(event.kind), index.shelf(event.tenant_id)
            row = shelf.row_of.get(event.subject_id)
            if row is not None and kind is not ActionKind.FOLLOW:
                shelf.count_action(row, WORTH[kind], event.taken_at_ms, was_stored=kind in _STORED)
            actions += 1
    return Restored(pages, actions)


def _events(log: EventLog, topic: str, now_ms: int) -> Iterator[Event]:
    end = log.end(topic)
    offset = max(log.first_offset_at(topic, now_ms - LOOK_BACK_MS), end - MAX_RECORDS)
    while offset < end and (records := log.read(topic, offset, _READ_AT_ONCE)):
        for record in records:
            event = schemas.decode(topic, record)
            if not isinstance(event, schemas.Unreadable):
                yield event
        offset = records[-1].offset + 1
