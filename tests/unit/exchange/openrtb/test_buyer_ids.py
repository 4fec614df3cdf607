"""Is each bidder told its own id of the visitor, and only where it may have it?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bidders.bidder_wire import opportunity
from common.clock import SteppedClock
from common.consent import Permission
from common.consent_signals import ConsentSignals
from exchange.bidding import OutsideBid
from exchange.openrtb.buyer_ids import Sharing, buyer_ids, withheld_from
from exchange.request import PageView
from exchange.user_ids import COOKIE, UserIds, cookie_value
from tests.openrtb_desk import KEY, Desk

ALL = 15
NOW_MS = SteppedClock().now_ms()
SIGNALS = (ConsentSignals(),)
# Three bidders know this browser; one of them is none of this exchange's.
IDS = UserIds().with_id("acme", "acme-7", NOW_MS).with_id("web", "web-7", NOW_MS).with_id("stranger", "s-7", NOW_MS)
TO_ALL = Sharing({"acme": 1, "web": 2}, lambda *_: True)


def found(
    cookie: UserIds = IDS, permissions: int = ALL, sharing: Sharing = TO_ALL, now_ms: int = NOW_MS, **user: Any
) -> dict[str, str]:
    withheld = withheld_from(SIGNALS, permissions, sharing)
    return dict(buyer_ids(user, cookie_value(cookie), permissions, sharing, withheld, now_ms))


def test_the_cookie_names_the_visitor_to_bidders_of_this_exchange() -> None:
    assert found() == {"acme": "acme-7", "web": "web-7"}


def test_without_the_permission_to_remember_and_to_share_nobody_is_told() -> None:
    assert found(permissions=ALL & ~int(Permission.SHARE)) == {}
    assert found(permissions=ALL & ~int(Permission.REMEMBER)) == {}


def test_each_bidder_needs_consent_of_its_own() -> None:
    def may_share_with(signals: ConsentSignals, vendor_id: int) -> bool:
        return vendor_id == 2

    assert found(sharing=Sharing({"acme": 1, "web": 2}, may_share_with)) == {"web": "web-7"}
    assert found(sharing=Sharing({"acme": 1, "web": 2})) == {}


def test_who_contradicts_itself_shares_what_both_words_allow() -> None:
    refusing = ConsentSignals(us_privacy="1YYN")

    def may_share_with(signals: ConsentSignals, vendor_id: int) -> bool:
        return signals is not refusing

    assert withheld_from((*SIGNALS, refusing), ALL, Sharing({"acme": 1}, may_share_with)) == ("acme",)
    assert withheld_from(SIGNALS, ALL, Sharing({"acme": 1}, may_share_with)) == ()


def test_an_id_that_has_ended_and_a_person_who_opted_out_are_nobodys() -> None:
    assert found(now_ms=NOW_MS + 15 * 86_400_000) == {}
    assert found(UserIds(IDS.ids, opted_out=True), ext={"prebid": {"buyeruids": {"web": "said"}}}) == {}


def test_what_the_page_says_goes_before_the_cookie() -> None:
    said = {"web": "said-7", "acme": "x" * 257, "stranger": "s", "broken": 7}

    assert found(ext={"prebid": {"buyeruids": said}}) == {"acme": "acme-7", "web": "said-7"}
    assert found(UserIds(), ext={"prebid": {"buyeruids": said}}) == {"web": "said-7"}
    assert found(UserIds(), ext={"prebid": {"buyeruids": ["web"]}}) == {}


class Listens:
    """A bidder that hears what page views say of the visitor."""

    name = "web"
    timeout_ms = 1_000

    def __init__(self) -> None:
        self.views: list[PageView] = []

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> list[OutsideBid]:
        self.views += views
        return []


async def test_a_bidder_that_consent_does_not_cover_hears_nothing_of_the_visitor() -> None:
    bidder = Listens()
    desk = Desk(
        outside=[bidder], consent=lambda _: ALL, sharing=Sharing({"web": 7, "acme": 8}, lambda _, vendor: vendor == 8)
    )
    user = {"id": "visitor", "ext": {"prebid": {"buyeruids": {"web": "web-7", "acme": "acme-7"}}}}

    await desk.post(
        {"id": "r", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}], "site": {"id": "s"}, "user": user}
    )

    (view,) = bidder.views
    assert (view.withheld_from, view.buyer_ids) == (("web",), (("acme", "acme-7"),))
    assert opportunity("x", view, "EUR", "EUR", bidder="web").visitor_id == ""
    assert opportunity("x", view, "EUR", "EUR", bidder="acme").visitor_id == "visitor"
    assert opportunity("x", view, "EUR", "EUR", bidder="acme").buyer_user_id == "acme-7"


async def test_a_browsers_cookie_reaches_the_bidder_by_its_own_id_and_nothing_else_does() -> None:
    bidder = Listens()
    desk = Desk(outside=[bidder], consent=lambda _: ALL, sharing=Sharing({"web": 0}, lambda *_: True))
    request = {
        "id": "r", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}], "site": {"id": "s"},
        "user": {
            "id": "visitor", "buyeruid": "ours-7", "eids": [{"source": "id.example", "uids": [{"id": "eid-7"}]}],
            "ext": {"prebid": {"buyeruids": {"stranger": "s-9"}}, "data": 1},
        },
    }  # fmt: skip

    await desk.post(request, {"x-api-key": KEY, "cookie": f"{COOKIE}={cookie_value(IDS)}"})

    (view,) = bidder.views
    assert (view.buyer_id("web"), view.buyer_id("acme")) == ("web-7", "")
    passed = json.loads(view.openrtb)["user"]
    assert passed == {
        "id": "visitor", "eids": [{"source": "id.example", "uids": [{"id": "eid-7"}]}], "ext": {"data": 1}
    }  # fmt: skip
    assert b"web-7" not in view.wire
