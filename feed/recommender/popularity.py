"""What do people choose lately? Choices by item, each halved with its half-life."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feed.recommender.feedback import decay
from feed.recommender.histories import Histories


def fit(
    histories: Histories, worth: NDArray[np.float64], items: int, now_ms: int, half_life_days: float
) -> NDArray[np.float64]:
    """The decayed worth of each item's events by now; a visitor's several of one item at one time count once."""
    values = worth * decay(now_ms - histories.at_ms, half_life_days)
    rows = histories.rows
    key = (rows * max(items, 1) + histories.items, histories.at_ms)
    order = np.lexsort((-values, key[1], key[0]))
    first = np.ones(len(order), np.bool_)
    first[1:] = (np.diff(key[0][order]) != 0) | (np.diff(key[1][order]) != 0)
    once = order[first]
    return np.bincount(histories.items[once], weights=values[once], minlength=items).astype(np.float64)


def since(histories: Histories, items: int) -> NDArray[np.int64]:
    """When each item was first met, in ms; the largest int64 where it never was."""
    first = np.full(items, np.iinfo(np.int64).max)
    np.minimum.at(first, histories.items, histories.at_ms)
    return first
