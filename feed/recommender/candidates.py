"""Which items are worth scoring for a visitor? The best of each part, all that was chosen before, what is popular."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feed.recommender.parts import Parts
from feed.recommender.ports import Neighbours
from feed.recommender.signals import Signals
from feed.recommender.sparse import Rows

_PARTS = ("ease", "together", "basket", "alike")


def choose(
    parts: Parts, signals: Signals, neighbours: Neighbours, popular: NDArray[np.int64], each: int
) -> NDArray[np.int64]:
    """Keys visitor * items + item to score, ascending, each once: of each part the best `each`, and `popular` for all.

    `neighbours` holds the items' ALS factors. A visitor without a history gets the popular ones.
    """
    visitors = len(signals.histories)
    nearest, _ = neighbours.nearest(signals.taste, each)
    by_taste = (np.arange(visitors)[:, None] * parts.items + nearest)[nearest >= 0]
    return np.unique(
        np.concatenate(
            [
                (np.arange(visitors)[:, None] * parts.items + popular[None, :]).ravel(),
                signals.owned.key,
                by_taste,
                *(_best(signals.scores[name], each) for name in _PARTS),
            ]
        )
    )


def popular(parts: Parts, each: int) -> NDArray[np.int64]:
    """The `each` most popular items of the middle half-life, and half as many of the short one; ascending."""
    middle, short = _most(parts.popularity[1], each), _most(parts.popularity[0], each // 2)
    return np.union1d(middle, short)


def _most(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    some = np.flatnonzero(values > 0)
    if len(some) > count:
        some = some[np.argpartition(-values[some], count - 1)[:count]] if count else some[:0]
    return some.astype(np.int64)


def _best(scores: Rows, each: int) -> NDArray[np.int64]:
    found = [np.zeros(0, np.int64)]
    for row in range(len(scores.starts) - 1):
        at = slice(scores.starts[row], scores.starts[row + 1])
        items, values = scores.items[at], scores.values[at]
        if len(values) > each:
            items = items[np.argpartition(-values, each - 1)[:each]]
        found.append(row * scores.width + items.astype(np.int64))
    return np.concatenate(found)
