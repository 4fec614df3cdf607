from __future__ import annotations

from typing import Any

import msgspec
import pytest

from common.errors import FieldError
from common.money import ABSURD_BUDGET_MICROS, ABSURD_PRICE_MICROS
from exchange.campaign_checks import checked_advertiser, checked_campaign, checked_line_item
from exchange.campaign_values import (
    Advertiser,
    Budget,
    Campaign,
    Cap,
    Creative,
    FrequencyCap,
    LineItem,
    Schedule,
    State,
    Strategy,
    Targeting,
)
from exchange.creative_checks import checked_creative
from exchange.ports import MediaFile
from tests.campaign_stores import ADVERTISER, CAMPAIGN, CREATIVE, LINE_ITEM

replace = msgspec.structs.replace
A_CAMPAIGN = replace(CAMPAIGN, advertiser_id="a")
A_CREATIVE = replace(CREATIVE, advertiser_id="a")
A_LINE_ITEM = replace(LINE_ITEM, campaign_id="c", creative_ids=("x",))


def fields(errors: list[FieldError]) -> list[str]:
    return [error.field for error in errors]


def complaints(draft: Advertiser | Campaign | Creative | LineItem) -> list[str]:
    errors: list[FieldError] = []
    match draft:
        case Advertiser():
            checked_advertiser(draft, errors)
        case Campaign():
            checked_campaign(draft, "EUR", errors)
        case Creative():
            checked_creative(draft, errors)
        case LineItem():
            checked_line_item(draft, errors)
    return fields(errors)


def test_the_remedy_names_every_strategy() -> None:
    errors: list[FieldError] = []
    checked_line_item(replace(A_LINE_ITEM, strategy=9), errors)

    words = errors[0].remedy.replace("-", " ")
    assert all(strategy.name.lower().replace("_", " ") in words for strategy in Strategy)


@pytest.mark.parametrize("draft", [ADVERTISER, A_CAMPAIGN, A_CREATIVE, A_LINE_ITEM])
def test_a_valid_draft_has_no_complaints(draft: Advertiser | Campaign | Creative | LineItem) -> None:
    assert complaints(draft) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"domain": ""}, "domain"),
        ({"domain": "chairs"}, "domain"),
        ({"domain": "https://chairs.example"}, "domain"),
        ({"domain": "-a.example"}, "domain"),
        ({"domain": "a..example"}, "domain"),
        ({"domain": "a." * 130 + "example"}, "domain"),
    ],
)
def test_a_bad_advertiser_names_the_field(changes: dict[str, Any], field: str) -> None:
    assert complaints(replace(ADVERTISER, **changes)) == [f"advertiser.{field}"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"advertiser_id": ""}, "advertiser_id"),
        ({"name": ""}, "name"),
        ({"currency": "USD"}, "currency"),
        ({"currency": "eur"}, "currency"),
        ({"currency": ""}, "currency"),
        ({"budget": Budget()}, "budget"),
        ({"budget": Budget(-1, 0)}, "budget.total_micros"),
        ({"budget": Budget(5, -1)}, "budget.daily_micros"),
        ({"budget": Budget(ABSURD_BUDGET_MICROS + 1, 0)}, "budget.total_micros"),
        ({"budget": Budget(5, 6)}, "budget.daily_micros"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"time_zone": "Europe"}, "time_zone"),
        ({"state": 3}, "state"),
        ({"state": -1}, "state"),
    ],
)
def test_a_bad_campaign_names_the_field(changes: dict[str, Any], field: str) -> None:
    assert complaints(replace(A_CAMPAIGN, **changes)) == [f"campaign.{field}"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"advertiser_id": ""}, ["advertiser_id"]),
        ({"format": 0, "width": 0}, ["format"]),
        ({"format": 9}, ["format"]),
        ({"width": 0, "height": 0}, ["width", "height"]),
        ({"height": 10_001}, ["height"]),
        ({"format": 2}, ["width", "height"]),
        ({"format": 3}, ["duration_s", "video_url"]),
        ({"format": 3, "duration_s": 15, "video_url": "file:///etc/passwd"}, ["video_url"]),
        ({"landing_url": ""}, ["landing_url"]),
        ({"landing_url": "javascript:alert(1)"}, ["landing_url"]),
        ({"landing_url": "//chairs.example/7"}, ["landing_url"]),
        ({"landing_url": "https://"}, ["landing_url"]),
        ({"landing_url": "https:///path"}, ["landing_url"]),
        ({"landing_url": "https://user:pw@chairs.example/"}, ["landing_url"]),
        ({"landing_url": "https://user@chairs.example/"}, ["landing_url"]),
        ({"landing_url": "https://chairs.example/a b"}, ["landing_url"]),
        ({"landing_url": "https://chairs.example/\n"}, []),
        ({"landing_url": "https://chairs.example/7?click=${CLICK_ID}"}, []),
        ({"landing_url": "https://chairs.example?click=${CLICK_ID}"}, []),
        ({"landing_url": "https://${CLICK_ID}.example/"}, ["landing_url"]),
        ({"landing_url": "https://chairs.example/${AUCTION_ID}"}, ["landing_url"]),
        ({"landing_url": "${CLICK_ID}"}, ["landing_url"]),
        ({"landing_url": "https://chairs.example/\nx"}, ["landing_url"]),
        ({"landing_url": "https://chairs.example\\@evil.example/"}, ["landing_url"]),
        ({"landing_url": "https://[::1"}, ["landing_url"]),
        ({"landing_url": "https://chairs.example:99999/"}, ["landing_url"]),
        ({"landing_url": "https://chairs.example/" + "a" * 2048}, ["landing_url"]),
        ({"landing_url": 'https://chairs.example/"onload='}, ["landing_url"]),
        ({"image_url": "data:image/png;base64,AAAA"}, ["image_url"]),
        ({"image_url": ""}, []),
        ({"title": "a\x07"}, ["title"]),
        ({"title": "x" * 201}, ["title"]),
        ({"duration_s": 3601}, ["duration_s"]),
        ({"product_id": "p" * 101}, ["product_id"]),
        ({"category": "c" * 101}, ["category"]),
    ],
)
def test_a_bad_creative_names_the_field(changes: dict[str, Any], named: list[str]) -> None:
    assert complaints(replace(A_CREATIVE, **changes)) == [f"creative.{field}" for field in named]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"campaign_id": ""}, "campaign_id"),
        ({"name": ""}, "name"),
        ({"strategy": 0}, "strategy"),
        ({"strategy": 5}, "strategy"),
        ({"strategy": 2}, "targeting.keywords"),
        ({"strategy": 3}, "targeting.seen_products"),
        ({"strategy": 4}, "targeting.near_products"),
        ({"pricing_model": 0}, "pricing_model"),
        ({"bid_micros": 0}, "bid_micros"),
        ({"bid_micros": -5}, "bid_micros"),
        ({"bid_micros": ABSURD_PRICE_MICROS + 1}, "bid_micros"),
        ({"budget": Budget(-1)}, "budget.total_micros"),
        ({"targeting": Targeting(countries=("BGD",))}, "targeting.countries[0]"),
        ({"targeting": Targeting(countries=("BD", "1"))}, "targeting.countries[1]"),
        ({"targeting": Targeting(devices=(0,))}, "targeting.devices[0]"),
        ({"targeting": Targeting(devices=(1,) * 201)}, "targeting.devices"),
        ({"targeting": Targeting(keywords=("",))}, "targeting.keywords[0]"),
        ({"targeting": Targeting(keywords=("a\tb",))}, "targeting.keywords[0]"),
        ({"targeting": Targeting(keywords=("a",) * 201)}, "targeting.keywords"),
        ({"targeting": Targeting(segments=("loyal",))}, "targeting.segments[0]"),
        ({"targeting": Targeting(languages=("x" * 9,))}, "targeting.languages[0]"),
        ({"targeting": Targeting(placement_ids=("p" * 201,))}, "targeting.placement_ids[0]"),
        ({"frequency_cap": FrequencyCap(3, 0)}, "frequency_cap.window_s"),
        ({"frequency_cap": FrequencyCap(0, 60)}, "frequency_cap.impressions"),
        ({"frequency_cap": FrequencyCap(65, 60)}, "frequency_cap.impressions"),
        ({"schedule": Schedule(-1)}, "schedule.starts_at_ms"),
        ({"schedule": Schedule(1 << 60)}, "schedule.starts_at_ms"),
        ({"schedule": Schedule(10, 10)}, "schedule.ends_at_ms"),
        ({"schedule": Schedule(hours_of_week=(168,))}, "schedule.hours_of_week[0]"),
        ({"schedule": Schedule(hours_of_week=(1,) * 169)}, "schedule.hours_of_week"),
        ({"creative_ids": ()}, "creative_ids"),
        ({"creative_ids": tuple(map(str, range(21)))}, "creative_ids"),
        ({"creative_ids": ("x", "x")}, "creative_ids"),
        ({"state": 7}, "state"),
        ({"deals_only": True}, "deals_only"),
        ({"deal_ids": ("",)}, "deal_ids[0]"),
        ({"deal_ids": ("x" * 65,)}, "deal_ids[0]"),
        ({"deal_ids": tuple(map(str, range(33)))}, "deal_ids"),
        ({"seat": "x" * 65}, "seat"),
        ({"caps": (Cap(0, 1, 60),)}, "caps[0].scope"),
        ({"caps": (Cap(1, 1, 60), Cap(5, 1, 60))}, "caps[1].scope"),
        ({"caps": (Cap(1, 0, 60),)}, "caps[0].impressions"),
        ({"caps": (Cap(1, 65, 60),)}, "caps[0].impressions"),
        ({"caps": (Cap(1, 1, 0),)}, "caps[0].window_s"),
        ({"caps": (Cap(1, 1, 60),) * 9}, "caps"),
    ],
)
def test_a_bad_line_item_names_the_field(changes: dict[str, Any], field: str) -> None:
    assert complaints(replace(A_LINE_ITEM, **changes)) == [f"line_item.{field}"]


def test_every_field_is_named_at_once() -> None:
    draft = replace(
        A_LINE_ITEM, name="", strategy=9, pricing_model=9, bid_micros=0, creative_ids=(), schedule=Schedule(5, 1)
    )

    assert complaints(draft) == [
        "line_item.name",
        "line_item.strategy",
        "line_item.pricing_model",
        "line_item.bid_micros",
        "line_item.schedule.ends_at_ms",
        "line_item.creative_ids",
    ]


def test_words_are_put_into_one_form() -> None:
    errors: list[FieldError] = []
    targeting = Targeting(
        countries=("bd",),
        categories=("Home Decor",),
        keywords=("Chair ", "chair"),
        segments=("Tier=Gold",),
        languages=("en-GB",),
    )
    checked = checked_line_item(
        replace(A_LINE_ITEM, targeting=targeting, schedule=Schedule(hours_of_week=(9, 8, 9)), state=0), errors
    )

    assert errors == []
    assert checked.targeting == Targeting(
        countries=("BD",),
        categories=("home decor",),
        keywords=("chair",),
        segments=("Tier=Gold",),
        languages=("en-gb",),
    )
    assert checked.schedule.hours_of_week == (8, 9)
    assert checked.state == State.ACTIVE


def test_a_campaign_without_a_time_zone_counts_its_days_in_utc() -> None:
    assert checked_campaign(replace(A_CAMPAIGN, time_zone=""), "EUR", []).time_zone == "UTC"


A_VIDEO = replace(A_CREATIVE, format=3, duration_s=15, video_url="https://chairs.example/7.mp4")
A_FILE = MediaFile("https://chairs.example/s.mp4", "video/mp4", 320, 180, 800)


@pytest.mark.parametrize(
    ("draft", "named"),
    [
        (A_VIDEO, []),
        (replace(A_VIDEO, mime="Video/WebM", protocol=7, skippable=True, media_files=(A_FILE,)), []),
        (replace(A_VIDEO, duration_s=0), ["duration_s"]),
        (replace(A_VIDEO, duration_s=3_601), ["duration_s"]),
        (replace(A_VIDEO, mime="text/html"), ["mime"]),
        (replace(A_VIDEO, protocol=2), ["protocol"]),
        (replace(A_VIDEO, media_files=(A_FILE,) * 11), ["media_files"]),
        (
            replace(A_VIDEO, media_files=(MediaFile("ftp://x.example/a", "", 0, -1, 10**9),)),
            [f"media_files[0].{name}" for name in ("width", "height", "bitrate_kbps", "url", "mime")],
        ),
        (replace(A_CREATIVE, mime="video/mp4", protocol=13, skippable=True), ["mime", "protocol", "skippable"]),
        (replace(A_CREATIVE, media_files=(A_FILE,)), ["media_files"]),
        (replace(A_CREATIVE, attributes=(0, 19, 499, 1_000)), [f"attributes[{at}]" for at in range(4)]),
        (replace(A_CREATIVE, attributes=(1,) * 33), ["attributes"]),
        (replace(A_CREATIVE, attributes=(18, 1, 500)), []),
        (replace(A_CREATIVE, language="en_GB"), ["language"]),
        (replace(A_CREATIVE, app_bundle="com.chairs shop"), ["app_bundle"]),
        (replace(A_CREATIVE, body="x" * 501), ["body"]),
        (replace(A_CREATIVE, call_to_action="x" * 41), ["call_to_action"]),
        (replace(A_CREATIVE, icon_url="javascript:alert(1)"), ["icon_url"]),
        (replace(A_CREATIVE, format=4, width=0, height=0), []),
        (replace(A_CREATIVE, format=4, width=600, height=0), ["height"]),
        (replace(A_CREATIVE, format=4, title=" "), ["title"]),
        (replace(A_VIDEO, format=4), []),
        (replace(A_VIDEO, format=4, width=0, height=0, duration_s=0), ["width", "height", "duration_s"]),
        (replace(A_VIDEO, format=4, video_url="", skippable=True), ["skippable"]),
    ],
)
def test_what_a_creative_cannot_be_is_named(draft: Creative, named: list[str]) -> None:
    assert complaints(draft) == [f"creative.{name}" for name in named]


def test_a_video_says_in_its_attributes_whether_it_can_be_skipped() -> None:
    errors: list[FieldError] = []

    assert checked_creative(replace(A_VIDEO, skippable=True, attributes=(6,)), errors).attributes == (6, 16)
    assert checked_creative(replace(A_VIDEO, attributes=(6, 16)), errors).attributes == (6,)
    assert errors == []
