from __future__ import annotations

from random import Random

import pytest
from msgspec.structs import replace

from common.clock import SteppedClock
from exchange.budgets import BudgetBook
from exchange.holds import Holds
from exchange.request import PricingModel
from exchange.won_batch import kept_of
from tests.won_batches import Sold, a_batch, pricing_of, reserve_of

START = 1_700_000_000_000


@pytest.fixture
def book() -> BudgetBook:
    return BudgetBook(None, "a", SteppedClock(START))  # type: ignore[arg-type]  # never asked


def some_ads(chance: Random) -> list[Sold]:
    places = {(chance.randrange(9), chance.randrange(7)) for _ in range(chance.randrange(1, 30))}
    return [
        Sold(item, chance.randrange(1, 10**9), pricing_of(item) if item else PricingModel.CPM, page, index)
        for page, index in places
        for item in [chance.randrange(5)]
    ]


@pytest.mark.parametrize("seed", range(20))
def test_every_ad_of_a_moment_is_found_as_what_it_is(seed: int, book: BudgetBook) -> None:
    chance, holds = Random(seed), Holds()
    sold: dict[str, Sold] = {}
    for at_ms in (START, START, START, START + 1):
        ads = some_ads(chance)
        batch, ids = a_batch(book, at_ms, ads)
        holds.add(batch)
        sold |= dict(zip(ids, ads, strict=True))

    assert len(holds) == len(sold)
    for auction_id in {impression_id[:32] for impression_id in sold}:
        for index in range(8):
            hold, ad = holds.find(f"{auction_id}.{index}"), sold.get(f"{auction_id}.{index}")
            assert (hold is None) is (ad is None)
            if hold is not None and ad is not None:
                told = (
                    hold.line_item_number,
                    hold.price_micros,
                    hold.pricing_model,
                    hold.left_micros,
                    hold.placement_id,
                )
                assert told == (ad.line_item, ad.price_micros, ad.pricing, reserve_of(ad), f"place-{index}")


def test_a_batch_of_several_moments_is_found_and_forgotten_by_each(book: BudgetBook) -> None:
    batch, ids = a_batch(book, START, [Sold(1, 5, page=0), Sold(2, 6, page=1)])
    later, _ = a_batch(book, START + 40, [Sold(1, 5, page=0), Sold(2, 6, page=1)])
    holds = Holds()
    holds.add(replace(batch, auction_ids=[batch.auction_ids[0], later.auction_ids[1]]))

    first, second = holds.find(ids[0]), holds.find(f"{later.auction_ids[1]}.0")

    assert first is not None
    assert second is not None
    assert (first.price_micros, second.price_micros) == (5, 6)
    holds.keep(replace(first, seen_at_ms=START))
    holds.keep(replace(second, seen_at_ms=START))
    assert not holds._moments


def test_the_end_of_one_id_and_the_beginning_of_the_next_are_no_id(book: BudgetBook) -> None:
    batch, _ = a_batch(book, START, [Sold(1, 5, page=0), Sold(2, 6, page=1)])
    alike = ["ab" * 16, "ab" * 15 + "cd"]
    kept = kept_of(replace(batch, auction_ids=alike))

    assert kept.entry_of(alike[0], 0) == 0
    assert kept.entry_of(alike[1], 0) == 1
    assert kept.entry_of("ba" * 16, 0) is None
    assert kept.entry_of("ab" * 15 + "ce", 0) is None
    # Found first across the border, and then where it is.
    shifted = kept_of(replace(batch, auction_ids=["0" + "1" * 31, "1" * 32]))
    assert shifted.entry_of("1" * 32, 0) == 1
