"""How new is this post?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feed.index import Rows
from feed.view import View

HALF_LIFE_MS = 48 * 3_600_000
_NEW_BELOW_MS = 24 * 3_600_000


def score(view: View, rows: Rows) -> NDArray[np.float64]:
    """0 to 1, half after 48 hours; shape (rows,)."""
    age_ms = np.maximum(view.query.now_ms - view.shelf.published_at_ms[rows], 0)
    return np.exp2(-age_ms / HALF_LIFE_MS)


def reason(view: View, row: int) -> str | None:
    """Said of posts of the last day."""
    age_ms = view.query.now_ms - int(view.shelf.published_at_ms[row])
    return "published today" if age_ms < _NEW_BELOW_MS else None
