"""What is known of a post when it is ranked? One computation, for the model's training and for serving alike.

The numbers go into the record of the page as they were when it was decided, so a model is trained on exactly what it is
asked with, whatever changes afterwards.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from feed.index import Rows
from feed.stages import Scorer
from feed.view import View

# Columns beside those of the hand-weighted scorers, which come first under the scorers' own names.
HAND_WEIGHTED = "hand_weighted"
_OWN = (
    HAND_WEIGHTED, "log_impressions", "log_engagement", "log_heat", "log_likes", "age_hours", "is_followed", "products",
    "hashtags", "caption_chars", "log_price", "reach", "page_number", "hour_of_day", "session_actions",
)  # fmt: skip
_NEVER_MS = 30 * 86_400_000


def names(scorers: tuple[Scorer, ...]) -> tuple[str, ...]:
    """The columns, in their order."""
    return *(scorer.name for scorer in scorers), *_OWN


@lru_cache
def version(scorers: tuple[Scorer, ...]) -> str:
    """Which features these are: another list, or other weights, is another version; 12 hexadecimal digits."""
    listed = repr([(scorer.name, scorer.weight) for scorer in scorers]) + repr(_OWN)
    return hashlib.sha256(listed.encode()).hexdigest()[:12]


def columns(view: View, rows: Rows, contributions: NDArray[np.float64]) -> NDArray[np.float32]:
    """float32 [rows, names]; `contributions` are what the hand-weighted scorers add, shape (scorers, rows).

    A row's numbers do not depend on the other rows.
    """
    shelf, now_ms = view.shelf, view.query.now_ms
    scorers, own = len(contributions), np.empty((len(_OWN), len(rows)))
    impressions, value = shelf.impressions[rows], shelf.value[rows]
    age_ms = np.clip(now_ms - shelf.published_at_ms[rows], 0, _NEVER_MS)
    posts = [shelf.posts[row] for row in rows.tolist()]
    own[0] = contributions.sum(axis=0)
    own[1] = np.log1p(impressions)
    own[2] = np.sign(value) * np.log1p(np.abs(value))
    own[3] = np.log1p(shelf.heat_of(rows, now_ms))
    own[4] = np.log1p(shelf.likes_of(rows))
    own[5] = age_ms / 3_600_000
    own[6] = np.isin(shelf.creator[rows], list(view.followed)) if view.followed else 0.0
    own[7] = [len(post.product_tags) for post in posts]
    own[8] = [len(post.hashtags) for post in posts]
    own[9] = [len(post.caption) for post in posts]
    own[10] = _log_prices(view, rows)
    own[11] = [view.reach.get(code, 1.0) for code in shelf.creator[rows].tolist()] if view.reach else 1.0
    own[12] = view.query.chain.page_number
    own[13] = datetime.fromtimestamp(now_ms / 1000, UTC).hour
    own[14] = len(view.session.engaged) + len(view.session.hidden)
    found = np.empty((len(rows), scorers + len(_OWN)), np.float32)
    found[:, :scorers] = contributions.T
    found[:, scorers:] = own.T
    return found


def _log_prices(view: View, rows: Rows) -> NDArray[np.float64]:
    """log(1 + price in micros) of the cheapest product of each row, 0 where none is known; shape (rows,)."""
    if not view.price_micros or not len(rows):
        return np.zeros(len(rows))
    shelf = view.shelf
    codes, begins = shelf.codes_of(rows)
    by_code = np.full(len(shelf.term_of), np.inf)
    by_code[list(view.price_micros)] = list(view.price_micros.values())
    cheapest = np.minimum.reduceat(by_code[codes], begins)
    return np.where(np.isfinite(cheapest), np.log1p(np.where(np.isfinite(cheapest), cheapest, 0.0)), 0.0)
