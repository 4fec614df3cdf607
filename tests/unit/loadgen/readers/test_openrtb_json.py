"""Does an OpenRTB bid request become the page view that it asks for, and is a bad one named?"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from loadgen.readers import openrtb_json
from loadgen.readers.lines import parse_object
from loadgen.views import BadLine
from protos.common_pb2 import (
    DEVICE_TYPE_TABLET,
    PURPOSE_PERSONALISED_ADS,
    PURPOSE_PERSONALISED_CONTENT,
    PURPOSE_REMEMBER,
)
from protos.exchange_pb2 import FORMAT_BANNER, FORMAT_PRODUCT_LISTING, FORMAT_VIDEO, PRICE_RULE_FIRST_PRICE, PageView

# Purposes 1 to 11, and purposes 2 and 7 alone; made with the IAB's encoder.
ALL_PURPOSES = "CQgcD4AQgcD4AAfAEBENB4FsAP_gAEPgABAgfQwBgADgAqgJYAloC8wGWA"
TWO_AND_SEVEN = "CQgcD4AQgcD4AAfAEBENB4FgAEIAAEIAAAIgfQwBgADgAqgJYAloC8wGWA"


def a_request(**changes: Any) -> dict[str, Any]:
    request = {
        "id": "80ce30c5",
        "imp": [{"id": "1", "banner": {"format": [{"w": 300, "h": 250}, {"w": 728, "h": 90}]}, "bidfloor": 0.0123451}],
        "site": {"page": "https://news.example/a", "cat": ["IAB2-1"], "keywords": "Shoes, red,"},
        "device": {"devicetype": 5, "geo": {"country": "DEU", "region": "BE"}, "language": "de"},
        "user": {"id": "u1", "data": [{"name": "age", "segment": [{"id": "25-34"}]}]},
        "at": 1,
        "tmax": 120,
        "bcat": ["IAB25"],
        "badv": ["rival.example"],
    }
    return {**request, **changes}


def read(request: dict[str, Any], currency: str = "") -> PageView:
    return openrtb_json.page_view_of(parse_object(json.dumps(request).encode()), currency=currency)


def test_a_bid_request_keeps_its_meaning() -> None:
    view = read(a_request())

    place = view.placements[0]
    assert view.request_id == "80ce30c5"
    assert place.formats == [FORMAT_BANNER]
    assert [(size.width, size.height) for size in place.sizes] == [(300, 250), (728, 90)]
    assert place.blocked_categories == ["IAB25"]
    assert place.blocked_advertisers == ["rival.example"]
    assert view.page.url == "https://news.example/a"
    assert view.page.categories == ["IAB2-1"]
    assert view.page.keywords == ["shoes", "red"]
    assert (view.device.type, view.device.country, view.device.language) == (DEVICE_TYPE_TABLET, "DE", "de")
    assert view.visitor.visitor_id == "u1"
    assert view.visitor.segments == ["age=25-34"]
    assert (view.price_rule, view.tmax_ms) == (PRICE_RULE_FIRST_PRICE, 120)


def test_a_floor_rounds_up_to_whole_micros_in_its_currency() -> None:
    view = read(a_request())

    assert view.placements[0].floor_micros == 12_346
    assert view.currency == "USD"
    assert read(a_request(), currency="EUR").currency == "EUR"


def test_video_and_native_become_placements_and_audio_alone_is_left_out() -> None:
    view = read(
        a_request(
            imp=[
                {"id": "v", "video": {"w": 640, "h": 360}},
                {"id": "n", "native": {"request": "{}"}},
                {"id": "a", "audio": {"mimes": ["audio/mp4"]}},
                {"id": "b", "banner": {"w": 160, "h": 600}, "native": {"request": "{}"}},
            ]
        )
    )

    assert [(place.placement_id, list(place.formats)) for place in view.placements] == [
        ("v", [FORMAT_VIDEO]),
        ("n", [FORMAT_PRODUCT_LISTING]),
        ("b", [FORMAT_BANNER, FORMAT_PRODUCT_LISTING]),
    ]
    assert view.currency == ""


@pytest.mark.parametrize(
    ("regs", "user", "granted"),
    [
        ({"gdpr": 1}, {"id": "u"}, []),
        ({"ext": {"gdpr": 1}}, {"id": "u", "ext": {"consent": "rubbish"}}, []),
        ({"gdpr": 1}, {"consent": TWO_AND_SEVEN}, []),
        (
            {"ext": {"gdpr": 1}},
            {"ext": {"consent": ALL_PURPOSES}},
            [PURPOSE_REMEMBER, PURPOSE_PERSONALISED_ADS, PURPOSE_PERSONALISED_CONTENT],
        ),
        ({"gdpr": 0}, {"id": "u"}, [1, 2, 3, 4]),
        ({}, {}, [1, 2, 3, 4]),
    ],
)
def test_under_gdpr_only_what_the_consent_string_grants(
    regs: dict[str, Any], user: dict[str, Any], granted: list[int]
) -> None:
    assert read(a_request(regs=regs, user=user)).consent.granted == granted


def test_children_and_opt_outs_travel_with_the_page_view() -> None:
    assert read(a_request(regs={"coppa": 1})).consent.child_directed
    assert read(a_request(regs={"ext": {"gpc": "1"}})).consent.global_privacy_control
    assert read(a_request(regs={"us_privacy": "1YYN"})).consent.global_privacy_control
    assert not read(a_request(regs={"ext": {"us_privacy": "1YNN", "gpc": 0}})).consent.global_privacy_control


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": None}, "id: missing"),
        ({"imp": []}, "imp: missing"),
        ({"imp": "one"}, "imp: missing"),
        ({"imp": [{"id": "1", "banner": {"w": 1}}] * 33}, "imp: 33 impressions"),
        ({"imp": [{"id": "1", "banner": {"w": 0, "h": 250}}]}, "imp: none offers"),
        ({"imp": [{"id": "1", "banner": {"w": 1, "h": 1}}] * 2}, r"imp\[1\].id: '1' is given twice"),
        ({"imp": [{"banner": {"w": 1, "h": 1}, "bidfloor": -1}]}, r"imp\[0\].bidfloor: '-1'"),
        ({"imp": [{"banner": {"w": 1, "h": 1}, "bidfloor": "1"}]}, r"imp\[0\].bidfloor: '1'"),
        ({"imp": [{"banner": {"w": 1, "h": 1}, "bidfloor": 1, "bidfloorcur": "euro"}]}, r"bidfloorcur: 'euro'"),
    ],
)
def test_what_cannot_be_taken_is_named(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadLine, match=reason):
        read(a_request(**changes))


def test_fields_of_other_types_than_openrtb_says_do_no_harm() -> None:
    strange = a_request(site=[1], device="x", user={"id": {"a": 1}, "data": [None, {"segment": 3}]}, regs=7, tmax="9")

    view = read(strange)

    assert (view.page.url, view.visitor.visitor_id, view.tmax_ms) == ("", "", 0)


def test_what_is_longer_than_the_exchange_takes_is_cut_or_left_out() -> None:
    site = {
        "page": "https://x.example/" + "a" * 5_000,
        "cat": ["c" * 65, "fine"],
        "keywords": ",".join(map(str, range(99))),
    }

    view = read(a_request(id="r" * 200, site=site, user={"id": "u" * 200}, device={"language": "\x00de\n"}))

    assert len(view.request_id) == 64
    assert len(view.page.url) == 2048
    assert view.page.categories == ["fine"]
    assert len(view.page.keywords) == 64
    assert len(view.visitor.visitor_id) == 16
    assert view.device.language == "de"


def test_bad_lines_are_counted_and_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    lines = [
        json.dumps(a_request()),
        "{broken",
        "",
        "[1]",
        '{"id": "x", "imp": []}',
        '{"a": NaN}',
        json.dumps(a_request()),
    ]
    path = tmp_path / "requests.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    log = openrtb_json.read(path)

    views = list(log)

    assert len(views) == 2
    assert (log.tally.views, log.tally.refused) == (2, 4)
    assert log.tally.reasons == {"no JSON": 2, "no JSON object": 1, "imp": 1}
    assert log.tally.lines[2].startswith("requests.jsonl.gz line 5: imp: missing")


def test_a_line_that_is_too_long_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_text('{"a": "' + "x" * (3 << 20) + '"}\n' + json.dumps(a_request()) + "\n")
    log = openrtb_json.read(path)

    views = list(log)

    assert len(views) == 1
    assert log.tally.lines == ["requests.jsonl line 1: line: longer than 1048576 bytes"]
