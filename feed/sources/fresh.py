"""Which young posts has hardly anybody seen yet?

Each page keeps places for them, so that every post gets its chance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feed.index import Rows, Shelf
from feed.view import View

REASON = "new here"

YOUNG_MS = 72 * 3_600_000
FEW_IMPRESSIONS = 100
# The share of places that is kept for exploration: one in eight.
EXPLORED_SHARE = 1 / 8


def offer(view: View, limit: int) -> list[int]:
    """Rows that are young and little seen, the newest first."""
    newest = np.array(view.shelf.newest(2 * limit), np.int32)
    ordered: list[int] = newest[is_fresh(view.shelf, newest, view.query.now_ms)][:limit].tolist()
    return ordered


def is_fresh(shelf: Shelf, rows: Rows, now_ms: int) -> NDArray[np.bool_]:
    """Is each row younger than 72 hours, and was it seen fewer than 100 times?"""
    young = now_ms - shelf.published_at_ms[rows] < YOUNG_MS
    return np.asarray(young & (shelf.impressions[rows] < FEW_IMPRESSIONS))


def places(page_size: int, share: float, chance: float) -> int:
    """How many places of a page are kept for fresh posts; `chance` (0 to 1) decides about the last broken one."""
    whole = int(page_size * share)
    return whole + (chance < page_size * share - whole)
