"""What did this visitor choose before, and is it due again?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feed.recommender.feedback import DAY_MS, decay
from feed.recommender.histories import Histories

# Before a visitor's own rhythm is trusted, so many intervals of everybody's are added to it.
_TRUST = 1.0


@dataclass(frozen=True, slots=True)
class Owned:
    """One entry for each pair of visitor and item in a history, by `key` = visitor * items + item, ascending.

    `times` counts different moments, `decayed` is their worth by now, `last_ms` and `first_ms` are when.
    """

    items: int
    key: NDArray[np.int64]
    times: NDArray[np.float64]
    decayed: NDArray[np.float64]
    last_ms: NDArray[np.int64]
    first_ms: NDArray[np.int64]

    def find(self, visitors: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.int64]:
        """The entry of each pair, -1 where there is none."""
        wanted = visitors * self.items + items
        if not len(self.key):
            return np.full(len(wanted), -1)
        at = np.minimum(np.searchsorted(self.key, wanted), len(self.key) - 1)
        return np.where(self.key[at] == wanted, at, -1)


def owned(histories: Histories, worth: NDArray[np.float64], items: int, now_ms: int, half_life_days: float) -> Owned:
    """What each visitor has chosen by now; events without worth are no choice."""
    chosen = worth > 0
    key = histories.rows[chosen] * items + histories.items[chosen]
    at_ms, weight = histories.at_ms[chosen], worth[chosen]
    order = np.lexsort((at_ms, key))
    key, at_ms, weight = key[order], at_ms[order], weight[order]
    # Two lines of one basket are one choice.
    new_moment = np.ones(len(key), np.bool_)
    new_moment[1:] = (np.diff(key) != 0) | (np.diff(at_ms) != 0)
    key, at_ms, weight = key[new_moment], at_ms[new_moment], weight[new_moment]
    begins = np.flatnonzero(np.r_[True, np.diff(key) != 0]) if len(key) else np.zeros(0, np.int64)
    ends = np.r_[begins[1:], len(key)] - 1 if len(key) else begins
    if not len(key):
        none = np.zeros(0)
        return Owned(items, key, none, none, at_ms, at_ms)
    return Owned(
        items,
        key[begins],
        np.diff(np.r_[begins, len(key)]).astype(np.float64),
        np.add.reduceat(weight * decay(now_ms - at_ms, half_life_days), begins),
        at_ms[ends],
        at_ms[begins],
    )


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Of each item: days between two choices of one visitor (the mean), and the share of visitors who chose again."""

    interval_days: NDArray[np.float64]
    again: NDArray[np.float64]


def rhythm(of: Owned) -> Rhythm:
    """The rhythm of all items; where nobody chose twice, that of everything. Shares are smoothed by ten visitors."""
    item = of.key % max(of.items, 1)
    repeats = of.times - 1.0
    span = (of.last_ms - of.first_ms) / DAY_MS
    spans = np.bincount(item, weights=span, minlength=of.items)
    counts = np.bincount(item, weights=repeats, minlength=of.items)
    visitors = np.bincount(item, minlength=of.items).astype(np.float64)
    repeated = np.bincount(item, weights=(repeats > 0).astype(np.float64), minlength=of.items)
    overall = float(spans.sum() / counts.sum()) if counts.sum() else 90.0
    share = float(repeated.sum() / visitors.sum()) if visitors.sum() else 0.0
    return Rhythm((spans + 3.0 * overall) / (counts + 3.0), (repeated + 10.0 * share) / (visitors + 10.0))


def interval_days(of: Owned, at: NDArray[np.int64], everybody: NDArray[np.float64]) -> NDArray[np.float64]:
    """Days after which each entry is due: the visitor's own mean, drawn towards `everybody`'s for few repeats."""
    repeats = of.times[at] - 1.0
    span = (of.last_ms[at] - of.first_ms[at]) / DAY_MS
    return np.asarray((span + _TRUST * everybody) / (repeats + _TRUST))
