"""Which posts fit the page that the feed stands on?"""

from __future__ import annotations

from feed.matching import best_matching
from feed.view import View

REASON = "fits this page"


def offer(view: View, limit: int) -> list[int]:
    """Rows that match the page's product, categories and keywords, best first; uses nothing of the visitor."""
    return best_matching(view.context, view.shelf, limit, depth=limit)
