"""Which day is it where the campaign runs? Daily budgets are counted by these days."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo


def day_of(at_ms: int, time_zone: str) -> int:
    """The calendar day in `time_zone` as a number that grows by one each day; ZoneInfoNotFoundError is passed on."""
    # Offsets from UTC have been whole minutes since 1972.
    return _day_of_minute(at_ms // 60_000, time_zone)


@lru_cache(maxsize=4096)
def _day_of_minute(minute: int, time_zone: str) -> int:
    return datetime.fromtimestamp(minute * 60, ZoneInfo(time_zone)).toordinal()
