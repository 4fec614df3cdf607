"""What changes when somebody chooses something, before the next refit, and when they take it back?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feed.recommender.feedback import DAY_MS, Kind
from feed.recommender.hybrid import Hybrid
from feed.recommender.ports import Happened, History

# A choice is counted together with so many choices before it.
_LAST_CHOICES = 50


class Observed(NamedTuple):
    """What one choice has added to the sums of a recommender: by half-life to the item's popularity, and to the counts
    of the item (`weight`) with each of `others` (int32 rows, float64 weights).
    """

    item: int
    popularity: NDArray[np.float64]
    weight: float
    others: NDArray[np.int32]
    weights: NDArray[np.float64]


def observe(hybrid: Hybrid, history: History, happened: Happened) -> Observed | None:
    """Count one more event of the visitor who did `history` before: popularity, and what is chosen together.

    Weights grow with time instead of old ones shrinking (forward decay), so an event costs nothing but its own sums.
    None for an item that is not known, and for what says nothing for an item (a hide): that counts for the visitor
    alone, in whose history it is from now on.
    """
    parts, training = hybrid.parts, hybrid.training
    item = hybrid.items.row_of.get(happened.item_id)
    worth = _worth(hybrid, happened.kind)
    if item is None or worth <= 0.0:
        return None
    popularity = np.array([worth * _grown(hybrid, happened.at_ms, days) for days in training.recency.popularity_days])
    parts.popularity[:, item] += popularity
    parts.since_ms[item] = min(int(parts.since_ms[item]), happened.at_ms)
    half_life = training.item_to_item.half_life_days
    before: dict[int, float] = {}
    for earlier in history[-_LAST_CHOICES:]:
        row = hybrid.items.row_of.get(earlier.item_id)
        if row is not None and row != item and (said := _worth(hybrid, earlier.kind)) > 0.0:
            before[row] = before.get(row, 0.0) + said * _grown(hybrid, earlier.at_ms, half_life)
    weights = -np.expm1(-np.array(list(before.values()), np.float64))
    weight = float(-np.expm1(-worth * _grown(hybrid, happened.at_ms, half_life)))
    observed = Observed(item, popularity, weight, np.array(list(before), np.int32), weights)
    parts.together.observe(item, weight, observed.others, weights)
    return observed


def take_back(hybrid: Hybrid, observed: Observed) -> None:
    """Take out of the sums what `observe` put into them, of the same recommender; companions that left meanwhile to
    make room do not come back.
    """
    popularity = hybrid.parts.popularity[:, observed.item]
    np.maximum(popularity - observed.popularity, 0.0, out=popularity)
    hybrid.parts.together.take_back(observed.item, observed.weight, observed.others, observed.weights)


def _worth(hybrid: Hybrid, kind: int) -> float:
    return float(getattr(hybrid.training.feedback, Kind(kind).name.lower())) if kind > 0 else 0.0


def _grown(hybrid: Hybrid, at_ms: int, half_life_days: float) -> float:
    return float(2.0 ** ((at_ms - hybrid.parts.fitted_at_ms) / (half_life_days * DAY_MS)))
