"""Which posts come from creators that this session, or this visitor, follows?"""

from __future__ import annotations

from feed.view import View

REASON = "from a creator you follow"


def offer(view: View, limit: int) -> list[int]:
    """Rows of followed creators, the newest first: the only source that offers limited posts."""
    shelf = view.shelf
    rows: list[int] = []
    for creator in view.followed:
        rows += shelf.having(creator, limit)
        rows += shelf.limited_of(creator, limit)
    published = shelf.published_at_ms
    return sorted(rows, key=lambda row: (-published[row], row))[:limit]
