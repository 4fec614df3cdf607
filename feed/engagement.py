"""What did people do with the posts before this process began? Read back from the event log at the start."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from feed.actions import OF_CREATORS, UNDOES, WORTH, ActionKind
from feed.companions import LOOK_BACK
from feed.index import FeedIndex
from feed.log_reader import events
from streams.erasures import Erasures
from streams.feed_events import FeedActionTaken, FeedPageServed
from streams.ports import EventLog
from streams.schemas import Event
from streams.topics import FEED_ACTIONS, FEED_PAGES

# As long as a post can be fresh; what is older hardly moves a rank.
LOOK_BACK_MS = 72 * 3_600_000
MAX_RECORDS = 200_000
_STORED = (ActionKind.LIKE, ActionKind.SAVE)


class Restored(msgspec.Struct, frozen=True):
    """How many pages and actions were counted again; posts that are no longer known are passed over."""

    pages: int
    actions: int


def restore(index: FeedIndex, log: EventLog, now_ms: int, erasures: Erasures | None = None) -> Restored:
    """Count the pages and actions of the last three days (at most 200,000 of each, the newest) into the index.

    What people did who were erased since is passed over. To be called once, after the index was folded from the store
    and before anything is served.
    """
    pages = actions = 0
    # What each session engaged with, for what goes together; nothing of a session stays.
    engaged: dict[tuple[str, str], list[int]] = {}
    for event in events(log, FEED_PAGES.name, now_ms - LOOK_BACK_MS, at_most=MAX_RECORDS):
        if isinstance(event, FeedPageServed):
            shelf = index.shelf(event.tenant_id)
            rows = [shelf.row_of[post_id] for post_id in event.post_ids if post_id in shelf.row_of]
            shelf.count_views(np.array(rows, np.int32))
            pages += 1
    read = events(log, FEED_ACTIONS.name, now_ms - LOOK_BACK_MS, at_most=MAX_RECORDS)
    for event in _standing(read):
        if erasures is not None and erasures.forgotten(event.tenant_id, event.visitor_id, event.taken_at_ms):
            continue
        kind, shelf = ActionKind(event.kind), index.shelf(event.tenant_id)
        row = shelf.row_of.get(event.subject_id)
        if row is not None and kind not in OF_CREATORS:
            if WORTH[kind] > 0:
                earlier = engaged.setdefault((event.tenant_id, event.session_id), [])
                shelf.companions.note(row, earlier, event.taken_at_ms)
                del earlier[:-LOOK_BACK]
                if row not in earlier:
                    earlier.append(row)
            shelf.count_action(row, WORTH[kind], event.taken_at_ms, was_stored=kind in _STORED)
        actions += 1
    return Restored(pages, actions)


def _standing(events: Iterable[Event]) -> list[FeedActionTaken]:
    """The actions that nobody took back, in their order; what takes back is none of them.

    An action that was taken back before these events begin is gone from the store already.
    """
    standing: dict[int, FeedActionTaken] = {}
    done: dict[tuple[str, str, str, int], int] = {}
    for at, event in enumerate(events):
        if not isinstance(event, FeedActionTaken) or event.kind not in WORTH:
            continue
        # Somebody who is remembered takes back in one session what was done in another.
        who = event.visitor_id or event.session_id
        undone = UNDOES.get(ActionKind(event.kind))
        if undone is None:
            standing[at] = event
            done[event.tenant_id, who, event.subject_id, event.kind] = at
        elif (taken := done.pop((event.tenant_id, who, event.subject_id, int(undone)), None)) is not None:
            del standing[taken]
    return list(standing.values())
