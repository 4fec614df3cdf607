from __future__ import annotations

import pytest
from msgspec.structs import replace

from backends.budget_ledger_sql import SqlBudgetLedger
from common.clock import SteppedClock
from exchange.budgets import BudgetBook
from exchange.holds import Holds, Terms
from exchange.request import PricingModel
from tests.won_batches import Sold, a_batch, reserve_of

START = 1_700_000_000_000
TERMS = Terms(unseen_ms=100, seen_ms=1_000, clicked_ms=10_000)


@pytest.fixture
def book() -> BudgetBook:
    ledger = SqlBudgetLedger.__new__(SqlBudgetLedger)  # never asked
    return BudgetBook(ledger, "a", SteppedClock(START))


CPM = Sold(line_item=3, price_micros=2_500, page=0, index=0)
CPC = Sold(line_item=1, price_micros=400_000, pricing=PricingModel.CPC, page=2, index=4)
OUTSIDE = Sold(line_item=0, price_micros=9_000, page=2, index=5)


def test_an_ad_is_found_by_its_impression_id(book: BudgetBook) -> None:
    holds = Holds(TERMS)
    batch, (first, second, third) = a_batch(book, START, [CPM, CPC, OUTSIDE], visitor_id="v")
    holds.add(batch)

    hold = holds.find(second)
    assert hold is not None
    assert (hold.line_item_number, hold.price_micros, hold.left_micros) == (1, 400_000, 20_000)
    assert (hold.line_item_row, hold.campaign_row) == (book.row_of(1), book.row_of((1 << 31) + 1))
    assert (hold.visitor_id, hold.product_id, hold.bidder) == ("v", "product-1", "brand_campaign")
    outside = holds.find(third)
    assert outside is not None
    assert (outside.line_item_row, outside.left_micros, outside.advertiser_domain) == (-1, 0, "shop.example")
    assert holds.find(first) is not None
    assert len(holds) == 3


@pytest.mark.parametrize("ending", [".1", ".", ".00", ".0 ", ".-0", ".+0", "0", "", ".0.0", ".99999", ".٠"])
def test_an_id_is_known_only_as_it_was_given_out(book: BudgetBook, ending: str) -> None:
    holds = Holds(TERMS)
    batch, (known,) = a_batch(book, START, [CPM])
    holds.add(batch)

    assert holds.find(known) is not None
    assert holds.find(known[:32] + ending) is None
    assert holds.find(known.upper()) is None or known.upper() == known


def test_unseen_ads_are_released_when_their_term_is_over(book: BudgetBook) -> None:
    holds = Holds(TERMS)
    batch, ids = a_batch(book, START, [CPM, CPC, OUTSIDE])
    holds.add(batch)

    assert not len(holds.expire(START + 99).micros)
    released = holds.expire(START + 100)

    assert released.line_item_rows.tolist() == [book.row_of(3), book.row_of(1), -1]
    assert released.micros.tolist() == [reserve_of(CPM), reserve_of(CPC), 0]
    assert [holds.find(i) for i in ids] == [None] * 3
    assert len(holds) == 0
    assert not len(holds.expire(START + 10**9).micros)


def test_a_seen_ad_is_kept_for_its_own_term(book: BudgetBook) -> None:
    holds = Holds(TERMS)
    batch, (first, second) = a_batch(book, START, [CPM, CPC])
    holds.add(batch)
    hold = holds.find(second)
    assert hold is not None
    holds.keep(replace(hold, seen_at_ms=START + 50))

    assert holds.expire(START + 100).micros.tolist() == [reserve_of(CPM)]
    assert holds.find(first) is None
    assert holds.find(second) is not None
    assert not len(holds.expire(START + 1_049).micros)
    assert holds.expire(START + 1_050).micros.tolist() == [reserve_of(CPC)]


def test_a_clicked_ad_is_kept_for_its_conversions(book: BudgetBook) -> None:
    holds = Holds(TERMS)
    batch, (ad,) = a_batch(book, START, [CPC])
    holds.add(batch)
    hold = holds.find(ad)
    assert hold is not None
    holds.keep(replace(hold, seen_at_ms=START + 50))
    holds.keep(replace(hold, seen_at_ms=START + 50, clicked_at_ms=START + 900, left_micros=7))

    assert not len(holds.expire(START + 10_899).micros)
    assert holds.find(ad) is not None
    assert holds.expire(START + 10_900).micros.tolist() == [7]
    assert len(holds) == 0


def test_nothing_is_remembered_of_what_is_over(book: BudgetBook) -> None:
    holds = Holds(TERMS)
    for at in range(50):
        batch, ids = a_batch(book, START + at, [CPM, CPC])
        holds.add(batch)
        for impression_id in ids[at % 2 :]:
            hold = holds.find(impression_id)
            assert hold is not None
            holds.keep(replace(hold, seen_at_ms=START + at, clicked_at_ms=at % 3 and START + at, left_micros=0))

    holds.expire(START + 20_000)

    assert not holds._batches
    assert not holds._kept
    assert not holds._moments
    assert [len(line) for line in (holds._unseen, holds._seen, holds._clicked)] == [0, 0, 0]


def test_a_batch_whose_ads_are_all_seen_is_freed_at_once(book: BudgetBook) -> None:
    holds = Holds(TERMS)
    batch, (ad,) = a_batch(book, START, [CPM])
    holds.add(batch)
    hold = holds.find(ad)
    assert hold is not None

    holds.keep(replace(hold, seen_at_ms=START))

    assert not holds._batches
    assert not len(holds.expire(START + 100).micros)


def test_a_clock_that_was_far_ahead_does_not_keep_money_for_ever(book: BudgetBook) -> None:
    holds = Holds(TERMS)
    wrong, _ = a_batch(book, START + 10**10, [CPM])
    holds.add(wrong)
    assert not len(holds.expire(START + 10**10).micros)
    right, (ad,) = a_batch(book, START, [CPC])
    holds.add(right)

    assert holds.expire(START + 10).micros.tolist() == [reserve_of(CPM)]
    assert holds.find(ad) is not None
    assert holds.expire(START + 100).micros.tolist() == [reserve_of(CPC)]


def test_a_clock_that_was_set_back_releases_nothing_late(book: BudgetBook) -> None:
    holds = Holds(TERMS)
    newer, (seen_later, still_open) = a_batch(book, START, [CPC, CPM])
    older, (seen_before, over) = a_batch(book, START - 90, [CPC, CPM])
    for batch in (newer, older):
        holds.add(batch)
    for impression_id, at in ((seen_later, START), (seen_before, START - 90)):
        hold = holds.find(impression_id)
        assert hold is not None
        holds.keep(replace(hold, seen_at_ms=at))

    assert holds.expire(START + 20).micros.tolist() == [reserve_of(CPM)]
    assert holds.find(over) is None
    assert holds.find(still_open) is not None
    assert holds.expire(START + 950).micros.tolist() == [reserve_of(CPM), reserve_of(CPC)]
    assert holds.find(seen_before) is None
    assert holds.find(seen_later) is not None


def test_a_small_step_back_of_the_clock_ends_nothing_early(book: BudgetBook) -> None:
    holds = Holds(TERMS)
    batch, _ = a_batch(book, START, [CPM])
    holds.add(batch)

    assert not len(holds.expire(START - 60_000).micros)


def test_reserved_money_adds_up_by_row(book: BudgetBook) -> None:
    holds = Holds(TERMS)
    batch, (first, _, _) = a_batch(book, START, [CPM, CPC, OUTSIDE])
    holds.add(batch)
    hold = holds.find(first)
    assert hold is not None
    holds.keep(replace(hold, seen_at_ms=START, left_micros=1))

    # Line items 1 and 3 share campaign 1.
    assert {row: m for row, m in holds.reserved_by_row().items() if m} == {
        book.row_of(3): 1,
        book.row_of(1): reserve_of(CPC),
        book.row_of((1 << 31) + 1): 1 + reserve_of(CPC),
    }


def test_an_empty_batch_costs_nothing(book: BudgetBook) -> None:
    holds = Holds(TERMS)
    batch, _ = a_batch(book, START, [])

    holds.add(batch)

    assert not holds._batches
