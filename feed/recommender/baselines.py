"""What must a recommender beat? Plain ones, each by one idea, over the same catalogue and histories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feed.recommender import ease
from feed.recommender.feedback import decay, liked
from feed.recommender.histories import Histories
from feed.recommender.measures import LENGTH
from feed.recommender.parts import Parts, saturated
from feed.recommender.settings import Training
from feed.recommender.signals import Signals

Scores = NDArray[np.float64]
Rank = Callable[[Signals], Scores]
# Whoever chose something before comes first by this much, whatever is popular.
_OWN_FIRST = 1e6


@dataclass(frozen=True, slots=True)
class Baselines:
    """Of each its scores float64 [visitors, items], higher is better."""

    by_name: dict[str, Rank]


def fit(parts: Parts, log: Histories, training: Training) -> Baselines:
    """All baselines as of the moment of `parts`, learned from the same settled log.

    EASE is the whole table here, not the pruned one of the hybrid.
    """
    count = parts.items
    worth = liked(log, training.feedback)
    age = parts.fitted_at_ms - log.at_ms
    decayed = saturated(log.matrix(worth * decay(age, training.ease.half_life_days), count))
    table = ease.fit(decayed, training.ease.regularisation, training.ease.least_choices)
    ever = np.bincount(log.items, weights=worth, minlength=count).astype(np.float64)
    recent = parts.popularity[1]

    def of_ease(read: Signals) -> Scores:
        histories = read.histories
        own = liked(histories, training.feedback) * decay(
            parts.fitted_at_ms - histories.at_ms, training.ease.half_life_days
        )
        return np.asarray(saturated(histories.matrix(own, count)) @ table, np.float64)

    def own(read: Signals) -> Scores:
        scores = np.full((len(read.histories), count), -np.inf)
        visitors, items = np.divmod(read.owned.key, count)
        # By how often, then by how lately.
        newest = max(int(read.owned.last_ms.max(initial=1)), 1)
        scores[visitors, items] = read.owned.times + read.owned.last_ms / newest
        return scores

    def own_then_recent(read: Signals) -> Scores:
        scores = np.tile(recent, (len(read.histories), 1))
        visitors, items = np.divmod(read.owned.key, count)
        scores[visitors, items] += _OWN_FIRST * read.owned.times
        return scores

    def everybody(values: NDArray[np.float64]) -> Rank:
        return lambda read: np.tile(values, (len(read.histories), 1))

    return Baselines({
        "popularity": everybody(ever),
        "recent popularity": everybody(recent),
        "own history": own,
        "own history + recent popularity": own_then_recent,
        "item-kNN": lambda read: np.asarray(read.scores["together"].dense(), np.float64),
        "ALS": lambda read: np.asarray(read.taste @ parts.als.T, np.float64),
        "EASE": of_ease,
    })  # fmt: skip


def lists(scores: Scores, allowed: NDArray[np.bool_], taken: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """The best LENGTH allowed items of each row, -1 where there are no more; `taken` are keys that are left out."""
    worth = np.where(allowed[None, :], scores, -np.inf)
    if taken is not None:
        visitors, items = np.divmod(taken, scores.shape[1])
        worth[visitors, items] = -np.inf
    width = min(LENGTH, worth.shape[1])
    best = np.argpartition(-worth, width - 1, axis=1)[:, :width]
    values = np.take_along_axis(worth, best, axis=1)
    order = np.lexsort((best, -values), axis=1)
    ordered = np.take_along_axis(best, order, axis=1)
    ordered[np.take_along_axis(values, order, axis=1) == -np.inf] = -1
    result = np.full((len(scores), LENGTH), -1, np.int64)
    result[:, :width] = ordered
    return result
