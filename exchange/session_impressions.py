"""What has this session been shown? Impressions of running visits, for caps that count by session.

A session's impressions are forgotten an hour after its last one. In a process by itself they are in memory alone, and
are forgotten with it, or when too many sessions are open; nodes share them through Redis where they have one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

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


class SessionMemory(Protocol):
    """Impressions by session, each the newest 64. It may forget at will, and never makes anybody wait for long."""

    @property
    def empty(self) -> bool:
        """Is surely nothing remembered of anybody?"""

    def read(self, keys: Sequence[str]) -> list[Seen | None]:
        """What these sessions were shown, in their order; None where nothing is remembered. Made while page views wait:
        one call for a batch.
        """

    def remember(self, key: str, line_item_number: int, creative_number: int, at_ms: int) -> None:
        """Count one impression; whoever shares them may know it a moment later."""

    def flush(self) -> None:
        """Return when whoever shares them knows all that is remembered so far, or after some seconds."""

    def close(self) -> None:
        """Let go of it."""


class SessionImpressions:
    """SessionMemory of one process; the session that was quiet for the longest leaves when `limit` is reached."""

    def __init__(self, *, limit: int = 100_000) -> None:
        self._limit = limit
        self._sessions: OrderedDict[str, Seen] = OrderedDict()

    def __len__(self) -> int:
        """How many sessions are remembered."""
        return len(self._sessions)

    @property
    def empty(self) -> bool:
        """See SessionMemory."""
        return not self._sessions

    def read(self, keys: Sequence[str]) -> list[Seen | None]:
        """See SessionMemory."""
        return [self._sessions.get(key) for key in keys]

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

    def flush(self) -> None:
        """See SessionMemory: nobody shares it."""

    def close(self) -> None:
        """See SessionMemory."""
        self._sessions.clear()

    def _forget(self, now_ms: int) -> None:
        sessions = self._sessions
        while sessions:
            oldest = next(iter(sessions))
            if len(sessions) <= self._limit and now_ms - sessions[oldest].at_ms[-1] < SESSION_MS:
                return
            del sessions[oldest]
