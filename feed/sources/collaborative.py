"""Which posts show what visitors with a history like this one's choose next?"""

from __future__ import annotations

from feed.matching import best_matching
from feed.view import View

REASON = "chosen by others who like what you like"


def offer(view: View, limit: int) -> list[int]:
    """Rows by the chance that the visitor chooses their products, best first.

    None while no recommender is trained, and none for a visitor without a history: what is popular has its own source.
    """
    return best_matching(view.wanted, view.shelf, limit, depth=limit)
