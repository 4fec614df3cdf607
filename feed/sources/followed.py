"""Which posts come from creators that this session follows?"""

from __future__ import annotations

from feed.index import Kind
from feed.view import View

REASON = "from a creator you follow"


def offer(view: View, limit: int) -> list[int]:
    """Rows of followed creators, the newest first."""
    shelf = view.shelf
    rows: list[int] = []
    for creator_id in view.session.followed:
        rows += shelf.having(shelf.code((Kind.CREATOR, creator_id)), limit)
    published = shelf.published_at_ms
    return sorted(rows, key=lambda row: (-published[row], row))[:limit]
