"""The list of outside bidders is read whole, and what cannot be taken is named with the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from app.outside_bidders import OutsideBidder, outside_bidders
from exchange.bidder_terms import BidderTerms, Pretargeting

ACME = {"name": "acme", "target": "127.0.0.1:6001"}


def test_a_table_says_all_of_it() -> None:
    (bidder,) = outside_bidders(
        [
            {
                "name": "acme", "target": "https://bid.acme.example/openrtb2", "currency": "USD", "timeout_ms": "25ms",
                "bid_cap_micros": 9_000_000, "page_views_per_s": 500, "most_in_flight": 8, "least_share": 0.2,
                "seats": ["s1", "s2"], "vendor_id": 13, "sync_url": "https://acme.example/sync?r={{.RedirectURL}}",
                "sync_frame": True,
                "pretargeting": {
                    "formats": ["banner", "native"], "sizes": ["300x250"], "countries": ["DE", "IN"],
                    "devices": ["phone"], "publishers": ["shop"], "categories": ["Shoes"], "needs_visitor": True,
                },
            }
        ]
    )  # fmt: skip

    assert bidder == OutsideBidder(
        name="acme", target="https://bid.acme.example/openrtb2", currency="USD", timeout_ms=25,
        terms=BidderTerms(
            pretargeting=Pretargeting(
                formats=frozenset({1, 4}), sizes=frozenset({(300, 250)}), countries=frozenset({"DE", "IN"}),
                devices=frozenset({1}), publishers=frozenset({"shop"}), categories=frozenset({"shoes"}),
                needs_visitor=True,
            ),
            bid_cap_micros=9_000_000, page_views_per_s=500, most_in_flight=8, least_share=0.2, seats=("s1", "s2"),
            vendor_id=13,
        ),
        sync_url="https://acme.example/sync?r={{.RedirectURL}}", sync_frame=True,
    )  # fmt: skip
    assert bidder.speaks_openrtb


def test_text_names_a_target_of_either_kind() -> None:
    found = outside_bidders("acme=127.0.0.1:6001,EUR,20ms; web=http://127.0.0.1:7000/bid,USD")

    assert [bidder.speaks_openrtb for bidder in found] == [False, True]
    assert [bidder.timeout_ms for bidder in found] == [20, 0]


@pytest.mark.parametrize(
    ("raw", "remedy"),
    [
        (5, "list of tables"),
        (["acme"], "name=TARGET"),
        ([{"name": "Acme", "target": "h:1"}], "a-z"),
        ([{"name": "acme", "target": "ftp://x"}], "target such as"),
        ([{"name": "acme", "target": "http://user@x/"}], "target such as"),
        ([{"name": "acme", "target": "http://[broken/"}], "target such as"),
        ([ACME, ACME], "name of its own"),
        ([{**ACME, "colour": "red"}], "it has no 'colour'"),
        ([{**ACME, "bid_cap_micros": -1}], "whole number"),
        ([{**ACME, "least_share": 0}], "number within"),
        ([{**ACME, "seats": [""]}], "1 to 128"),
        ([{**ACME, "sync_url": "javascript:alert(1)"}], "sync_url"),
        ([{**ACME, "sync_frame": "yes"}], "true or false"),
        ([{**ACME, "pretargeting": {"formats": ["poster"]}}], "formats as"),
        ([{**ACME, "pretargeting": {"sizes": ["300*250"]}}], "300x250"),
        ([{**ACME, "pretargeting": {"countries": ["Germany"]}}], "alpha-2"),
        ([{**ACME, "pretargeting": {"devices": ["fridge"]}}], "devices as"),
        ([{**ACME, "pretargeting": {"moods": ["good"]}}], "it has no 'moods'"),
        ([{"name": f"b{n}", "target": "h:1"} for n in range(65)], "at most 64"),
    ],
)
def test_what_cannot_be_taken_is_named_with_the_remedy(raw: Any, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        outside_bidders(raw)
