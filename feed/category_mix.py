"""Which mix of categories does this visitor want on a page?"""

from __future__ import annotations

import numpy as np

from feed.index import Kind, Rows
from feed.matching import Weights
from feed.view import View

# What is on offer counts as so many clicks: a taste that one click showed does not take the whole page.
_OFFER_CLICKS = 4.0


def wanted(view: View, rows: Rows) -> Weights | None:
    """Category codes to shares that sum to 1: the visitor's taste, drawn towards the mix of `rows`.

    None while nothing is known of the visitor's taste in categories, or no row has a category.

    Example: two clicks on shoes and one on hats, over candidates half of bags: shoes and hats get more than they are
    of the candidates, and bags stay on the page.
    """
    term_of = view.shelf.term_of
    taste: Weights = {}
    for weights in (view.taste, view.affinities):
        for code, weight in weights.items():
            if weight > 0 and term_of[code][0] is Kind.CATEGORY:
                taste[code] = taste.get(code, 0.0) + weight
    if not taste:
        return None
    categories, counts = np.unique(view.shelf.category[rows], return_counts=True)
    offered = {code: count for code, count in zip(categories.tolist(), counts.tolist(), strict=True) if code >= 0}
    taste = {code: weight for code, weight in taste.items() if code in offered}
    if not taste:
        return None
    per_post = _OFFER_CLICKS / sum(offered.values())
    total = sum(taste.values()) + _OFFER_CLICKS
    return {code: (taste.get(code, 0.0) + per_post * count) / total for code, count in offered.items()}
