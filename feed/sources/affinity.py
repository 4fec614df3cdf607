"""Which posts show products that this visitor is known to like, or others of their brand and category?"""

from __future__ import annotations

from feed.matching import best_matching
from feed.view import View

REASON = "shows products like those you chose before"


def offer(view: View, limit: int) -> list[int]:
    """Rows that match the visitor's affinities, best first; none without consent, for then there are no affinities."""
    return best_matching(view.affinities, view.shelf, limit, depth=limit)
