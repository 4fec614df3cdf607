"""How far would a post go? By what it was seen so far, or by its creator's other posts when it is new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from common.clock import Clock
from feed.index import FeedIndex, Kind, Shelf
from feed.moderation.subjects import Subject, SubjectKind
from feed.scorers.freshness import HALF_LIFE_MS

# What is expected of a post of a creator of whom nothing was seen, and so many posts' weight against what was.
NEWCOMER_VIEWS: Final = 20.0
_PRIOR_POSTS: Final = 2.0
_POSTS_READ: Final = 20
_DAY_MS: Final = 86_400_000
# A post that is seconds old and was seen once does not go on like that for a day.
_LEAST_AGE_MS: Final = 3_600_000


class IndexReach:
    """ExpectedReach over the feed's index: of a post that it does not hold it knows the creator at most."""

    def __init__(self, index: FeedIndex, clock: Clock) -> None:
        self._index = index
        self._clock = clock

    def views(self, tenant_id: str, subjects: Sequence[Subject]) -> list[float]:
        """Views expected within the next day, one for each subject; 0 for what is no post and no profile."""
        shelf, now_ms = self._index.shelf(tenant_id), self._clock.now_ms()
        return [_views(shelf, subject, now_ms) for subject in subjects]


def _views(shelf: Shelf, subject: Subject, now_ms: int) -> float:
    if subject.kind is SubjectKind.PROFILE:
        return _POSTS_READ * _of_creator(shelf, subject.id)
    row = shelf.row_of.get(subject.id)
    if subject.kind is not SubjectKind.POST:
        return 0.0
    if row is None:
        return NEWCOMER_VIEWS
    age_ms = max(now_ms - int(shelf.published_at_ms[row]), _LEAST_AGE_MS)
    seen = float(shelf.impressions[row])
    # As fast as up to now, and fading as posts do.
    going_on = seen / age_ms * _DAY_MS * 2.0 ** (-_DAY_MS / 2 / HALF_LIFE_MS)
    usual = _of_creator(shelf, shelf.posts[row].creator_id) * 2.0 ** (-age_ms / HALF_LIFE_MS)
    return float(max(going_on, usual))


def _of_creator(shelf: Shelf, creator_id: str) -> float:
    rows = shelf.having(shelf.code((Kind.CREATOR, creator_id)), _POSTS_READ)
    seen = float(np.sum(shelf.impressions[rows])) if rows else 0.0
    return (NEWCOMER_VIEWS * _PRIOR_POSTS + seen) / (_PRIOR_POSTS + len(rows))
