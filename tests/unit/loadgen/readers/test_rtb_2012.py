"""Does a request of the 2012 log become the page view that it was?"""

from __future__ import annotations

import os
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from loadgen.readers import rtb_2012
from loadgen.readers.formats import open_reader
from loadgen.readers.rtb_2012 import device_type_of, page_view_of
from loadgen.views import BadLine
from protos.common_pb2 import (
    DEVICE_TYPE_DESKTOP,
    DEVICE_TYPE_PHONE,
    DEVICE_TYPE_TABLET,
    DEVICE_TYPE_UNSPECIFIED,
    DeviceType,
)


def a_request(**changes: Any) -> dict[str, Any]:
    request = {
        "exchange": "dblclk_adx",
        "id": "533e1750-35b6-4001-15e8-deffdb034771",
        "language": "en",
        "location": {"cityName": "Edmonton", "countryCode": "CA", "regionCode": "AB"},
        "restrictions": {
            "clickUrl": ["bestbuy.com", "herbalessences.com/es-gt/hair-care", "03.20.2007 testing campaign"],
            "sensitiveCategoryAttribute": [4, 31],
            "vertical": [10672],
        },
        "segments": {"adgear": None, "adxVerticals": [[47, Decimal("0.25")], [438, Decimal("0.75")]]},
        "spots": [{"formats": ["300x250", "336x280"], "id": "1", "position": "NONE", "reservePrice": 0}],
        "timestamp": Decimal("1326240000.064709"),
        "url": "http://cocotiers.curse.example/300x250.html",
        "userAgent": "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1)",
        "userIds": {"adx": "aa449ba84dc4a9d9", "xchg": "aa449ba84dc4a9d9"},
    }
    return {**request, **changes}


def test_a_request_keeps_its_meaning() -> None:
    view = page_view_of(a_request(), consent_share=1.0)

    (place,) = view.placements
    assert [(size.width, size.height) for size in place.sizes] == [(300, 250), (336, 280)]
    assert place.blocked_advertisers == ["bestbuy.com", "herbalessences.com"]
    assert place.blocked_categories == ["adx-sensitive-4", "adx-sensitive-31", "adx-10672"]
    assert view.page.categories == ["adx-438", "adx-47"]
    assert (view.device.country, view.device.type, view.device.language) == ("CA", DEVICE_TYPE_DESKTOP, "en")
    assert view.visitor.visitor_id == "aa449ba84dc4a9d9"
    assert view.viewed_at_ms == 1326240000064
    assert len(view.consent.granted) == 4
    assert view.currency == ""


def test_who_has_no_id_grants_nothing() -> None:
    view = page_view_of(a_request(userIds={}), consent_share=1.0)

    assert view.visitor.visitor_id == ""
    assert not view.consent.granted


def test_proxies_and_plain_verticals_are_read_as_they_are() -> None:
    view = page_view_of(a_request(location={"countryCode": "A1"}, segments={"adxVerticals": [5, 385]}))

    assert view.device.country == ""
    assert view.page.categories == ["adx-5", "adx-385"]


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        ("Mozilla/5.0 (iPad; CPU OS 5_0_1 like Mac OS X) Mobile/9A405", DEVICE_TYPE_TABLET),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 5_0_1) Mobile/9A405", DEVICE_TYPE_PHONE),
        ("Mozilla/5.0 (Linux; U; Android 2.3.3; en-us) Mobile Safari/533.1", DEVICE_TYPE_PHONE),
        ("Mozilla/5.0 (Linux; U; Android 3.2; GT-P7510) Safari/534.13", DEVICE_TYPE_TABLET),
        ("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.0; Tablet PC 2.0)", DEVICE_TYPE_DESKTOP),
        (None, DEVICE_TYPE_UNSPECIFIED),
    ],
)
def test_the_user_agent_tells_the_device(user_agent: str | None, device: DeviceType.ValueType) -> None:
    assert device_type_of(user_agent) == device


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": ""}, "id: missing"),
        ({"spots": []}, "spots: expected 1 to 32"),
        ({"spots": [{"id": "1", "formats": ["big"]}]}, r"spots\[0\].formats: .*expected sizes such as 300x250"),
        ({"spots": [{"id": "1", "formats": ["1x1"]}] * 2}, "spots: an id is given twice"),
        ({"timestamp": "yesterday"}, "timestamp: 'yesterday'"),
        ({"timestamp": Decimal("-1")}, "timestamp: '-1'"),
    ],
)
def test_what_cannot_be_taken_is_named(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadLine, match=reason):
        page_view_of(a_request(**changes))


@pytest.mark.skipif("HAAT_RTB_REQUESTS" not in os.environ, reason="set HAAT_RTB_REQUESTS to the 2012 request log")
def test_the_real_log_is_read_whole() -> None:
    path = Path(os.environ["HAAT_RTB_REQUESTS"])
    log = rtb_2012.read(path)

    views = [view.page_view for view in log]

    assert log.tally.refused == 0
    assert type(open_reader(path)) is type(log)
    assert len({view.request_id for view in views}) == len(views) >= 16_000
    assert Counter(view.device.country for view in views).most_common(1)[0][0] == "US"
    assert all(view.viewed_at_ms // 1000 in range(1326240000, 1326240060) for view in views)
    assert all(len(word) <= 64 for view in views for word in view.page.categories)
