"""Which posts does the request itself leave out?"""

from __future__ import annotations

from feed.index import Rows
from feed.view import View


def split(view: View, rows: Rows) -> tuple[Rows, Rows]:
    """(rows that stay, rows of exclude_post_ids)."""
    gone = view.excluded[rows]
    return rows[~gone], rows[gone]
