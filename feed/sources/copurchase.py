"""Which posts show what is bought together with the products that this session looks at?"""

from __future__ import annotations

from feed.index import Kind
from feed.matching import best_matching
from feed.view import View
from feed.visitor_history import touched

REASON = "goes with what you looked at"

# Of the newest products that were touched.
_MOST = 10


def offer(view: View, limit: int) -> list[int]:
    """Rows whose products complement the page's product and those of the session's posts, best first.

    The products themselves are not their own complements. None while no recommender is trained.
    """
    products = touched(view)[:_MOST]
    if view.recommender is None or not products:
        return []
    beside = view.recommender.alongside(products, limit)
    coded = ((view.shelf.code((Kind.PRODUCT, item_id)), score) for item_id, score in beside)
    return best_matching({code: score for code, score in coded if code >= 0}, view.shelf, limit, depth=limit)
