"""Which posts has their creator withdrawn?"""

from __future__ import annotations

from feed.index import Rows
from feed.view import View


def split(view: View, rows: Rows) -> tuple[Rows, Rows]:
    """(rows that stay, withdrawn rows)."""
    live = view.shelf.live[rows]
    return rows[live], rows[~live]
