"""Nobody waits for a bidder that could not matter, and nobody who could matter is left out."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.bidder_terms import BidderTerms
from exchange.bidding import OutsideBid
from exchange.early_close import bar_of
from exchange.request import PriceRule
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
