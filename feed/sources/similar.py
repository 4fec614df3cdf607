"""Which posts share products, categories, hashtags or creators with what this session liked, saved or clicked?"""

from __future__ import annotations

from feed.matching import best_matching
from feed.view import View

REASON = "like what you looked at just now"


def offer(view: View, limit: int) -> list[int]:
    """Rows that match the session's taste, best first."""
    return best_matching(view.taste, view.shelf, limit, depth=limit)
