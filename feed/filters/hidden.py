"""Which posts has this session hidden, one by one or with their creator?"""

from __future__ import annotations

from feed.index import Rows
from feed.view import View


def split(view: View, rows: Rows) -> tuple[Rows, Rows]:
    """(rows that stay, hidden rows)."""
    gone = view.hidden[rows]
    return rows[~gone], rows[gone]
