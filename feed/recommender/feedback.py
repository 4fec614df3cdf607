"""What can a visitor tell us of an item, and how much does each kind of it say?"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from feed.recommender.histories import Histories
from feed.recommender.settings import Feedback

DAY_MS = 86_400_000


class Kind(IntEnum):
    """Kinds of feedback; the same number below 0 takes the newest of its kind back."""

    VIEW = 1
    CLICK = 2
    LIKE = 3
    SAVE = 4
    BUY = 5
    HIDE = 6
    REPORT = 7


def settled(histories: Histories) -> Histories:
    """The histories without what was taken back, as if it had never been; what takes nothing back is left out too."""
    undoing = histories.kinds < 0
    if not undoing.any():
        return histories
    keep = ~undoing
    rows = histories.rows
    concerned = np.isin(rows, rows[undoing])
    open_at: dict[tuple[int, int, int], list[int]] = {}
    for at in np.flatnonzero(concerned).tolist():
        kind = int(histories.kinds[at])
        standing = open_at.setdefault((int(rows[at]), int(histories.items[at]), abs(kind)), [])
        if kind > 0:
            standing.append(at)
        elif standing:
            keep[standing.pop()] = False
    return histories.where(keep)


def liked(histories: Histories, feedback: Feedback) -> NDArray[np.float64]:
    """What each event says for its item: its kind's weight, 0 for kinds that speak against it; shape (events,)."""
    return np.maximum(_weights(feedback)[np.maximum(histories.kinds, 0)], 0.0)


def disliked(histories: Histories, feedback: Feedback, now_ms: int) -> NDArray[np.float64]:
    """What each event says against its item by now, 0 and more: it halves every `dislike_half_life_days`."""
    against = np.maximum(-_weights(feedback)[np.maximum(histories.kinds, 0)], 0.0)
    return against * decay(now_ms - histories.at_ms, feedback.dislike_half_life_days)


def decay(age_ms: NDArray[np.int64], half_life_days: float) -> NDArray[np.float64]:
    """1 at age 0 and below, a half at the half-life."""
    return np.exp2(-np.maximum(age_ms, 0) / (half_life_days * DAY_MS))


def _weights(feedback: Feedback) -> NDArray[np.float64]:
    by_kind = np.zeros(len(Kind) + 1)
    for kind in Kind:
        by_kind[kind] = getattr(feedback, kind.name.lower())
    return by_kind
