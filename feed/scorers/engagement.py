"""How engaging is this post to people, as far as it is known?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feed.index import Rows, Shelf
from feed.view import View

# A post that nobody saw is taken for an average one: so many views with so much engagement, in clicks.
PRIOR_IMPRESSIONS = 50.0
PRIOR_VALUE = 2.5
# Engagement per view at which the score is one half.
_HALF_AT = 0.1


def score(view: View, rows: Rows) -> NDArray[np.float64]:
    """0 to 1: smoothed engagement per view, levelling off; shape (rows,)."""
    rate = _rate(view.shelf, rows)
    return np.asarray(rate / (rate + _HALF_AT))


def reason(view: View, row: int) -> str | None:
    """Said of posts that do better than an average one."""
    shelf = view.shelf
    rate = (shelf.value[row] + PRIOR_VALUE) / (shelf.impressions[row] + PRIOR_IMPRESSIONS)
    return "many people engage with it" if rate > PRIOR_VALUE / PRIOR_IMPRESSIONS else None


def _rate(shelf: Shelf, rows: Rows) -> NDArray[np.float64]:
    value = np.maximum(shelf.value[rows] + PRIOR_VALUE, 0.0)
    return np.asarray(value / (shelf.impressions[rows] + PRIOR_IMPRESSIONS))
