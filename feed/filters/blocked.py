"""Whose posts does the visitor not want, or who does not want to be seen by the visitor?"""

from __future__ import annotations

import numpy as np

from feed.index import Rows
from feed.view import View


def split(view: View, rows: Rows) -> tuple[Rows, Rows]:
    """(rows that stay, rows of creators whom the visitor blocked or who blocked the visitor)."""
    if not view.blocked:
        return rows, rows[:0]
    gone = np.isin(view.shelf.creator[rows], list(view.blocked))
    return rows[~gone], rows[gone]
