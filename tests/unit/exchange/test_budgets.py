from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from backends.budget_ledger_sql import SqlBudgetLedger
from common.clock import SteppedClock
from common.errors import BackendUnavailable
from exchange.budgets import LONGEST_PAUSE_MS, BudgetBook
from exchange.ports import Budget
from tests.databases import open_database

pytestmark = pytest.mark.on_every_database

NOON = int(datetime(2026, 3, 5, 12, tzinfo=UTC).timestamp() * 1000)
HOUR = 3_600_000


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlBudgetLedger]:
    engine = open_database(tmp_path)
    yield SqlBudgetLedger(engine, least_lease_micros=10)
    engine.dispose()


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(NOON)


@pytest.fixture
def book(ledger: SqlBudgetLedger, clock: SteppedClock) -> BudgetBook:
    return BudgetBook(ledger, "a", clock)


def put(ledger: SqlBudgetLedger, account: int, total: int = 0, daily: int = 0, zone: str = "UTC") -> None:
    ledger.put_budget(Budget(account=account, total_micros=total, daily_micros=daily, currency="EUR", time_zone=zone))


def test_rows_stay_when_the_arrays_grow(book: BudgetBook) -> None:
    rows = [book.row_of(account) for account in range(5000, 8000)]

    assert rows == list(range(3000))
    assert [book.row_of(account) for account in range(5000, 8000)] == rows
    assert len(book.available) >= 3000


async def test_a_top_up_takes_a_share_and_fills_up_when_half_is_gone(book: BudgetBook, ledger: SqlBudgetLedger) -> None:
    put(ledger, 7, total=1000)
    row = book.row_of(7)
    await book.top_up()
    assert book.available[row] == 50

    book.available[row] -= 20
    await book.top_up()
    assert book.available[row] == 30

    book.available[row] -= 20
    await book.top_up()
    assert book.available[row] == 10 + 47
    assert book.standing(7).reserved_micros == 40


async def test_after_a_restart_a_remainder_too_small_for_an_ad_is_filled_up(
    book: BudgetBook, ledger: SqlBudgetLedger
) -> None:
    put(ledger, 7, total=1000)
    ledger.lease("a", {7: 30}, NOON)
    book.adopt({7: 30}, {7: 27})
    assert book.available[book.row_of(7)] == 3

    await book.top_up()

    assert book.available[book.row_of(7)] > 3


async def test_an_account_without_limits_needs_no_special_case(book: BudgetBook) -> None:
    row = book.row_of(7)

    await book.top_up()

    assert book.available[row] > 10**16


async def test_an_empty_account_is_asked_for_ever_less_often(book: BudgetBook, ledger: SqlBudgetLedger) -> None:
    put(ledger, 7, total=1)
    row = book.row_of(7)
    await book.top_up()
    book.available[row] -= 1
    await book.top_up()  # nothing is left
    put(ledger, 7, total=100)

    await book.top_up()
    assert book.available[row] == 0


async def test_an_account_that_was_empty_is_asked_for_again(
    book: BudgetBook, ledger: SqlBudgetLedger, clock: SteppedClock
) -> None:
    put(ledger, 7, total=1)
    row = book.row_of(7)
    await book.top_up()
    book.available[row] -= 1
    await book.top_up()
    put(ledger, 7, total=100)

    clock.step(LONGEST_PAUSE_MS)
    await book.top_up()

    assert book.available[row] == 10


async def test_a_new_day_where_the_campaign_runs_brings_new_money(
    book: BudgetBook, ledger: SqlBudgetLedger, clock: SteppedClock
) -> None:
    put(ledger, 7, daily=100, zone="Asia/Kolkata")
    row = book.row_of(7)
    await book.top_up()
    await book.cover({row: 95})
    assert book.available[row] == 100
    book.available[row] -= 60
    book.settle({}, {row: 50})  # 10 stay reserved

    clock.step(6 * HOUR)
    await book.top_up()
    assert (book.standing(7).leased_micros, book.available[row]) == (100, 40)

    clock.step(HOUR)
    await book.top_up()
    # Of yesterday's lease 40 went back, 60 are spent or reserved; a share of what the new day leaves was taken.
    assert (book.standing(7).leased_micros, book.available[row]) == (70, 10)
    assert ledger.leases_of("a")[0] == {7: 70}


async def test_renewing_lets_go_of_what_new_limits_do_not_allow(book: BudgetBook, ledger: SqlBudgetLedger) -> None:
    put(ledger, 7, total=1000)
    row = book.row_of(7)
    await book.cover({row: 500})
    book.available[row] -= 20

    put(ledger, 7, total=25)
    await book.renew([7, 99])

    assert book.available[row] == 5
    assert ledger.leases_of("a")[0] == {7: 25}


async def test_giving_back_keeps_what_is_reserved_leased(book: BudgetBook, ledger: SqlBudgetLedger) -> None:
    put(ledger, 7, total=1000)
    row = book.row_of(7)
    await book.cover({row: 100})
    book.available[row] -= 30

    await book.give_back_all()

    assert ledger.leases_of("a")[0] == {7: 30}
    assert book.available[row] == 0
    assert book.standing(7).reserved_micros == 30


async def test_covering_leases_what_is_missing_whatever_the_share(book: BudgetBook, ledger: SqlBudgetLedger) -> None:
    put(ledger, 7, total=1000)
    row = book.row_of(7)

    await book.cover({row: 900})
    await book.cover({row: 900})

    assert book.available[row] == 1000


def test_releasing_skips_outside_bids(book: BudgetBook) -> None:
    row, campaign = book.row_of(7), book.row_of(8)

    book.release(np.array([row, -1], np.int32), np.array([campaign, -1], np.int32), np.array([5, 9], np.int64))

    assert book.available[[row, campaign]].tolist() == [5, 5]
    assert not book.available[2:].any()


def test_billing_time_does_not_go_back_with_the_clock(book: BudgetBook, clock: SteppedClock) -> None:
    assert book.now_ms() == NOON
    clock.step(-60_000)
    assert book.now_ms() == NOON
    clock.step(-2 * HOUR)  # the clock was wrong before
    assert book.now_ms() == NOON - 60_000 - 2 * HOUR


async def test_a_top_up_whose_caller_is_gone_still_reaches_the_book(book: BudgetBook, ledger: SqlBudgetLedger) -> None:
    put(ledger, 7, total=1000)
    row = book.row_of(7)
    asked = asyncio.create_task(book.top_up())
    await asyncio.sleep(0)

    asked.cancel()
    await book.cover({row: 0})

    assert asked.cancelled()
    assert book.available[row] == sum(ledger.leases_of("a")[0].values()) == 50


async def test_a_ledger_that_does_not_answer_changes_nothing(book: BudgetBook, clock: SteppedClock) -> None:
    class Silent(SqlBudgetLedger):
        def __init__(self) -> None:
            pass

        def time_zones(self, accounts: object) -> dict[int, str]:
            raise BackendUnavailable("the SQL store does not answer")

    silent = BudgetBook(Silent(), "a", clock)
    row = silent.row_of(7)

    with pytest.raises(BackendUnavailable):
        await silent.top_up()

    assert silent.available[row] == 0
