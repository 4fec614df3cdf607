"""Do all ledgers keep the promises of exchange.ports.BudgetLedger, and those that the budget book needs beyond?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backends.budget_draws_sql import SqlBudgetDraws
from backends.budget_ledger_pooled import PooledBudgetLedger
from backends.budget_ledger_sql import UNLIMITED_MICROS, SqlBudgetLedger, write_budget
from backends.budget_pool_redis import MOST_MICROS, RedisBudgetPool
from common.clock import SteppedClock
from common.errors import Conflict, InvalidInput
from exchange.ports import CAMPAIGN_ACCOUNTS, Budget, Spend
from tests.databases import open_database

pytestmark = pytest.mark.on_every_database

NOON = int(datetime(2026, 3, 5, 12, tzinfo=UTC).timestamp() * 1000)
# What nodes share a pool of leases by keeps all promises but one: what share of the remainder a lease is.
Ledger = SqlBudgetLedger | PooledBudgetLedger
DAY = 86_400_000
HOUR = 3_600_000
CAMPAIGN = CAMPAIGN_ACCOUNTS + 1


@pytest.fixture(params=["sql", pytest.param("pooled", marks=pytest.mark.services)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    engine = open_database(tmp_path)
    in_sql = SqlBudgetLedger(engine, least_lease_micros=10)
    if request.param == "sql":
        yield in_sql
    else:
        redis = request.getfixturevalue("redis")
        pool = RedisBudgetPool(redis)
        yield PooledBudgetLedger(in_sql, SqlBudgetDraws(engine), pool, SteppedClock(NOON), least_micros=10)
    engine.dispose()


def limits(account: int, total: int = 0, daily: int = 0, zone: str = "UTC") -> Budget:
    return Budget(account=account, total_micros=total, daily_micros=daily, currency="EUR", time_zone=zone)


def spend(micros: int, at_ms: int = NOON) -> Spend:
    return Spend(line_item_number=7, campaign_number=1, billed_micros=micros, taken_at_ms=at_ms, kind=1)


def test_leases_of_all_holders_together_stay_within_the_total(ledger: Ledger) -> None:
    ledger.put_budget(limits(7, total=100))

    assert ledger.lease("a", {7: 60}, NOON) == {7: 60}
    assert ledger.lease("b", {7: 60}, NOON) == {7: 40}
    assert ledger.lease("a", {7: 1}, NOON) == {7: 0}


def test_leases_and_spend_of_the_day_stay_within_the_daily_limit(ledger: Ledger) -> None:
    ledger.put_budget(limits(7, total=1000, daily=100))
    ledger.lease("a", {7: 80}, NOON)
    ledger.settle("a", [spend(50)], 1)

    assert ledger.lease("a", {7: 100}, NOON) == {7: 20}
    assert ledger.state(7, NOON).spent_today_micros == 50


def test_a_new_day_counts_from_zero_with_open_leases_counted_in(ledger: Ledger) -> None:
    ledger.put_budget(limits(7, daily=100))
    ledger.lease("a", {7: 100}, NOON)
    ledger.settle("a", [spend(60)], 1)

    assert ledger.lease("a", {7: 100}, NOON + DAY) == {7: 60}
    assert ledger.state(7, NOON + DAY).spent_today_micros == 0


def test_days_are_those_of_the_time_zone(ledger: Ledger) -> None:
    ledger.put_budget(limits(7, daily=100, zone="Asia/Kolkata"))
    ledger.lease("a", {7: 100}, NOON)
    ledger.settle("a", [spend(100)], 1)

    # Midnight in Kolkata is at 18:30 UTC.
    assert ledger.lease("a", {7: 100}, NOON + 6 * HOUR) == {7: 0}
    assert ledger.lease("a", {7: 100}, NOON + 7 * HOUR) == {7: 100}


def test_a_clock_set_back_over_midnight_does_not_open_the_day_before_again(ledger: Ledger) -> None:
    ledger.put_budget(limits(7, daily=100))
    ledger.lease("a", {7: 100}, NOON)
    ledger.settle("a", [spend(100)], 1)

    assert ledger.lease("a", {7: 100}, NOON - DAY) == {7: 0}


def test_spend_of_yesterday_counted_today_does_not_take_from_today(ledger: Ledger) -> None:
    ledger.put_budget(limits(7, daily=100))
    ledger.lease("a", {7: 100}, NOON)
    ledger.settle("a", [spend(10, NOON + DAY), spend(90, NOON)], 1)

    state = ledger.state(7, NOON + DAY)
    assert (state.spent_total_micros, state.spent_today_micros, state.leased_micros) == (100, 10, 0)


def test_what_is_given_back_can_be_leased_again(ledger: Ledger) -> None:
    ledger.put_budget(limits(7, total=100))
    ledger.lease("a", {7: 100}, NOON)

    ledger.give_back("a", {7: 30})

    assert ledger.lease("b", {7: 100}, NOON) == {7: 30}


def test_nobody_gives_back_more_than_it_has(ledger: Ledger) -> None:
    ledger.lease("a", {7: 5, 8: 5}, NOON)

    with pytest.raises(Conflict):
        ledger.give_back("a", {7: 6, 8: 1})

    assert ledger.leases_of("a") == ({7: 5, 8: 5}, NOON)


def test_leases_of_a_dead_holder_come_back_and_no_others(ledger: Ledger) -> None:
    ledger.put_budget(limits(7, total=100))
    ledger.lease("dead", {7: 70}, NOON)
    ledger.lease("alive", {7: 10}, NOON)

    ledger.give_back_all("dead")

    assert ledger.holders() == ["alive"]
    assert ledger.lease("alive", {7: 100}, NOON) == {7: 90}


def test_spend_goes_to_the_line_item_and_its_campaign_out_of_their_leases(ledger: Ledger) -> None:
    ledger.put_budget(limits(7, total=100))
    ledger.put_budget(limits(CAMPAIGN, total=200))
    ledger.lease("a", {7: 50, CAMPAIGN: 80}, NOON)

    ledger.settle("a", [spend(20), spend(5)], 2)

    states = ledger.standings([7, CAMPAIGN], NOON)
    assert [(s.spent_total_micros, s.leased_micros) for s in states.values()] == [(25, 25), (25, 55)]


def test_records_that_are_counted_are_not_counted_again(ledger: Ledger) -> None:
    ledger.settle("a", [spend(20)], 2)
    ledger.settle("a", [spend(20)], 2)
    ledger.settle("a", [spend(20)], 1)

    assert ledger.counted_upto() == 2
    assert ledger.state(7, NOON).spent_total_micros == 20


def test_a_second_projector_is_told_that_it_read_too_early(ledger: Ledger) -> None:
    ledger.settle("a", [spend(20)], 2, from_offset=0)

    with pytest.raises(Conflict, match="counted up to 2"):
        ledger.settle("a", [spend(20), spend(1)], 3, from_offset=0)

    assert ledger.state(7, NOON).spent_total_micros == 20


def test_spend_beyond_the_lease_is_counted_all_the_same(ledger: Ledger) -> None:
    ledger.lease("a", {7: 5}, NOON)

    ledger.settle("a", [spend(20)], 1)

    state = ledger.state(7, NOON)
    assert (state.spent_total_micros, state.leased_micros) == (20, 0)


def test_outside_bids_have_no_account_and_still_move_the_offset(ledger: Ledger) -> None:
    ledger.settle("a", [Spend(0, 0, 500, NOON, 1)], 1)

    assert ledger.counted_upto() == 1
    assert ledger.state(CAMPAIGN_ACCOUNTS, NOON).spent_total_micros == 0


def test_limits_below_what_is_spent_and_leased_end_new_leases(ledger: Ledger) -> None:
    ledger.put_budget(limits(7, total=100))
    ledger.lease("a", {7: 60}, NOON)
    ledger.settle("a", [spend(40)], 1)

    ledger.put_budget(limits(7, total=30))

    assert ledger.lease("a", {7: 100}, NOON) == {7: 0}
    assert ledger.state(7, NOON).spent_total_micros == 40


def test_limits_that_are_raised_keep_what_was_spent(ledger: Ledger) -> None:
    ledger.settle("a", [spend(40)], 1)

    ledger.put_budget(limits(7, total=100))

    assert ledger.lease("a", {7: 100}, NOON) == {7: 60}


def test_an_account_without_limits_is_never_short(ledger: Ledger) -> None:
    for holder in ("a", "b", "c"):
        granted = ledger.lease(holder, {7: UNLIMITED_MICROS}, NOON, share=20)[7]
        assert granted > 10**14


@pytest.mark.parametrize("share", [1, 20])
def test_an_account_without_limits_is_leased_again_however_often_it_is_given_back(ledger: Ledger, share: int) -> None:
    for holder in ("a", "b") * 3:
        granted = ledger.lease(holder, {5: 1_000_000}, NOON, share=share)
        assert granted == {5: 1_000_000}
        ledger.give_back(holder, granted)

    assert ledger.state(5, NOON).leased_micros == 0


def test_an_account_without_limits_covers_exactly_what_is_missing_however_much_was_leased(ledger: Ledger) -> None:
    assert ledger.lease("a", {5: MOST_MICROS - 10}, NOON) == {5: MOST_MICROS - 10}

    assert [ledger.lease("b", {5: micros}, NOON) for micros in (4, 100, 7)] == [{5: 4}, {5: 100}, {5: 7}]
    assert ledger.leases_of("b")[0] == {5: 111}


def test_a_share_is_taken_of_what_remains_and_never_dust(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    ledger = SqlBudgetLedger(engine, least_lease_micros=10)
    ledger.put_budget(limits(7, total=1000))

    assert ledger.lease("a", {7: 10_000}, NOON, share=20) == {7: 50}
    assert ledger.lease("a", {7: 940}, NOON) == {7: 940}
    assert ledger.lease("a", {7: 10_000}, NOON, share=20) == {7: 10}
    engine.dispose()


def test_remainders_are_kept_by_payer(ledger: Ledger) -> None:
    ledger.settle("a", [], 1, carried={7: 999, "7": 1})
    ledger.settle("a", [], 2, carried={7: 5, 8: 6})

    assert ledger.carried() == {7: 5, 8: 6, "7": 1}


def test_remainders_of_records_that_were_counted_change_nothing(ledger: Ledger) -> None:
    ledger.settle("a", [], 2, carried={7: 5})
    ledger.settle("a", [], 2, carried={7: 6})

    assert ledger.carried() == {7: 5}


def test_time_zones_are_those_of_the_limits(ledger: Ledger) -> None:
    ledger.put_budget(limits(7, zone="Europe/Zurich"))

    assert ledger.time_zones([7, 8]) == {7: "Europe/Zurich", 8: "UTC"}


@pytest.mark.parametrize(
    ("budget", "field"),
    [
        (limits(7, total=-1), "total_micros"),
        (limits(7, daily=1 << 62), "daily_micros"),
        (limits(7, zone="Mars/Olympus"), "time_zone"),
        (limits(7, zone="../etc/passwd"), "time_zone"),
        (limits(7, zone=""), "time_zone"),
    ],
)
def test_limits_that_make_no_sense_are_refused_by_field(ledger: Ledger, budget: Budget, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        ledger.put_budget(budget)

    assert [error.field for error in refused.value.errors] == [field]


def test_limits_written_in_a_callers_transaction_fall_with_it(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    ledger = SqlBudgetLedger(engine)

    with engine.connect() as connection, connection.begin() as transaction:
        write_budget(connection, limits(7, total=10))
        transaction.rollback()

    assert ledger.lease("a", {7: 100}, NOON) == {7: 100}
    engine.dispose()


def test_many_accounts_go_in_one_call(ledger: Ledger) -> None:
    wanted = {account: account for account in range(1, 2500)}

    assert ledger.lease("a", wanted, NOON) == wanted
    ledger.give_back("a", wanted)

    assert not ledger.holders()
