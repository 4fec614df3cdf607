"""Does a packed record say of every bid what clearing was told, and is it small?"""

from __future__ import annotations

import asyncio

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

from exchange.packed_bids import ClearedBids, dense, packed, trouble, unpacked
from streams.auction_block import AuctionColumns
from tests.builders import Market, a_line_item, a_page_view

BATCH = 400


async def a_record() -> AuctionColumns:
    market = Market([a_line_item(1)])
    await market.ask(a_page_view())
    return market.published[0]


def a_batch(ads: int, chances: NDArray[np.float64]) -> tuple[NDArray[np.uint32], ClearedBids]:
    """Bids of `ads` ads in turn: four line items to an advertiser, three categories, every third without a product."""
    ad = np.arange(len(chances)) % ads
    facts = (ad // 4 + 7_000_000, np.where(ad % 3 == 0, -1, ad + (1 << 33)), ad % 3)
    return (ad + 1).astype(np.uint32), ClearedBids(chances, (ad % 3 + 1).astype(np.uint8), *facts)


def read_back(record: AuctionColumns, items: NDArray[np.uint32], bids: ClearedBids) -> ClearedBids:
    columns = {
        "bid_placement": np.zeros(len(items), np.uint32),
        "bid_line_item": items,
        "bid_creative": items,
        "bid_click_probability": bids.chance.astype(np.float32),
        **packed(items, items, bids),
    }
    again = replace(record, **columns)
    assert trouble(again) == ""
    return unpacked(again)


def same_partition(one: NDArray[np.int64], other: NDArray[np.int64]) -> bool:
    return bool(np.array_equal(one[:, None] == one, other[:, None] == other) and np.array_equal(one < 0, other < 0))


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=200), st.integers(1, 80))
def test_chances_come_back_to_the_last_bit_and_numbers_as_equal(chances: list[float], ads: int) -> None:
    record = asyncio.run(a_record())
    items, bids = a_batch(ads, np.array(chances, np.float64))

    again = read_back(record, items, bids)

    assert again.chance.tobytes() == bids.chance.tobytes()
    assert again.pricing.tolist() == bids.pricing.tolist()
    for name in ("advertiser", "product", "category"):
        assert same_partition(getattr(again, name), getattr(bids, name)), name


async def test_more_ads_than_a_byte_can_number_are_told_apart() -> None:
    items, bids = a_batch(1500, np.full(1500, 0.01))

    again = read_back(await a_record(), items, bids)

    assert len(np.unique(again.product)) == len(np.unique(bids.product)) > 255
    assert same_partition(again.product, bids.product)


async def test_what_repeats_is_written_once() -> None:
    """24 bytes a bid were written before: 8 for the chance, 4 each for what the ad decides."""
    rates = np.random.default_rng(3).uniform(1e-4, 0.2, BATCH)
    items, bids = a_batch(40, rates)
    columns = packed(items, items, bids)
    sizes = {
        name: getattr(value, "nbytes", None) or len(value) for name, value in columns.items() if name != "cleared_bids"
    }
    assert sizes == {
        "chance_rest": 4 * BATCH,
        "ad_pricing": 40,
        "ad_advertiser": 40,
        "ad_product": 40,
        "ad_category": 40,
    }

    # Smoothed rates are few: as many as products and places.
    items, bids = a_batch(40, rates[np.arange(BATCH) % 120])
    assert packed(items, items, bids)["chance_rest"].nbytes == 4 * 120


async def test_two_chances_that_are_one_in_32_bits_are_kept_apart() -> None:
    items, bids = a_batch(1, np.array([0.01, np.nextafter(0.01, 1.0), 0.01]))

    again = read_back(await a_record(), items, bids)

    assert again.chance.tolist() == bids.chance.tolist()
    assert len(set(again.chance.tolist())) == 2


def test_numbers_are_given_in_the_order_of_first_appearance() -> None:
    number, first = dense(np.array([5, -1, 5, 1 << 40, -1, 0], np.int64))

    assert number.tolist() == [0, 1, 0, 2, 1, 3]
    assert first.tolist() == [0, 1, 3, 5]
