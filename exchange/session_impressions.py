"""What has this session been shown? Impressions of running visits, in memory alone, for caps that count by session.

Nothing of it is written anywhere: a session's impressions are forgotten an hour after its last one, with the process,
or when too many sessions are open.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from exchange.request import PageView

IMPRESSIONS_AT_MOST = 64
SESSION_MS = 3_600_000


class Seen(msgspec.Struct, gc=False):
    """The newest impressions of one session, in parallel lists."""

    line_items: list[int]
    creatives: list[int]
    at_ms: list[int]


def session_key(view: PageView) -> str:
    """The session of one publisher: two publishers may call different sessions by one name. Empty without a session."""
    return f"{view.publisher_id} {view.session_id}" if view.session_id else ""


class SessionImpressions:
    """Impressions by session; the session that was quiet for the longest leaves when `limit` is reached."""

    def __init__(self, *, limit: int = 100_000) -> None:
        self._limit = limit
        self._sessions: OrderedDict[str, Seen] = OrderedDict()

    def __len__(self) -> int:
        """How many sessions are remembered."""
        return len(self._sessions)

    def of(self, key: str) -> Seen | None:
        """What the session was shown; None when nothing is remembered."""
        return self._sessions.get(key)

    def remember(self, key: str, line_item_number: int, creative_number: int, at_ms: int) -> None:
        """Count one impression."""
        seen = self._sessions.get(key)
        if seen is None:
            seen = self._sessions[key] = Seen([], [], [])
        self._sessions.move_to_end(key)
        for numbers, number in (
            (seen.line_items, line_item_number),
            (seen.creatives, creative_number),
            (seen.at_ms, at_ms),
        ):
            numbers.append(number)
            del numbers[:-IMPRESSIONS_AT_MOST]
        self._forget(at_ms)

    def _forget(self, now_ms: int) -> None:
        sessions = self._sessions
        while sessions:
            oldest = next(iter(sessions))
            if len(sessions) <= self._limit and now_ms - sessions[oldest].at_ms[-1] < SESSION_MS:
                return
            del sessions[oldest]
