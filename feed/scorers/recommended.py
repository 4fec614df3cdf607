"""How likely is it that the visitor chooses what this post shows, as the recommender has it?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feed.index import Kind, Rows
from feed.matching import match, shown_term, strongest
from feed.view import View


def score(view: View, rows: Rows) -> NDArray[np.float64]:
    """0 to 1; 0 while no recommender is trained, and for a visitor without a history; shape (rows,)."""
    return np.minimum(match(view.wanted, view.shelf, rows), 1.0)


def reason(view: View, row: int) -> str | None:
    """The product of the page or of the session that led there."""
    term = strongest(view.taste, view.shelf, row)
    return f"others who like {shown_term(term)} chose this" if term and term[0] is Kind.PRODUCT else None
