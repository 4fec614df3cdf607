"""How well does this post fit what is known of the visitor, where consent covers it?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feed.index import Rows
from feed.matching import match, shown_term, strongest
from feed.view import View

# Affinities are past clicks: three of them and the score is about three quarters.
_SCALE = 3.0


def score(view: View, rows: Rows) -> NDArray[np.float64]:
    """-1 to 1; 0 without affinities; shape (rows,)."""
    return np.tanh(match(view.affinities, view.shelf, rows) / _SCALE)


def reason(view: View, row: int) -> str | None:
    """The product, brand or category that the visitor likes best."""
    term = strongest(view.affinities, view.shelf, row)
    return f"you liked {shown_term(term)} before" if term else None
