"""Which posts may this visitor not be recommended, as moderation and their creators have it?"""

from __future__ import annotations

import numpy as np

from feed.index import Rows
from feed.view import View


def split(view: View, rows: Rows) -> tuple[Rows, Rows]:
    """(rows that stay, rows that go): clean posts stay, limited ones for those who follow their creator, no others.

    Example: a post that was appealed, withdrawn, or not checked yet is on no page at all.
    """
    shelf = view.shelf
    may = shelf.live[rows]
    if view.followed and not may.all():
        may = may | (shelf.limited[rows] & np.isin(shelf.creator[rows], list(view.followed)))
    return rows[may], rows[~may]
