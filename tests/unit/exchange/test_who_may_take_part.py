"""Each rule on who may take part, for line items and for outside bids alike, through whole auctions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from exchange.bidder_terms import BidderTerms
from exchange.bidding import OutsideBid
from exchange.eligibility import CODES
from exchange.refusals import NO_BIDS, Refusal
from exchange.request import Deal, FlexSize, Format, PageView, PriceRule, VideoTerms
from exchange.screening import DEAL_BIDS_EACH, OPEN_BIDS_EACH
from tests.builders import Market, a_creative, a_line_item, a_placement, an_outside_bid

VIDEO = (int(Format.VIDEO), 640, 360)


class Neighbour:
    """An outside bidder that makes the bids it is told to."""

    name = "neighbour"
    timeout_ms = 40

    def __init__(self, *bids: dict[str, Any]) -> None:
        self.bids = bids

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> list[OutsideBid]:
        return [an_outside_bid(auction_id, **changes) for auction_id in auction_ids for changes in self.bids]


def outcomes_of(market: Market) -> dict[Refusal, int]:
    assert market.tally.outcomes is not None
    return {Refusal(code): int(count) for code, count in zip(CODES, market.tally.outcomes, strict=True) if count}


def a_video(**changes: Any) -> Any:
    facts = {"format": VIDEO[0], "width": VIDEO[1], "height": VIDEO[2], "duration_s": 15, "protocol": 7}
    return a_creative(1, **{**facts, **changes})


def a_video_bid(**changes: Any) -> dict[str, Any]:
    facts = {"format": VIDEO[0], "width": VIDEO[1], "height": VIDEO[2], "markup": "<VAST/>", "duration_s": 15}
    return {**facts, **changes}


# What the placement asks, what the page view asks, the creative and the outside bid that fall to it, and the code.
Rule = tuple[dict[str, Any], dict[str, Any], Any, dict[str, Any], Refusal]
RULES: dict[str, Rule] = {
    "advertiser": (
        {"blocked_advertisers": ("brand-1.example", "outside.example")}, {}, a_creative(1), {},
        Refusal.ADVERTISER_BLOCKED,
    ),
    "category": (
        {"blocked_categories": ("furniture",)}, {}, a_creative(1), {"category": "furniture"},
        Refusal.CATEGORY_BLOCKED,
    ),
    "parent category": (
        {"blocked_categories": ("iab1",)}, {}, a_creative(1, category="iab1-2"), {"categories": ("x", "iab1-2")},
        Refusal.CATEGORY_BLOCKED,
    ),
    "no allowed category": (
        {}, {"allowed_categories": ("iab2",)}, a_creative(1), {"category": "furniture"}, Refusal.CATEGORY_BLOCKED,
    ),
    "no category at all where some are allowed": (
        {}, {"allowed_categories": ("iab2",)}, a_creative(1, category=""), {}, Refusal.CATEGORY_BLOCKED,
    ),
    "app": (
        {"blocked_apps": ("app.example",)}, {}, a_creative(1, app_bundle="app.example"),
        {"app_bundle": "app.example"}, Refusal.APP_BLOCKED,
    ),
    "attribute": (
        {"blocked_attributes": (6,)}, {}, a_creative(1, attributes=(1, 6)), {"attributes": (6,)},
        Refusal.ATTRIBUTE_BLOCKED,
    ),
    "type of banner": (
        {"blocked_types": (2, 3)}, {}, a_creative(1), {"markup": "<script src='https://outside.example/a.js'></script>"},
        Refusal.AD_TYPE_BLOCKED,
    ),
    "seat": (
        {}, {"blocked_seats": ("advertiser-1", "their-seat")}, a_creative(1), {"seat": "their-seat"},
        Refusal.SEAT_BLOCKED,
    ),
    "no allowed seat": (
        {}, {"allowed_seats": ("other",)}, a_creative(1), {"seat": "their-seat"}, Refusal.SEAT_BLOCKED,
    ),
    "no seat where some are allowed": ({}, {"allowed_seats": ("other",)}, a_creative(1), {}, Refusal.SEAT_BLOCKED),
    "language": (
        {}, {"allowed_languages": ("en",)}, a_creative(1, language="de"), {"language": "de"},
        Refusal.LANGUAGE_NOT_ALLOWED,
    ),
    "secure": (
        {"secure": True}, {}, a_creative(1, image_url="http://shop.example/chair.png"),
        {"markup": "<img src='http://outside.example/x.png'>"}, Refusal.NOT_SECURE,
    ),
    "secure, escaped": (
        {"secure": True}, {}, a_creative(1, landing_url="HTTP://shop.example/"),
        {"markup": '{"u":"http:\\/\\/outside.example"}<i href="http&#58;//x.example">'}, Refusal.NOT_SECURE,
    ),
    "video: media type": (
        {"shapes": (VIDEO,), "video": VideoTerms(mimes=("video/webm",))}, {}, a_video(),
        a_video_bid(markup="<VAST><MediaFile type='video/mp4'>x</MediaFile></VAST>"), Refusal.FORMAT_NOT_ALLOWED,
    ),
    "video: protocol": (
        {"shapes": (VIDEO,), "video": VideoTerms(protocols=(2, 3))}, {}, a_video(), a_video_bid(protocol=7),
        Refusal.FORMAT_NOT_ALLOWED,
    ),
    "video: too long": (
        {"shapes": (VIDEO,), "video": VideoTerms(most_duration_s=10)}, {}, a_video(), a_video_bid(),
        Refusal.CREATIVE_FILTERED,
    ),
    "video: too short by its document": (
        {"shapes": (VIDEO,), "video": VideoTerms(least_duration_s=20)}, {}, a_video(),
        a_video_bid(duration_s=0, markup="<VAST><Duration>00:00:15.000</Duration></VAST>"),
        Refusal.CREATIVE_FILTERED,
    ),
    "video: duration unsaid": (
        {"shapes": (VIDEO,), "video": VideoTerms(most_duration_s=20)}, {}, a_video(duration_s=0),
        a_video_bid(duration_s=0), Refusal.CREATIVE_FILTERED,
    ),
    "video: not one of the exact durations": (
        {"shapes": (VIDEO,), "video": VideoTerms(required_durations_s=(6, 30))}, {}, a_video(), a_video_bid(),
        Refusal.CREATIVE_FILTERED,
    ),
    "video: skippable": (
        {"shapes": (VIDEO,), "video": VideoTerms(skippable=0)}, {}, a_video(skippable=True),
        a_video_bid(markup="<VAST><Linear skipoffset='00:00:05'></Linear></VAST>"), Refusal.CREATIVE_FILTERED,
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
async def test_a_line_item_falls_to_the_rule(rule: str) -> None:
    asks, page, creative, _, refusal = RULES[rule]
    market = Market([a_line_item(1, creatives=(creative,))])

    answer = await market.ask_one(placements=(a_placement(**asks),), **page)

    assert answer.placements[0].no_ad_reason == refusal
    assert outcomes_of(market) == {refusal: 1}


@pytest.mark.parametrize("rule", RULES)
async def test_an_outside_bid_falls_to_the_same_rule(rule: str) -> None:
    asks, page, _, bid, refusal = RULES[rule]
    market = Market(outside=[Neighbour(bid)])

    answer = await market.ask_one(placements=(a_placement(**asks),), **page)

    assert answer.placements[0].no_ad_reason == refusal
    assert outcomes_of(market) == {refusal: 1}


@pytest.mark.parametrize(
    ("asks", "page", "creative"),
    [
        ({"blocked_categories": ("iab1-2",)}, {}, a_creative(1, category="iab1")),
        ({"blocked_categories": ("iab1",)}, {}, a_creative(1, category="iab10")),
        ({"blocked_categories": ("garden",)}, {}, a_creative(1, category="garden-chairs")),
        ({}, {"allowed_categories": ("iab1",)}, a_creative(1, category="iab1-2")),
        ({}, {"allowed_seats": ("advertiser-1",)}, a_creative(1)),
        ({}, {"allowed_languages": ("en",)}, a_creative(1, language="en-gb")),
        ({}, {"allowed_languages": ("en",)}, a_creative(1, language="")),
        ({"secure": True}, {}, a_creative(1)),
        ({"shapes": (VIDEO,), "video": VideoTerms(("video/mp4",), 10, 20, (), (7,), 1)}, {}, a_video(skippable=True)),
        ({"shapes": (VIDEO,), "video": VideoTerms(required_durations_s=(15, 30))}, {}, a_video()),
        ({"shapes": (), "flex_sizes": (FlexSize(6, 5, 300),)}, {}, a_creative(1)),
        ({"shapes": (), "flex_sizes": (FlexSize(4, 1, 300),)}, {}, a_creative(1, width=321, height=80)),
    ],
    ids=[
        "a blocked child blocks no parent",
        "iab1 is no parent of iab10",
        "words of a shop have no parents",
        "an allowed parent allows its children",
        "an advertiser is its own seat",
        "a region is within its language",
        "no language passes",
        "https throughout",
        "a video within all terms",
        "one of the exact durations",
        "a flexible size",
        "a flexible size, rounded",
    ],
)
async def test_what_meets_the_terms_runs(asks: dict[str, Any], page: dict[str, Any], creative: Any) -> None:
    market = Market([a_line_item(1, creatives=(creative,))])

    answer = await market.ask_one(placements=(a_placement(**asks),), **page)

    assert answer.placements[0].ad is not None


@pytest.mark.parametrize("size", [FlexSize(6, 5, 301), FlexSize(1, 1, 1), FlexSize(5, 6, 1)])
async def test_a_flexible_size_that_does_not_fit_brings_no_bid(size: FlexSize) -> None:
    market = Market([a_line_item(1)], outside=[Neighbour({})])

    answer = await market.ask_one(placements=(a_placement(shapes=(), flex_sizes=(size,)),))

    assert answer.placements[0].no_ad_reason == Refusal.SIZE_NOT_ALLOWED
    assert outcomes_of(market) == {Refusal.SIZE_NOT_ALLOWED: 1}


async def test_two_placements_share_a_walk_only_when_they_ask_for_the_same() -> None:
    market = Market([a_line_item(1, creatives=(a_creative(1, attributes=(6,)),)), a_line_item(2)])

    answer = await market.ask_one(
        placements=(a_placement("a", blocked_attributes=(6,)), a_placement("b", blocked_attributes=(7,)))
    )

    assert [p.ad.line_item_id for p in answer.placements if p.ad] == ["item-2", "item-1"]


class TestDeals:
    """Who may bid under a deal, who may bid at all."""

    async def test_a_deal_line_item_never_bids_in_the_open(self) -> None:
        market = Market([a_line_item(1, deal_ids=("deal-1",), deals_only=True)])

        without = await market.ask_one()
        other = await market.ask_one(placements=(a_placement(deals=(Deal("deal-2"),)),))
        under = await market.ask_one(placements=(a_placement(deals=(Deal("deal-1"),)),))

        assert (without.placements[0].no_ad_reason, other.placements[0].no_ad_reason) == (NO_BIDS, NO_BIDS)
        assert under.placements[0].ad is not None
        assert under.placements[0].ad.deal_id == "deal-1"

    async def test_a_line_item_with_deals_may_also_bid_in_the_open(self) -> None:
        market = Market([a_line_item(1, deal_ids=("deal-1",))])

        answer = await market.ask_one()

        assert answer.placements[0].ad is not None
        assert answer.placements[0].ad.deal_id == ""

    async def test_a_guaranteed_deal_is_found_below_better_bids(self) -> None:
        open_bids = [a_line_item(number, bid_micros=9_000_000) for number in range(2, 30)]
        market = Market([a_line_item(1, bid_micros=600_000, deal_ids=("deal-1",)), *open_bids])

        await market.ask_one(placements=(a_placement(deals=(Deal("deal-1", guaranteed=True),)),))

        record = market.published[0]
        assert 1 in record.bid_line_item[record.bid_outcome != Refusal.FREQUENCY_CAPPED].tolist()

    async def test_who_is_kept_out_of_a_guaranteed_deal_waits_for_the_turn_of_the_others(self) -> None:
        offered = (Deal("sure", seats=("other",), guaranteed=True), Deal("deal-1"))
        market = Market(
            [
                a_line_item(1, bid_micros=1_000_000, deal_ids=("sure", "deal-1")),
                a_line_item(2, bid_micros=9_000_000, deal_ids=("deal-1",)),
            ]
        )

        await market.ask_one(placements=(a_placement(deals=offered),))

        # The order of the finalists is the order in which they were met.
        assert market.published[0].bid_line_item.tolist() == [2, 1]

    @pytest.mark.parametrize(
        "deal", [Deal("deal-1", seats=("other",)), Deal("deal-1", advertiser_domains=("other.example",))]
    )
    async def test_terms_of_a_deal_keep_out(self, deal: Deal) -> None:
        place = a_placement(deals=(deal,))
        inside = Market([a_line_item(1, deal_ids=("deal-1",), deals_only=True)])
        outside = Market(outside=[Neighbour({"deal_id": "deal-1", "seat": "their-seat"})])

        for market in (inside, outside):
            answer = await market.ask_one(placements=(place,))
            assert answer.placements[0].no_ad_reason == Refusal.NOT_ALLOWED_IN_DEAL
            assert outcomes_of(market) == {Refusal.NOT_ALLOWED_IN_DEAL: 1}

    async def test_who_is_kept_out_of_a_deal_bids_in_the_open_unless_it_must_not(self) -> None:
        market = Market([a_line_item(1, deal_ids=("deal-1",))])

        answer = await market.ask_one(placements=(a_placement(deals=(Deal("deal-1", seats=("other",)),)),))

        assert answer.placements[0].ad is not None
        assert answer.placements[0].ad.deal_id == ""

    async def test_a_private_auction_takes_deal_bids_alone(self) -> None:
        market = Market([a_line_item(1, bid_micros=9_000_000)], outside=[Neighbour({})])
        place = a_placement(deals=(Deal("deal-1"),), private_auction=True)

        answer = await market.ask_one(placements=(place,))

        assert answer.placements[0].no_ad_reason == Refusal.PRIVATE_AUCTION
        assert outcomes_of(market) == {Refusal.PRIVATE_AUCTION: 2}

    async def test_of_several_deals_the_best_that_the_bid_is_worth_is_taken(self) -> None:
        offered = (Deal("low", 100_000), Deal("high", 1_500_000), Deal("too-high", 3_000_000))
        market = Market([a_line_item(1, bid_micros=2_000_000, deal_ids=("low", "too-high", "high"))])

        answer = await market.ask_one(placements=(a_placement(deals=offered),))

        assert answer.placements[0].ad is not None
        assert answer.placements[0].ad.deal_id == "high"

    async def test_an_outside_bid_names_its_deal(self) -> None:
        place = a_placement(deals=(Deal("deal-1", price_rule=int(PriceRule.FIRST_PRICE), seats=("their-seat",)),))
        market = Market(outside=[Neighbour({"deal_id": "deal-1", "seat": "their-seat"})])

        answer = await market.ask_one(placements=(place,))

        assert answer.placements[0].ad is not None
        assert answer.placements[0].ad.deal_id == "deal-1"

    async def test_an_outside_bid_cannot_name_a_deal_that_is_not_offered(self) -> None:
        market = Market(outside=[Neighbour({"deal_id": "deal-9"})])

        answer = await market.ask_one()

        assert answer.placements[0].no_ad_reason == Refusal.INVALID_DEAL

    async def test_one_bidder_takes_part_with_its_best_few_bids(self) -> None:
        place = a_placement(deals=(Deal("deal-1"),))
        bids = [{"bid_id": str(n), "bid_micros": (n + 1) * 1_000_000} for n in range(OPEN_BIDS_EACH + 2)]
        under = [{**bid, "deal_id": "deal-1"} for bid in bids[: DEAL_BIDS_EACH + 1]]
        market = Market(outside=[Neighbour(*bids, *under)])

        await market.ask_one(placements=(place,))

        record = market.published[0]
        assert int(record.bids_in.sum()) == len(bids) + len(under)
        assert (record.bid_outcome == 0).sum() == 1
        assert outcomes_of(market)[Refusal.LOST_TO_HIGHER_BID] >= 3


async def test_the_funnel_adds_up_with_every_rule_on() -> None:
    items = [
        a_line_item(
            number,
            bid_micros=number * 200_000,
            caps=((-2, 1, 60),) if number % 3 else (),
            deal_ids=("deal-1",) if number % 4 == 0 else (),
            deals_only=number % 8 == 0,
            creatives=(a_creative(number, attributes=(number % 5,), language="de" if number % 2 else "en"),),
        )
        for number in range(1, 40)
    ]
    market = Market(items, outside=[Neighbour({}, {"deal_id": "nobody's"}, {"seat": "bad"})])
    page = (
        a_placement("top", blocked_attributes=(1, 2)),
        a_placement("side", deals=(Deal("deal-1", seats=("advertiser-4", "advertiser-8")),), private_auction=True),
        a_placement("end", deals=(Deal("deal-1", guaranteed=True),), secure=True),
    )

    await market.ask_one(placements=page, allowed_languages=("de",), blocked_seats=("bad", "advertiser-39"))

    record = market.published[0]
    assert market.tally.outcomes is not None
    assert int(record.bids_in.sum()) == int(market.tally.outcomes.sum())
    assert int(record.bids_in.sum()) == len(record.bid_outcome) + int(record.more_count.sum())
    assert {Refusal.PRIVATE_AUCTION, Refusal.ATTRIBUTE_BLOCKED, Refusal.LANGUAGE_NOT_ALLOWED} <= set(
        outcomes_of(market)
    )


@pytest.mark.parametrize("seat", ["stranger", ""])
async def test_a_bidder_bids_for_its_own_seats_alone(seat: str) -> None:
    bidder = Neighbour({"seat": "ours"}, {"seat": seat, "bid_micros": 20_000_000})
    market = Market(outside=[bidder], terms=BidderTerms(seats=("ours", "also-ours")))

    answer = await market.ask_one()

    assert outcomes_of(market) == {Refusal.WON: 1, Refusal.SEAT_BLOCKED: 1}
    assert answer.placements[0].ad is not None
