"""Which posts are others engaged with lately?"""

from __future__ import annotations

import numpy as np

from feed.view import View

REASON = "popular at the moment"


def offer(view: View, limit: int) -> list[int]:
    """Rows by decayed engagement, the hottest first; rows that nobody engaged with are left out."""
    heat = view.shelf.heat(view.query.now_ms) * view.shelf.live
    hot = np.flatnonzero(heat)
    if len(hot) > limit:
        hot = hot[np.argpartition(-heat[hot], limit - 1)[:limit]]
    ordered: list[int] = hot[np.lexsort((hot, -heat[hot]))].tolist()
    return ordered
