"""How new is this post?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feed.index import Rows
from feed.view import View

HALF_LIFE_MS = 48 * 3_600_000
_NEW_ABOVE = 0.7


def score(view: View, rows: Rows) -> NDArray[np.float64]:
    """0 to 1, half after 48 hours; shape (rows,)."""
    age_ms = np.maximum(view.query.now_ms - view.shelf.published_at_ms[rows], 0)
    return np.exp2(-age_ms / HALF_LIFE_MS)


def reason(view: View, row: int) -> str | None:
    """Said of posts of the last day."""
    return "published today" if score(view, np.array([row], np.int32))[0] > _NEW_ABOVE else None
