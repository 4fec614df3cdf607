"""How well does this post fit the page around the feed?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feed.index import Rows
from feed.matching import match, shown_term, strongest
from feed.view import View

_SCALE = 3.0


def score(view: View, rows: Rows) -> NDArray[np.float64]:
    """0 to 1; shape (rows,)."""
    return np.tanh(match(view.context, view.shelf, rows) / _SCALE)


def reason(view: View, row: int) -> str | None:
    """What of the page the post is about."""
    term = strongest(view.context, view.shelf, row)
    return f"this page is about {shown_term(term)}" if term else None
