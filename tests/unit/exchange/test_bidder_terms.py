"""A bidder is asked only about what it could bid on."""

from __future__ import annotations

from typing import Any

import pytest

from common.consent import Permission
from exchange.bidder_terms import BidderTerms, Pretargeting, could_bid, seats_for
from exchange.request import Deal, Format
from tests.builders import BANNER, LISTING, a_page_view, a_placement

SHARE = int(Permission.SHARE)


@pytest.mark.parametrize(
    ("terms", "changes", "expected"),
    [
        ({}, {}, True),
        ({"countries": {"DE"}}, {}, True),
        ({"countries": {"IN"}}, {}, False),
        ({"devices": {3}}, {}, False),
        ({"publishers": {"p"}}, {"publisher_id": "p"}, True),
        ({"publishers": {"p"}}, {"publisher_id": "q"}, False),
        ({"categories": {"shoes"}}, {"categories": ("hats", "shoes")}, True),
        ({"categories": {"shoes"}}, {"categories": ("hats",)}, False),
        ({"formats": {int(Format.VIDEO)}}, {}, False),
        ({"formats": {int(Format.BANNER)}}, {}, True),
        ({"sizes": {(728, 90)}}, {}, False),
        ({"sizes": {(300, 250)}}, {}, True),
        # A product listing has no size to be wrong.
        ({"sizes": {(728, 90)}}, {"placements": (a_placement(shapes=(LISTING,)),)}, True),
        ({"needs_visitor": True}, {}, True),
        ({"needs_visitor": True}, {"visitor_id": ""}, False),
        ({"needs_visitor": True}, {"permissions": int(Permission.REMEMBER)}, False),
    ],
)
def test_pretargeting_keeps_out_what_it_cannot_bid_on(
    terms: dict[str, Any], changes: dict[str, Any], expected: bool
) -> None:
    wants: Any = {name: frozenset(value) if isinstance(value, set) else value for name, value in terms.items()}

    assert could_bid(BidderTerms(Pretargeting(**wants)), a_page_view(**changes), SHARE) is expected


def test_floors_above_its_cap_are_not_sent_unless_a_deal_is_below() -> None:
    terms = BidderTerms(bid_cap_micros=1_000_000)
    dear = a_placement(floor_micros=2_000_000, shapes=(BANNER,))
    deal = a_placement(floor_micros=2_000_000, deals=(Deal("deal-1", 900_000),))

    assert not could_bid(terms, a_page_view(placements=(dear,)), SHARE)
    assert could_bid(terms, a_page_view(placements=(dear, a_placement())), SHARE)
    assert could_bid(terms, a_page_view(placements=(deal,)), SHARE)


def test_a_bidder_buys_for_those_of_its_seats_that_the_publisher_lets() -> None:
    assert seats_for(("a", "b"), a_page_view()) == ("a", "b")
    assert seats_for(("a", "b"), a_page_view(allowed_seats=("c", "b"))) == ("b",)
    assert seats_for(("a", "b"), a_page_view(blocked_seats=("b",))) == ("a",)
    assert seats_for(("a", "b"), a_page_view(allowed_seats=("a",), blocked_seats=("a",))) == ()


def test_blocked_seats_are_not_asked() -> None:
    terms = BidderTerms(seats=("a", "b"))

    assert could_bid(terms, a_page_view(allowed_seats=("b",)), SHARE)
    assert not could_bid(terms, a_page_view(allowed_seats=("c",)), SHARE)
    assert could_bid(terms, a_page_view(blocked_seats=("a",)), SHARE)
    assert not could_bid(terms, a_page_view(blocked_seats=("a", "b")), SHARE)
