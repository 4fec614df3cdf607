"""Which posts do others engage with who engaged with what this session did?"""

from __future__ import annotations

from feed.view import View

REASON = "people who liked what you liked look at this"


def offer(view: View, limit: int) -> list[int]:
    """Companions of what the session engaged with, the best first; none without consent to personalise."""
    found = view.companions
    return sorted(found, key=lambda row: (-found[row], row))[:limit]
