"""How far do this creator's posts reach? A multiplier over what the other scorers found, by reputation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feed.index import Rows
from feed.view import View

LEAST, MOST = 0.0, 2.0


def change(view: View, rows: Rows, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """What reputation adds to each row's score, below 0 where it takes away; shape (rows,).

    A score above 0 is multiplied; one below 0 is divided, so that a poor reputation never lifts a post.
    """
    if not view.reach:
        return np.zeros(len(rows))
    creators = view.shelf.creator[rows].tolist()
    reach = np.clip([view.reach.get(creator, 1.0) for creator in creators], LEAST, MOST)
    return np.where(scores > 0, scores * (reach - 1.0), scores * (1.0 - reach))


def reason(view: View, row: int) -> str | None:
    """Said where a good name lifts the post."""
    return "its creator is well thought of" if view.reach.get(int(view.shelf.creator[row]), 1.0) > 1.0 else None
