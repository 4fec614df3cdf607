"""What does a visitor see without a basis for basic ads? Ads of the house, chosen by the page; nothing is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from common.consent import Permission
from common.consent_policy import ConsentPolicy
from common.consent_signals import ConsentSignals
from common.errors import InvalidInput
from exchange.bidding import OutsideBid
from exchange.consent_gate import HOUSE_SEAT, apply
from exchange.refusals import Refusal
from exchange.request import PageView
from streams.ports import Profile
from tests.builders import Market, a_line_item, a_page_view, an_outside_bid
from tests.money_worlds import money_world

HOUSE_ONLY = int(Permission.HOUSE_ADS_ONLY)
EUROPEAN = ConsentSignals(gdpr=True)


class Eager:
    """An outside bidder that counts what it was asked."""

    name = "eager"
    timeout_ms = 50

    def __init__(self) -> None:
        self.asked: list[PageView] = []

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> list[OutsideBid]:
        self.asked += views
        return [an_outside_bid(auction_id) for auction_id in auction_ids]


@pytest.mark.parametrize(("house", "permissions"), [(True, Permission.HOUSE_ADS_ONLY), (False, Permission.NONE)])
def test_the_setting_says_what_is_left_without_basic_ads(house: bool, permissions: Permission) -> None:
    policy = ConsentPolicy(vendor_id=13, house_without_basic_ads=house)

    assert policy.verdict(EUROPEAN).permissions == permissions
    # Where basic ads may be shown, the setting has no say: children, the United States, everywhere else.
    for signals in (ConsentSignals(coppa=True), ConsentSignals(country="US"), ConsentSignals(country="BD")):
        assert not policy.verdict(signals).permissions & Permission.HOUSE_ADS_ONLY


def test_the_gate_leaves_the_page_and_nothing_else() -> None:
    view = a_page_view(
        permissions=HOUSE_ONLY, session_id="s1", segments=("club=gold",), affinities=(("p", 1.0),), keywords=("sale",)
    )

    left = apply(view)

    assert (left.visitor_id, left.session_id, left.segments, left.affinities) == ("", "", (), ())
    assert (left.country, left.device_type, left.language) == ("", 0, "")
    assert (left.url, left.keywords, left.allowed_seats) == (view.url, ("sale",), (HOUSE_SEAT,))


async def test_the_house_wins_over_everybody_who_bids_more() -> None:
    outside = Eager()
    market = Market(
        [a_line_item(1, bid_micros=9_000_000), a_line_item(2, bid_micros=600_000, seat=HOUSE_SEAT),
         a_line_item(3, bid_micros=800_000, seat=HOUSE_SEAT, targeting={"country": ("DE",)})],
        outside=[outside],
        profiles={"visitor-1": Profile(segments=["club=gold"])},
    )  # fmt: skip

    answer = await market.ask_one(permissions=HOUSE_ONLY, session_id="s1")

    ad = answer.placements[0].ad
    assert ad is not None
    assert ad.facts.line_item_id == "item-2"
    assert outside.asked == []
    assert market.visitors.asked == []
    (record,) = market.published
    refused = dict(zip(record.bid_line_item.tolist(), record.bid_outcome.tolist(), strict=True))
    assert refused[1] == Refusal.SEAT_BLOCKED
    (batch,) = market.held
    assert (batch.visitor_ids, batch.session_keys) == ([""], [""])
    # Nothing is kept for the session: the same visitor is decided for anew.
    again = await market.ask_one(permissions=HOUSE_ONLY, session_id="s1")
    assert again.auction_id != answer.auction_id
    # And with a basis the open market is back.
    await market.ask_one()
    assert len(outside.asked) == 1


async def test_a_publisher_that_keeps_the_house_out_shows_nothing() -> None:
    market = Market([a_line_item(1, seat=HOUSE_SEAT)])

    for lists in ({"allowed_seats": ("agency",)}, {"blocked_seats": (HOUSE_SEAT,)}):
        answer = await market.ask_one(permissions=HOUSE_ONLY, **lists)
        assert answer.placements[0].ad is None, lists


def test_operators_alone_set_up_ads_of_the_house(tmp_path: Path) -> None:
    with money_world(tmp_path) as money:
        world, item = money.world, money.item
        draft = replace(item, seat=HOUSE_SEAT, name="Our own", line_item_id="", revision=0, number=0)
        with pytest.raises(InvalidInput, match="set up by operators"):
            world.campaigns.create_line_item(world.write(), draft)
        with pytest.raises(InvalidInput, match="set up by operators"):
            money.edits.update_line_item(world.write(), item.line_item_id, draft, ["seat"])
        made = world.campaigns.create_line_item(money.operator(), draft)

        # Whoever owns it may change the rest of it, and its file says nothing new.
        again = money.edits.update_line_item(
            world.write(), made.line_item_id, replace(made, bid_micros=7), ["bid_micros"]
        )
        assert (again.seat, again.bid_micros) == (HOUSE_SEAT, 7)
        data, _ = money.files.export(world.tenant_a)
        assert {row.action for row in money.files.run(world.write(), data).rows} == {"unchanged"}
        with pytest.raises(InvalidInput) as caught:
            money.files.run(world.write(), data.replace(b"Our own", b"Ours"))
        assert [error.field for error in caught.value.errors] == ["line 3, seat"]
