"""What may a stranger's native ad call, and where may it lead? Addresses of the web, and no scripts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exchange.creatives.outside_markup import refusal_of_markup
from exchange.refusals import Refusal
from exchange.request import Format

URL = "https://them.example/"


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({}, Refusal.WON),
        ({"imptrackers": None, "eventtrackers": None, "jstracker": None}, Refusal.WON),
        ({"imptrackers": [URL + "?p=${AUCTION_PRICE}&b=${AUCTION_BID_ID:B64}"]}, Refusal.WON),
        ({"eventtrackers": [{"event": 1, "method": 1, "url": URL}]}, Refusal.WON),
        ({"eventtrackers": [{"event": 1, "method": 2, "url": URL + "t.js"}]}, Refusal.CREATIVE_FILTERED),
        ({"jstracker": "<script></script>"}, Refusal.CREATIVE_FILTERED),
        ({"imptrackers": ["javascript:alert(1)"]}, Refusal.INVALID_BID),
        ({"eventtrackers": [{"event": 1, "method": 1, "url": "data:text/html,x"}]}, Refusal.INVALID_BID),
        ({"link": {"url": URL, "clicktrackers": ["javascript:alert(1)"]}}, Refusal.INVALID_BID),
        ({"link": {"url": URL, "fallback": "javascript:alert(1)"}}, Refusal.INVALID_BID),
        ({"link": {}}, Refusal.INVALID_BID),
        ({"assets": [{"id": 1, "title": {"text": "x"}, "link": {"url": "javascript:alert(1)"}}]}, Refusal.INVALID_BID),
        ({"assets": []}, Refusal.INVALID_BID),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_native_ad_leads_to_the_web_and_runs_no_script(
    wrapped: bool, changes: dict[str, Any], refusal: Refusal
) -> None:
    answer = {"link": {"url": URL}, "assets": [{"id": 1, "title": {"text": "x"}}], **changes}
    markup = json.dumps({"native": answer} if wrapped else answer)

    assert refusal_of_markup(Format.NATIVE, markup) == refusal
