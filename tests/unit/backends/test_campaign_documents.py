"""How do line items look in an index?"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from backends.campaign_documents import ALWAYS, ANY, NEVER_ENDS, hours_utc, line_item_document
from backends.line_item_finder_elasticsearch import hour_of_week_utc
from exchange.page_arrays import HoursOfWeek
from tests.builders import a_creative, a_line_item

DAY = 19_675  # 14 November 2023
ABOUT = {"tenant_id": "a", "name": "Café Winter", "state": 1, "running": True, "advertiser_name": "Brand"}


@pytest.mark.parametrize(
    "zone", ["UTC", "Asia/Kathmandu", "America/New_York", "Pacific/Auckland", "Australia/Lord_Howe"]
)
def test_every_local_hour_is_found_in_utc_all_the_year(zone: str) -> None:
    hours = HoursOfWeek((zone,))
    for day in range(DAY, DAY + 365, 13):
        for hour in range(0, 24, 5):
            at_ms = (day * 24 + hour) * 3_600_000 + 1_000_000
            (local,) = hours.at(at_ms)
            assert hour_of_week_utc(at_ms) in hours_utc((local,), zone, day)


def test_hours_are_of_summer_and_winter_and_no_more() -> None:
    assert hours_utc((), "Europe/Berlin", DAY) == [ALWAYS]
    assert hours_utc((0,), "UTC", DAY) == [0]
    # Monday 00:00 in Berlin is Sunday 22:00 or 23:00 in UTC.
    assert hours_utc((0,), "Europe/Berlin", DAY) == [166, 167]
    # Half an hour aside: the hour lies in two.
    assert hours_utc((6,), "Asia/Kolkata", DAY) == [0, 1]


def test_the_hour_of_the_week_is_that_of_the_calendar() -> None:
    for at in (datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 11, 30, 3, 59, tzinfo=ZoneInfo("UTC"))):
        assert hour_of_week_utc(int(at.timestamp() * 1000)) == at.weekday() * 24 + at.hour


def test_who_asks_for_nothing_is_found_by_everybody() -> None:
    record = a_line_item(
        7,
        targeting={"country": ("DE", "FR")},
        creatives=(
            a_creative(1, category="iab1-2", language="en-gb", attributes=(6,)),
            a_creative(2, format=2, width=300, height=250, landing_url="http://shop.example/"),
        ),
    )

    document = line_item_document(record, ABOUT, [5, 6], 9, DAY * 86_400_000)

    assert document["country"] == ["DE", "FR"]
    assert document["keyword"] == document["placement"] == [ANY]
    assert (document["ends_at_ms"], document["hours_utc"]) == (NEVER_ENDS, [ALWAYS])
    assert document["name_words"] == ["cafe", "winter"]
    assert (document["sequence"], document["seat"], document["formats"]) == (9, "advertiser-7", [1, 2])
    banner, listing = document["creatives"]
    assert (banner["shape"], banner["banner_width"], banner["worth_micros"]) == ("1:300:250", 300, 5)
    assert (banner["categories"], banner["languages"], banner["insecure"]) == (
        ["iab1-2", "iab1"],
        ["en-gb", "en"],
        False,
    )
    # A product listing has no size of its own.
    assert (listing["shape"], listing["banner_width"]) == ("2:0:0", 0)
    assert (listing["languages"], listing["insecure"]) == ([ANY], True)
