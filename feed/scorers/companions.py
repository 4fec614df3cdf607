"""Do people who engage with what this session did engage with this post too?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feed.index import Rows
from feed.view import View


def score(view: View, rows: Rows) -> NDArray[np.float64]:
    """0 to 1: how often, as cosines summed over what the session engaged with, levelling off; shape (rows,)."""
    if not view.companions:
        return np.zeros(len(rows))
    return np.tanh([view.companions.get(row, 0.0) for row in rows.tolist()])


def reason(view: View, row: int) -> str | None:
    """Said of every companion."""
    return "people who liked what you liked look at this" if view.companions.get(row, 0.0) > 0 else None
