"""How well does this post fit what the session has shown to like, and to dislike?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feed.index import Rows
from feed.matching import match, shown_term, strongest
from feed.view import View

# The matched weight, in clicks, at which the score is about three quarters.
_SCALE = 4.0


def score(view: View, rows: Rows) -> NDArray[np.float64]:
    """-1 to 1, below 0 for what resembles hidden posts; shape (rows,)."""
    return np.tanh(match(view.taste, view.shelf, rows) / _SCALE)


def reason(view: View, row: int) -> str | None:
    """The term of the post that the session likes best."""
    term = strongest(view.taste, view.shelf, row)
    return f"you looked at {shown_term(term)}" if term else None
