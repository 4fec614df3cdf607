from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfoNotFoundError

import pytest

from exchange.campaign_days import day_of


def ms(year: int, month: int, day: int, hour: int, minute: int = 0, second: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp() * 1000)


def test_a_day_begins_at_local_midnight() -> None:
    before = day_of(ms(2026, 3, 5, 18, 29, 59), "Asia/Kolkata")

    assert day_of(ms(2026, 3, 5, 18, 30), "Asia/Kolkata") == before + 1
    assert day_of(ms(2026, 3, 5, 18, 30), "UTC") == before


def test_the_day_of_the_clock_change_is_one_day() -> None:
    # 29 March 2026 has 23 hours in Zurich.
    first, last = ms(2026, 3, 28, 23), ms(2026, 3, 29, 21, 59)

    assert day_of(first, "Europe/Zurich") == day_of(last, "Europe/Zurich")
    assert day_of(last + 60_000, "Europe/Zurich") == day_of(last, "Europe/Zurich") + 1


def test_an_unknown_time_zone_is_an_error() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        day_of(0, "Mars/Olympus")
