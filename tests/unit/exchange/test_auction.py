"""Whole auctions through the nine steps, over line items in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from common.consent import Permission
from common.errors import BackendUnavailable
from exchange.bidding import OutsideBid
from exchange.eligibility import CODES
from exchange.ports import CAMPAIGN_ACCOUNTS
from exchange.refusals import NO_BIDS, Refusal
from exchange.request import PageView, PriceRule, PricingModel
from streams.auction_block import AuctionColumns, encode_auctions
from streams.ports import Profile
from tests.builders import (
    BANNER,
    LISTING,
    Market,
    a_creative,
    a_line_item,
    a_page_view,
    a_placement,
    an_outside_bid,
)


def outcomes_of(market: Market) -> dict[Refusal, int]:
    assert market.tally.outcomes is not None
    return {Refusal(code): int(count) for code, count in zip(CODES, market.tally.outcomes, strict=True) if count}


async def test_second_price_is_the_runner_up_plus_one_step() -> None:
    market = Market([a_line_item(1, bid_micros=3_000_000), a_line_item(2, bid_micros=2_000_000)])

    answer = await market.ask_one()

    ad = answer.placements[0].ad
    assert ad is not None
    assert (ad.line_item_id, ad.price_micros) == ("item-1", 2_010_000)
    assert outcomes_of(market) == {Refusal.WON: 1, Refusal.LOST_TO_HIGHER_BID: 1}


async def test_first_price_is_the_bid() -> None:
    market = Market([a_line_item(1, bid_micros=3_000_000), a_line_item(2, bid_micros=2_000_000)])

    answer = await market.ask_one(price_rule=int(PriceRule.FIRST_PRICE))

    assert answer.placements[0].ad is not None
    assert answer.placements[0].ad.price_micros == 3_000_000


async def test_alone_it_pays_the_floor() -> None:
    market = Market([a_line_item(1, bid_micros=3_000_000)])

    answer = await market.ask_one()

    assert answer.placements[0].ad is not None
    assert answer.placements[0].ad.price_micros == 500_000


async def test_below_the_floor_nothing_is_sold_and_the_reason_is_named() -> None:
    market = Market([a_line_item(1, bid_micros=400_000)])

    answer = await market.ask_one()

    assert answer.placements[0].ad is None
    assert answer.placements[0].no_ad_reason == Refusal.BELOW_FLOOR


async def test_without_any_bid_the_reason_is_no_bids() -> None:
    answer = await Market([]).ask_one()

    assert answer.placements[0].no_ad_reason == NO_BIDS


async def test_a_click_bid_competes_by_what_it_is_expected_to_bring() -> None:
    by_click = a_line_item(1, pricing_model=int(PricingModel.CPC), bid_micros=500_000)
    by_view = a_line_item(2, bid_micros=4_000_000)
    market = Market([by_click, by_view], chance=0.01)

    answer = await market.ask_one()

    ad = answer.placements[0].ad
    assert ad is not None
    # 0.50 a click at one click in a hundred is worth 5.00 a thousand; 4.01 a thousand is 0.401 a click.
    assert (ad.line_item_id, ad.price_micros) == ("item-1", 401_000)
    assert market.held[0].reserved_micros.tolist() == [4010]


async def test_no_brand_and_no_product_wins_twice_on_a_page() -> None:
    same_brand = {"advertiser_domain": "brand.example"}
    market = Market(
        [
            a_line_item(1, bid_micros=9_000_000, **same_brand),
            a_line_item(2, bid_micros=8_000_000, **same_brand),
            a_line_item(3, bid_micros=7_000_000, creatives=(a_creative(3, product_id="product-1"),)),
            a_line_item(4, bid_micros=2_000_000),
        ]
    )
    page = (a_placement("a", position=1), a_placement("b", position=2), a_placement("c", position=3))

    answer = await market.ask_one(placements=page)

    won = [placement.ad.line_item_id if placement.ad else None for placement in answer.placements]
    assert won == ["item-1", "item-4", None]
    codes = outcomes_of(market)
    assert codes[Refusal.BRAND_ON_PAGE] > 0
    assert codes[Refusal.PRODUCT_ON_PAGE] > 0


@pytest.mark.parametrize(
    ("item", "placement", "refusal"),
    [
        (a_line_item(1, creatives=(a_creative(1, review_state=1),)), a_placement(), Refusal.CREATIVE_PENDING),
        (a_line_item(1, creatives=(a_creative(1, review_state=3),)), a_placement(), Refusal.CREATIVE_REFUSED),
        (a_line_item(1), a_placement(blocked_categories=("furniture",)), Refusal.CATEGORY_BLOCKED),
        (a_line_item(1), a_placement(blocked_advertisers=("brand-1.example",)), Refusal.ADVERTISER_BLOCKED),
        (a_line_item(1, starts_at_ms=1_900_000_000_000), a_placement(), Refusal.OUT_OF_SCHEDULE),
        (a_line_item(1, ends_at_ms=1_600_000_000_000), a_placement(), Refusal.OUT_OF_SCHEDULE),
        (a_line_item(1, hours_of_week=(0,)), a_placement(), Refusal.OUT_OF_SCHEDULE),
        (
            a_line_item(1, strategy=2, targeting={"country": ("DE",)}),
            a_placement(),
            Refusal.NOT_WORTH_BIDDING,
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Refusal) else "",
)
async def test_each_rule_refuses_with_its_number(item: object, placement: object, refusal: Refusal) -> None:
    market = Market([item])  # type: ignore[list-item]

    answer = await market.ask_one(placements=(placement,))

    assert answer.placements[0].no_ad_reason == refusal
    assert outcomes_of(market) == {refusal: 1}


async def test_out_of_stock_is_refused_until_it_comes_back() -> None:
    market = Market([a_line_item(1)], in_stock=lambda product_id: False)

    gone = await market.ask_one()
    market.snapshot.book.product_in_stock[:] = 1
    back = await market.ask_one()

    assert gone.placements[0].no_ad_reason == Refusal.OUT_OF_STOCK
    assert back.placements[0].ad is not None


async def test_hours_of_the_week_are_those_of_the_campaigns_time_zone() -> None:
    # 2023-11-14 22:13:20 UTC is a Tuesday; in Berlin it is 23 o'clock, hour 47 of the week.
    berlin = a_line_item(1, hours_of_week=(47,), time_zone="Europe/Berlin")

    answer = await Market([berlin]).ask_one()

    assert answer.placements[0].ad is not None


async def test_money_is_reserved_from_both_accounts_or_from_neither() -> None:
    market = Market([a_line_item(1, bid_micros=2_000_000), a_line_item(2, bid_micros=1_000_000)])
    campaign_row = market.purse.rows[CAMPAIGN_ACCOUNTS + 1]
    market.purse.available[campaign_row] = 1_999

    answer = await market.ask_one()

    assert answer.placements[0].ad is not None
    assert answer.placements[0].ad.line_item_id == "item-2"
    assert market.purse.available[market.purse.rows[1]] == 10**12
    assert market.purse.available[campaign_row] == 1_999
    assert outcomes_of(market)[Refusal.BUDGET_EXHAUSTED] == 1


async def test_an_empty_account_is_passed_over_in_the_walk() -> None:
    market = Market([a_line_item(1)])
    market.purse.available[market.purse.rows[1]] = 0

    answer = await market.ask_one()

    assert answer.placements[0].no_ad_reason == Refusal.BUDGET_EXHAUSTED


async def test_crumbs_of_a_budget_do_not_keep_others_from_the_finalists() -> None:
    spent = [a_line_item(number, bid_micros=9_000_000) for number in range(1, 21)]
    market = Market([*spent, a_line_item(21, bid_micros=1_000_000)])
    for number in range(1, 21):
        # One micro less than an impression at the bid costs.
        market.purse.available[market.purse.rows[number]] = 8_999

    answer = await market.ask_one()

    assert answer.placements[0].ad is not None
    assert answer.placements[0].ad.line_item_id == "item-21"
    assert outcomes_of(market) == {Refusal.WON: 1, Refusal.BUDGET_EXHAUSTED: 20}


async def test_a_visitor_is_shown_a_line_item_as_often_as_its_cap_allows() -> None:
    item = a_line_item(1, cap_impressions=2, cap_window_s=3600)
    now = 1_700_000_000_000
    profiles = {
        "often": Profile(seen_line_items=[1, 1], seen_at_ms=[now - 1000, now - 2000]),
        "long-ago": Profile(seen_line_items=[1, 1], seen_at_ms=[now - 1000, now - 3_600_000]),
    }
    market = Market([item], profiles=profiles)

    capped = await market.ask_one(visitor_id="often")
    free = await market.ask_one(visitor_id="long-ago")

    assert capped.placements[0].no_ad_reason == Refusal.FREQUENCY_CAPPED
    assert free.placements[0].ad is not None


async def test_targeting_needs_every_given_list_to_match() -> None:
    item = a_line_item(1, targeting={"country": ("FR", "DE"), "keyword": ("garden",)})
    market = Market([item])

    both = await market.ask_one(country="DE", keywords=("garden",))
    one = await market.ask_one(country="DE", keywords=("kitchen",))
    other = await market.ask_one(country="IT", keywords=("garden",))

    assert both.placements[0].ad is not None
    assert one.placements[0].no_ad_reason == NO_BIDS
    assert other.placements[0].no_ad_reason == NO_BIDS


async def test_a_placement_can_be_targeted_by_name() -> None:
    market = Market([a_line_item(1, targeting={"placement": ("b",)})])

    answer = await market.ask_one(placements=(a_placement("a"), a_placement("b"), a_placement("c")))

    assert [placement.ad is not None for placement in answer.placements] == [False, True, False]


async def test_without_consent_nothing_of_the_visitor_is_used_or_read() -> None:
    market = Market(
        [a_line_item(1, targeting={"segment": ("age=30",)})],
        profiles={"visitor-1": Profile(segments=["age=30"])},
    )

    refused = await market.ask_one(permissions=0, segments=("age=30",))
    agreed = await market.ask_one(permissions=int(Permission.REMEMBER | Permission.PERSONALISE_ADS))

    assert refused.placements[0].ad is None
    assert agreed.placements[0].ad is not None
    assert market.visitors.asked == ["visitor-1"]


async def test_remembering_without_personalising_counts_caps_only() -> None:
    profile = Profile(segments=["age=30"], seen_line_items=[2], seen_at_ms=[1_700_000_000_000])
    market = Market(
        [
            a_line_item(1, bid_micros=9_000_000, targeting={"segment": ("age=30",)}),
            a_line_item(2, cap_impressions=1, cap_window_s=60),
        ],
        profiles={"visitor-1": profile},
    )

    answer = await market.ask_one(permissions=int(Permission.REMEMBER))

    assert answer.placements[0].no_ad_reason == Refusal.FREQUENCY_CAPPED


async def test_a_session_that_asks_the_same_gets_the_same() -> None:
    market = Market([a_line_item(1), a_line_item(2)])

    first = await market.ask_one(session_id="s")
    again = await market.ask_one(session_id="s", request_id="request-2")
    other = await market.ask_one(session_id="s", product_id="another")

    assert again.kept
    assert again.request_id == "request-2"
    assert again.auction_id == first.auction_id
    assert other.auction_id != first.auction_id
    assert market.tally.recalled == 1


async def test_a_kept_answer_ends_with_its_time_and_with_its_line_item() -> None:
    market = Market([a_line_item(1)])
    first = await market.ask_one(session_id="s")

    market.load([a_line_item(1, bid_micros=5_000_000, revision=2)])
    changed = await market.ask_one(session_id="s")
    market.clock.step(30_001)
    late = await market.ask_one(session_id="s")

    assert len({first.auction_id, changed.auction_id, late.auction_id}) == 3


async def test_what_cannot_be_recorded_was_not_sold() -> None:
    def full(_: AuctionColumns) -> None:
        raise BackendUnavailable("the disk is full")

    market = Market([a_line_item(1)], publish=full)

    with pytest.raises(BackendUnavailable):
        await market.ask_one()

    assert market.held == []
    assert set(market.purse.available.tolist()) == {10**12}


class Neighbour:
    """An outside bidder that says what it is told to, after a wait that the test ends."""

    name = "neighbour"
    timeout_ms = 40

    def __init__(self, **changes: object) -> None:
        self.changes = changes
        self.trouble: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> list[OutsideBid]:
        if self.gate is not None:
            await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble
        return [an_outside_bid(auction_id, **self.changes) for auction_id in auction_ids]


async def test_an_outside_bid_wins_when_it_is_the_best() -> None:
    market = Market([a_line_item(1)], outside=[Neighbour()])

    answer = await market.ask_one()

    ad = answer.placements[0].ad
    assert ad is not None
    assert (ad.bidder, ad.advertiser_domain, ad.price_micros) == ("neighbour", "outside.example", 2_010_000)
    assert market.tally.bidders == [("neighbour", 1, 1, Refusal.WON)]


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"bid_micros": -1}, Refusal.MISSING_PRICE),
        ({"bid_micros": 10**18}, Refusal.INVALID_BID),
        ({"placement_id": "elsewhere"}, Refusal.INVALID_BID),
        ({"advertiser_domain": "<script>"}, Refusal.INVALID_ADVERTISER_DOMAIN),
        ({"markup": ""}, Refusal.MISSING_MARKUP),
        ({"markup": "x" * 70_000}, Refusal.INVALID_BID),
        ({"creative_id": ""}, Refusal.MISSING_CREATIVE),
        ({"currency": "USD"}, Refusal.WRONG_CURRENCY),
        ({"format": 3}, Refusal.FORMAT_NOT_ALLOWED),
        ({"width": 728}, Refusal.SIZE_NOT_ALLOWED),
        ({"advertiser_domain": "blocked.example"}, Refusal.ADVERTISER_BLOCKED),
        ({"category": "gambling"}, Refusal.CATEGORY_BLOCKED),
        ({"bid_micros": 1}, Refusal.BELOW_FLOOR),
    ],
    ids=lambda value: value.name if isinstance(value, Refusal) else next(iter(value)),
)
async def test_an_outside_bid_is_refused_with_its_number(changes: dict[str, object], refusal: Refusal) -> None:
    market = Market([a_line_item(1)], outside=[Neighbour(**changes)])
    place = a_placement(blocked_advertisers=("blocked.example",), blocked_categories=("gambling",))

    answer = await market.ask_one(placements=(place,))

    assert answer.placements[0].ad is not None
    assert answer.placements[0].ad.line_item_id == "item-1"
    assert outcomes_of(market) == {Refusal.WON: 1, refusal: 1}


@pytest.mark.parametrize(
    ("trouble", "refusal"),
    [(TimeoutError("late"), Refusal.BIDDER_LATE), (BackendUnavailable("down"), Refusal.BIDDER_FAILED)],
    ids=["late", "failed"],
)
async def test_a_bidder_in_trouble_costs_its_bids_and_nothing_else(trouble: Exception, refusal: Refusal) -> None:
    neighbour = Neighbour()
    neighbour.trouble = trouble
    market = Market([a_line_item(1)], outside=[neighbour])

    answer = await market.ask_one()

    assert answer.placements[0].ad is not None
    assert outcomes_of(market) == {Refusal.WON: 1, refusal: 1}


async def test_a_bidder_that_never_answers_is_left_behind_at_the_deadline() -> None:
    neighbour = Neighbour()
    neighbour.gate = asyncio.Event()
    market = Market([a_line_item(1)], outside=[neighbour])

    answer = await asyncio.wait_for(market.ask_one(tmax_ms=20), timeout=10)

    assert answer.placements[0].ad is not None
    assert outcomes_of(market)[Refusal.BIDDER_LATE] == 1


async def test_every_bid_of_the_record_is_accounted_for() -> None:
    market = Market(
        [a_line_item(n, bid_micros=n * 300_000, cap_impressions=n % 2, cap_window_s=60) for n in range(1, 40)],
        outside=[Neighbour(currency="USD")],
    )
    page = (a_placement("top"), a_placement("side", shapes=(BANNER, LISTING), floor_micros=9_000_000))

    await market.ask(*(a_page_view(placements=page, session_id=str(n)) for n in range(5)))

    record = market.published[0]
    assert market.tally.outcomes is not None
    assert int(record.bids_in.sum()) == int(market.tally.outcomes.sum())
    assert int(record.bids_in.sum()) == len(record.bid_outcome) + int(record.more_count.sum())
    won = int((record.bid_outcome == 0).sum())
    assert won == int((record.winner_row_plus_one > 0).sum()) == market.tally.filled
    assert len(encode_auctions(record)) > 100
    winners = record.winner_row_plus_one[record.winner_row_plus_one > 0] - 1
    assert (record.bid_outcome[winners] == 0).all()
    assert market.held[0].price_micros.tolist() == record.bid_price_micros[winners].tolist()


async def test_markup_names_the_impression_and_escapes_what_the_advertiser_wrote() -> None:
    creative = a_creative(1, title='"><script>alert(1)</script>')
    market = Market([a_line_item(1, creatives=(creative,))])

    answer = await market.ask_one()

    ad = answer.placements[0].ad
    assert ad is not None
    assert ad.impression_id == f"{answer.auction_id}.0"
    assert f'data-impression="{ad.impression_id}"' in ad.markup
    assert "<script>" not in ad.markup
