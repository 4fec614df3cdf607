"""What can be learned from the feed's own pages? The log of pages and actions, joined and put into columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feed.actions import ActionKind
from feed.features import HAND_WEIGHTED
from feed.heads import HEAD_OF, HEADS
from feed.log_reader import events
from ranking.head_evaluation import Draws
from ranking.heads import HeadExamples
from streams.feed_events import FeedActionTaken, FeedPageServed
from streams.ports import EventLog
from streams.topics import FEED_ACTIONS, FEED_PAGES

# An action so long after the page belongs to no page of it.
WINDOW_MS = 2 * 3_600_000
MAX_PAGES = 500_000


@dataclass(frozen=True, slots=True)
class FeedExamples:
    """Impressions with their labels, and the places that were drawn; `draw_at_ms` int64 [m] goes with `draws`."""

    impressions: HeadExamples
    draws: Draws
    draw_at_ms: NDArray[np.int64]
    pages: int

    def draws_from(self, at_ms: int) -> Draws:
        """The draws of pages served at `at_ms` or later."""
        late = self.draw_at_ms >= at_ms
        of = self.draws
        return Draws(of.features[late], of.listed[late], of.baseline[late], of.rewards[late], of.group[late])


def read(log: EventLog, names: tuple[str, ...], features_version: str) -> FeedExamples:
    """All pages of the log that carry these features, oldest first, with what was done with their posts.

    An action counts for the latest page of its session that showed the post, within two hours; what was done twice
    counts once. Pages of the last two hours before the log ends may miss some actions, as each page of a live log does.
    """
    pages = [
        event
        for event in events(log, FEED_PAGES.name)
        if isinstance(event, FeedPageServed) and event.features and event.features_version == features_version
    ][-MAX_PAGES:]
    # A clock that was set back must not put a page before its predecessor.
    pages.sort(key=lambda page: page.served_at_ms)
    starts = np.cumsum([0, *(len(page.post_ids) for page in pages)])
    labels = _labels(log, pages, starts)
    width = len(names)
    features = np.array([value for page in pages for value in page.features], np.float32).reshape(-1, width)
    sessions: dict[tuple[str, str], int] = {}
    group_of = [sessions.setdefault((page.tenant_id, page.session_id), len(sessions)) for page in pages]
    sizes = np.diff(starts)
    hand = features[:, names.index(HAND_WEIGHTED)].astype(np.float64)
    sign = np.array([1.0 if head.worth > 0 else -1.0 for head in HEADS])
    impressions = HeadExamples(
        names=names,
        heads=tuple(head.name for head in HEADS),
        features=features,
        labels=labels,
        place=np.concatenate([np.arange(size) for size in sizes]).astype(np.int32) if pages else np.zeros(0, np.int32),
        at_ms=np.repeat(np.array([page.served_at_ms for page in pages], np.int64), sizes),
        group=np.repeat(np.array(group_of, np.int64), sizes),
        baseline=sign[:, None] * hand,
    )
    draws, at_ms = _draws(pages, starts, labels, features, names, group_of)
    return FeedExamples(impressions, draws, at_ms, len(pages))


def _labels(log: EventLog, pages: list[FeedPageServed], starts: NDArray[np.int64]) -> NDArray[np.int8]:
    labels = np.zeros((len(HEADS), int(starts[-1])), np.int8)
    # By session and post: (when, which impression), oldest first.
    shown: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for page, start in zip(pages, starts.tolist(), strict=False):
        for at, post_id in enumerate(page.post_ids):
            key = page.tenant_id, page.session_id, post_id
            shown.setdefault(key, []).append((page.served_at_ms, start + at))
    for event in events(log, FEED_ACTIONS.name):
        if not isinstance(event, FeedActionTaken) or event.kind not in ActionKind._value2member_map_:
            continue
        head = HEAD_OF.get(ActionKind(event.kind))
        if head is None:
            continue
        for at_ms, row in reversed(shown.get((event.tenant_id, event.session_id, event.subject_id), [])):
            if 0 <= event.taken_at_ms - at_ms <= WINDOW_MS:
                labels[head, row] = 1
                break
    return labels


def _draws(
    pages: list[FeedPageServed],
    starts: NDArray[np.int64],
    labels: NDArray[np.int8],
    features: NDArray[np.float32],
    names: tuple[str, ...],
    group_of: list[int],
) -> tuple[Draws, NDArray[np.int64]]:
    lists: list[NDArray[np.float32]] = []
    rows: list[int] = []
    at_ms: list[int] = []
    group: list[int] = []
    width = len(names)
    for page, start, session in zip(pages, starts.tolist(), group_of, strict=False):
        beside = np.array(page.alternative_features, np.float32).reshape(-1, width)
        places = np.array(page.alternative_places, np.int64)
        for place in np.unique(places).tolist():
            rows.append(start + place)
            lists.append(np.vstack([features[start + place], beside[places == place]]))
            at_ms.append(page.served_at_ms)
            group.append(session)
    most = max(map(len, lists), default=1)
    padded = np.zeros((len(lists), most, width), np.float32)
    for at, own in enumerate(lists):
        padded[at, : len(own)] = own
    worth = np.array([head.worth for head in HEADS])
    draws = Draws(
        features=padded,
        listed=np.array([len(own) for own in lists], np.int64),
        baseline=padded[:, :, names.index(HAND_WEIGHTED)].astype(np.float64),
        rewards=worth @ labels[:, rows],
        group=np.array(group, np.int64),
    )
    return draws, np.array(at_ms, np.int64)
