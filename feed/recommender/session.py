"""What goes with what this visitor did last? Nearness is counted in the visitor's own steps, not in days."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feed.recommender.histories import Histories


def nearness(histories: Histories, half_life_baskets: float) -> NDArray[np.float64]:
    """1 for the events of a visitor's newest basket, a half for those `half_life_baskets` before; shape (events,).

    A visitor who comes once a year is as near to the last basket as one who comes every day.
    """
    if not len(histories.items):
        return np.zeros(0)
    rows = histories.rows
    new = np.ones(len(rows), np.bool_)
    new[1:] = (np.diff(rows) != 0) | (np.diff(histories.at_ms) != 0)
    number = np.cumsum(new)
    has_any = histories.lengths > 0
    newest = np.zeros(len(histories), np.int64)
    newest[has_any] = number[histories.starts[1:][has_any] - 1]
    return np.asarray(np.exp2(-(newest[rows] - number) / half_life_baskets))
