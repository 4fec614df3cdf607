"""Nobody waits for a bidder that could not matter, and nobody who could matter is left out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.bid_rows import BidRows
from exchange.bidder_terms import BidderTerms
from exchange.bidding import OutsideBid
from exchange.early_close import bar_of, least_to_matter
from exchange.page_rules import USUAL
from exchange.request import Deal, PageView, PriceRule, VideoTerms
from tests.builders import Market, a_creative, a_line_item, a_page_view, a_placement, an_outside_bid
from tests.examples import examples


def bar(rows: list[tuple[int, float, int, int]], placement_start: list[int]) -> int:
    columns = list(zip(*sorted(rows, key=lambda row: row[0]), strict=True)) if rows else [(), (), (), ()]
    return bar_of(
        np.array(columns[0], np.int32), np.array(columns[1], np.float64), np.array(columns[2], np.int64),
        np.array(columns[3], np.int64), np.array(placement_start, np.int32),
    )  # fmt: skip


def test_the_second_best_bid_is_the_bar_of_a_single_placement() -> None:
    assert bar([(0, 5.0, 1, 1), (0, 3.0, 2, 2), (0, 1.0, 3, 3)], [0, 1]) == 3


def test_bids_of_one_brand_or_of_one_product_count_once() -> None:
    assert bar([(0, 5.0, 1, 1), (0, 4.0, 1, 2), (0, 3.0, 2, 1), (0, 2.0, 3, 3)], [0, 1]) == 2


def test_a_placement_with_too_few_bids_is_open_to_anybody() -> None:
    assert bar([(0, 5.0, 1, 1)], [0, 1]) == 0
    assert bar([], [0, 1]) == 0
    assert bar([(0, 5.0, 1, -1), (0, 4.0, 2, -1)], [0, 1, 2]) == 0


def test_the_weakest_placement_of_the_batch_decides() -> None:
    rows = [(0, 9.0, 1, 1), (0, 8.0, 2, 2), (1, 4.0, 1, 1), (1, 2.0, 3, 3)]

    assert bar(rows, [0, 1, 2]) == 2


@pytest.mark.parametrize(
    ("changes", "simple"),
    [
        ({}, True),
        ({"video": VideoTerms(most_duration_s=30)}, True),
        ({"video": VideoTerms(pod_id="break", pod_duration_s=60)}, False),
        ({"video": VideoTerms(floor_ranges=((1, 15, 900_000),))}, False),
        ({"video": VideoTerms(least_cpm_per_second_micros=50_000)}, False),
        ({"deals": (Deal("private"),)}, False),
        ({"private_auction": True}, False),
    ],
)
def test_where_other_bids_matter_too_everybody_is_waited_for(changes: dict[str, Any], simple: bool) -> None:
    asked: list[str] = []

    def rows() -> BidRows:
        asked.append("what is there")
        raise LookupError

    view = a_page_view(placements=(a_placement(**changes),))
    with nullcontext() if not simple else pytest.raises(LookupError):
        bar_micros = least_to_matter(
            [view], np.array([0, 1], np.int32), rows, np.zeros(0, np.int64), conversion_rate=0.05, page_rules=USUAL
        )
        assert bar_micros == 0

    assert asked == ["what is there"] * simple


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
async def test_a_bid_below_the_bar_changes_nothing(data: st.DataObject) -> None:
    """The bar is checked against whole auctions: with a bid at the bar the page is sold as it is without."""
    places = data.draw(st.integers(1, 2))
    items = [
        a_line_item(
            n,
            bid_micros=data.draw(st.integers(1, 40)) * 100_000,
            advertiser_domain=f"brand-{data.draw(st.integers(1, 8))}.example",
            creatives=(a_creative(n, product_id=f"product-{data.draw(st.integers(1, 8))}"),),
        )
        for n in range(1, 13)
    ]
    rule = data.draw(st.sampled_from([PriceRule.FIRST_PRICE, PriceRule.SECOND_PRICE]))
    view = a_page_view(
        placements=tuple(a_placement(f"p{at}", floor_micros=0) for at in range(places)), price_rule=int(rule)
    )
    alone = Market(items)
    without = await alone.ask(view)
    record = alone.published[0]
    known = {f"brand-{n}.example": n for n in range(1, 9)}
    product = {item.number: int(item.creatives[0].product_id[8:]) for item in items}
    domain = {item.number: known[item.advertiser_domain] for item in items}
    taken = [
        (int(place), float(worth), domain[int(number)], product[int(number)])
        for place, worth, number, chance in zip(
            record.bid_placement,
            record.bid_ecpm_micros,
            record.bid_line_item,
            record.bid_click_probability,
            strict=True,
        )
        if chance > 0
    ]
    micros = bar(taken, [0, places])

    class AtTheBar:
        name, timeout_ms = "late", 40

        async def ask(self, auction_ids: object, views: object, timeout_ms: int) -> list[object]:
            place = data.draw(st.integers(0, places - 1))
            return [an_outside_bid(auction_ids[0], placement_id=f"p{place}", bid_micros=micros)]  # type: ignore[index]

    if micros > 0:
        with_bid = await Market(items, outside=[AtTheBar()]).ask(view)  # type: ignore[list-item]
        assert [(p.ad.line_item_id, p.ad.price_micros) if p.ad else None for p in with_bid[0].placements] == [
            (p.ad.line_item_id, p.ad.price_micros) if p.ad else None for p in without[0].placements
        ]


class Slow:
    """A bidder that never bids above its cap, and answers when it is let."""

    name, timeout_ms = "slow", 5_000

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def ask(self, auction_ids: object, views: object, timeout_ms: int) -> list[OutsideBid]:
        await self.gate.wait()
        return []


@pytest.mark.parametrize(("cap_micros", "waits"), [(1_500_000, False), (9_000_000, True), (0, True)])
async def test_nobody_waits_for_a_bidder_whose_cap_is_below_the_second_best(cap_micros: int, waits: bool) -> None:
    slow = Slow()
    items = [a_line_item(n, bid_micros=n * 1_000_000) for n in (2, 3, 4)]
    market = Market(items, outside=[slow], terms=BidderTerms(bid_cap_micros=cap_micros))

    answering = asyncio.create_task(market.ask_one(tmax_ms=5_000))
    for _ in range(50):
        await asyncio.sleep(0)
    answered_early = answering.done()
    slow.gate.set()

    assert answered_early is not waits
    assert (await answering).placements[0].ad is not None
    assert [name for name, *_ in market.tally.bidders] == (["slow"] if waits else [])


class Quick:
    """A bidder that may bid anything, and answers at once with these bids for each page view."""

    name, timeout_ms = "quick", 5_000

    def __init__(self, *bids: dict[str, Any]) -> None:
        self.bids = bids

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> list[OutsideBid]:
        return [an_outside_bid(auction_id, **bid) for auction_id in auction_ids for bid in self.bids]


BEST = {"bid_micros": 9_000_000, "advertiser_domain": "best.example"}
NEXT = {"bid_micros": 8_000_000, "advertiser_domain": "next.example"}


@pytest.mark.parametrize(
    ("second", "cap_micros", "waits"),
    [
        (NEXT, 7_999_999, False),
        (NEXT, 8_000_000, True),
        ({**NEXT, "advertiser_domain": "best.example"}, 5_000_000, True),
        ({**NEXT, "advertiser_domain": "blocked.example"}, 5_000_000, True),
        ({**NEXT, "group": 1, "group_bids": 2}, 5_000_000, True),
    ],
    ids=["beaten", "as good", "one brand", "refused", "in a group"],
)
async def test_the_bar_follows_what_outside_bidders_have_bid(
    second: dict[str, Any], cap_micros: int, waits: bool
) -> None:
    slow, quick = Slow(), Quick(BEST, second)
    terms = {"slow": BidderTerms(bid_cap_micros=cap_micros), "quick": BidderTerms()}
    market = Market([a_line_item(1, bid_micros=1_000_000)], outside=[slow, quick], terms=terms)
    place = a_placement(blocked_advertisers=("blocked.example",))

    answering = asyncio.create_task(market.ask_one(tmax_ms=5_000, placements=(place,)))
    for _ in range(50):
        await asyncio.sleep(0)
    answered_early = answering.done()
    slow.gate.set()

    assert answered_early is not waits
    ad = (await answering).placements[0].ad
    assert ad is not None
    assert ad.advertiser_domain == "best.example"
    assert market.callouts[0].gate.in_flight == 0


async def test_a_bid_whose_money_may_be_gone_by_then_keeps_nobody_out() -> None:
    """Both page views would want the same money, which is enough for one of them."""
    slow = Slow()
    items = [a_line_item(n, bid_micros=n * 1_000_000) for n in (2, 3, 4)]
    market = Market(items, outside=[slow], terms=BidderTerms(bid_cap_micros=2_500_000))
    market.purse.available[:] = 4_000

    answering = asyncio.create_task(market.ask(*[a_page_view(tmax_ms=5_000)] * 2))
    for _ in range(50):
        await asyncio.sleep(0)
    answered_early = answering.done()
    slow.gate.set()
    await answering

    assert not answered_early


class Paced:
    """A bidder that answers after so many turns of the loop; its bids are `(placement, micros, brand, group)`."""

    timeout_ms = 5_000

    def __init__(self, number: int, turns: int, bids: Sequence[tuple[int, int, int, int]]) -> None:
        self.name = f"bidder-{number}"
        self.turns = turns
        self.bids = bids

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> list[OutsideBid]:
        for _ in range(self.turns):
            await asyncio.sleep(0)
        return [
            an_outside_bid(
                auction_id, placement_id=f"p{place}", bid_id=f"{at}", bid_micros=micros,
                advertiser_domain=f"brand-{brand}.example", group=group, group_bids=2 * group,
            )
            for auction_id, view in zip(auction_ids, views, strict=True)
            for at, (place, micros, brand, group) in enumerate(self.bids)
            if place < len(view.placements)
        ]  # fmt: skip


_STEP_MICROS = 100_000


@st.composite
def outside_bidders(draw: st.DrawFn) -> list[tuple[int, Paced]]:
    """(cap, bidder): each bids at most its cap; some bid for two placements together."""
    found = []
    for number in range(draw(st.integers(2, 4))):
        cap = draw(st.integers(1, 40))
        price = st.integers(1, cap).map(lambda step: step * _STEP_MICROS)
        bid = st.tuples(st.integers(0, 1), price, st.integers(1, 12), st.just(0))
        bids = draw(st.lists(bid, max_size=3))
        if draw(st.integers(0, 3)) == 0:
            bids += [(place, draw(price), draw(st.integers(1, 12)), 1) for place in (0, 1)]
        found.append((cap * _STEP_MICROS, Paced(number, draw(st.sampled_from([0, 1, 4, 30])), bids)))
    return found


@settings(max_examples=examples(100), deadline=None)
@given(st.data(), outside_bidders())
async def test_closing_early_changes_neither_a_winner_nor_a_price(
    data: st.DataObject, bidders: list[tuple[int, Paced]]
) -> None:
    items = [
        a_line_item(
            n,
            bid_micros=data.draw(st.integers(1, 40)) * _STEP_MICROS,
            advertiser_domain=f"brand-{data.draw(st.integers(1, 8))}.example",
            creatives=(a_creative(n, product_id=f"product-{data.draw(st.integers(1, 8))}"),),
        )
        for n in range(1, data.draw(st.integers(1, 8)) + 1)
    ]
    rule = int(data.draw(st.sampled_from([PriceRule.FIRST_PRICE, PriceRule.SECOND_PRICE])))
    floor = data.draw(st.integers(0, 20)) * _STEP_MICROS
    views = [
        a_page_view(
            placements=tuple(a_placement(f"p{at}", floor_micros=floor) for at in range(data.draw(st.integers(1, 2)))),
            price_rule=rule, tmax_ms=5_000,
        )
        for _ in range(data.draw(st.integers(1, 2)))
    ]  # fmt: skip
    purses = data.draw(st.lists(st.sampled_from([1_000, 4_000, 10**9]), min_size=16, max_size=16))

    async def sold(capped: bool) -> list[tuple[str, str, int] | None]:
        terms = {bidder.name: BidderTerms(bid_cap_micros=cap if capped else 0) for cap, bidder in bidders}
        market = Market(items, outside=[bidder for _, bidder in bidders], terms=terms)
        market.purse.available[: len(purses)] = purses
        return [
            (place.ad.bidder, place.ad.advertiser_domain, place.ad.price_micros) if place.ad is not None else None
            for answer in await market.ask(*views)
            for place in answer.placements
        ]

    assert await sold(capped=True) == await sold(capped=False)
