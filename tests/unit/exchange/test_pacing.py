"""The controller against a plant that it knows nothing of: supply by the second, and money that every auction costs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from exchange.pacing import CATCH_UP, PacingController
from exchange.pacing_plan import day_plan
from exchange.pacing_ports import PacedAccount
from exchange.traffic_curve import TrafficCurves, hours_between, quarters_of

pytestmark = pytest.mark.slow

MONDAY_MS = 1_767_571_200_000  # 2026-01-05 00:00 UTC
HOUR_S, DAY_S = 3_600, 86_400
STEP_S = 30
UNIT = 2_000  # micros of an impression


def an_account(number: int = 1, **changes: Any) -> PacedAccount:
    facts: dict[str, Any] = {"account": number, "time_zone": "UTC", "daily_micros": 10_000 * UNIT}
    return PacedAccount(**{**facts, **changes})


class Plant:
    """One account in a market: `supply` auctions a second, each of which costs a unit when it takes part and wins."""

    def __init__(
        self, account: PacedAccount, supply: Callable[[int], float], *, start_ms: int = MONDAY_MS, wins: float = 0.5
    ) -> None:
        self.account, self.supply, self.start_ms, self.wins = account, supply, start_ms, wins
        self.controller = PacingController()
        self.controller.follow([account], [UNIT], start_ms)
        self.rng = np.random.default_rng(7)
        self.second = 0
        self.spent: list[int] = []
        self.allowed_micros = UNIT

    def run(self, seconds: int) -> None:
        for _ in range(seconds // STEP_S):
            controller = self.controller
            met = int(self.rng.poisson(self.supply(self.second) * STEP_S))
            passed = int(self.rng.binomial(met, float(controller.share[0])))
            sold = int(self.rng.binomial(passed, self.wins))
            # As the kernel does: nothing more once the ceiling is reached; and leases never give more than a day has.
            room = max(-(-self.allowed_micros // UNIT), 0)
            cap = (self.account.daily_micros or 1 << 50) - int(controller.spent_today_micros[0])
            spent = min(sold, room, max(cap // UNIT, 0)) * UNIT
            self.spent.append(spent)
            self.second += STEP_S
            controller.step(
                self.start_ms + self.second * 1000,
                float(STEP_S),
                np.array([spent]),
                np.array([met]),
                np.array([passed]),
            )
            self.allowed_micros = int(controller.allowance_micros[0])

    def spent_between(self, first_s: int, last_s: int) -> int:
        return sum(self.spent[first_s // STEP_S : last_s // STEP_S])


def test_flat_traffic_is_spent_evenly_and_whole() -> None:
    plant = Plant(an_account(), lambda _: 2.0)
    plant.run(DAY_S)

    whole = plant.spent_between(0, DAY_S)
    assert 0.98 * plant.account.daily_micros <= whole <= plant.account.daily_micros
    for hour in range(0, 24, 6):
        assert plant.spent_between(hour * HOUR_S, (hour + 6) * HOUR_S) == pytest.approx(whole / 4, rel=0.08)


@pytest.mark.slow
def test_the_second_day_follows_the_traffic_of_the_first() -> None:
    plant = Plant(an_account(), lambda second: 8.0 if second % DAY_S >= DAY_S // 2 else 2.0)
    plant.run(2 * DAY_S)

    morning = plant.spent_between(DAY_S, DAY_S + DAY_S // 2)
    evening = plant.spent_between(DAY_S + DAY_S // 2, 2 * DAY_S)
    assert morning / (morning + evening) == pytest.approx(0.2, abs=0.04)


def test_it_does_not_wind_up_while_supply_is_gone() -> None:
    gone = range(8 * HOUR_S, 12 * HOUR_S)
    plant = Plant(an_account(), lambda second: 0.0 if second in gone else 2.0)
    plant.run(12 * HOUR_S)
    even = plant.account.daily_micros / 24
    bound = even / 60 + UNIT
    assert abs(float(plant.controller._lag[0])) <= 2 * bound

    plant.run(12 * HOUR_S)

    after = plant.spent_between(12 * HOUR_S, 13 * HOUR_S)
    assert after <= CATCH_UP * even
    # What was missed is laid over the rest of the day, not into the first hour of it.
    assert after == pytest.approx(even * 16 / 12, rel=0.2)
    assert plant.spent_between(0, DAY_S) >= 0.97 * plant.account.daily_micros


@pytest.mark.slow
def test_a_long_drought_is_caught_up_no_faster_than_the_limit() -> None:
    plant = Plant(an_account(), lambda second: 0.0 if DAY_S <= second < DAY_S + 22 * HOUR_S else 2.0)
    plant.run(2 * DAY_S)

    even = plant.account.daily_micros / 24
    assert even * 2 < plant.spent_between(DAY_S + 22 * HOUR_S, 2 * DAY_S) <= 2 * CATCH_UP * even * 1.6


def test_a_spike_is_not_spent_into() -> None:
    spike = range(10 * HOUR_S, 10 * HOUR_S + 900)
    plant = Plant(an_account(), lambda second: 40.0 if second in spike else 2.0)
    plant.run(11 * HOUR_S)

    even = plant.account.daily_micros / 96
    assert plant.spent_between(10 * HOUR_S, 10 * HOUR_S + 900) <= 2.0 * even


def test_a_campaign_made_before_midnight_does_not_spend_the_day_in_ten_minutes() -> None:
    plant = Plant(an_account(), lambda _: 100.0, start_ms=MONDAY_MS + (DAY_S - 600) * 1000)
    plant.run(600)

    assert plant.spent_between(0, 600) <= CATCH_UP * plant.account.daily_micros * 600 / DAY_S * 1.3


def test_a_budget_of_ten_impressions_is_spread_over_the_day() -> None:
    plant = Plant(an_account(daily_micros=10 * UNIT), lambda _: 5.0)
    plant.run(DAY_S)

    for quarter in range(4):
        sold = plant.spent_between(quarter * 6 * HOUR_S, (quarter + 1) * 6 * HOUR_S) // UNIT
        assert 1 <= sold <= 4
    assert 9 <= plant.spent_between(0, DAY_S) // UNIT <= 10


def test_it_spends_within_its_hours_and_all_of_it() -> None:
    hours = tuple(day * 24 + hour for day in range(7) for hour in range(9, 17))
    plant = Plant(an_account(hours_of_week=hours), lambda second: 4.0 if 9 <= second % DAY_S // HOUR_S < 17 else 0.0)
    plant.run(DAY_S)

    assert plant.spent_between(0, DAY_S) >= 0.97 * plant.account.daily_micros
    noon = plant.spent_between(9 * HOUR_S, 13 * HOUR_S)
    assert noon == pytest.approx(plant.account.daily_micros / 2, rel=0.08)


def test_outside_of_its_hours_nothing_is_allowed() -> None:
    plant = Plant(an_account(hours_of_week=(30, 31)), lambda _: 4.0)
    plant.run(2 * HOUR_S)

    assert plant.allowed_micros == 0


@pytest.mark.slow
def test_a_total_is_spread_over_its_dates() -> None:
    account = an_account(
        daily_micros=0, total_micros=40_000 * UNIT, starts_at_ms=MONDAY_MS, ends_at_ms=MONDAY_MS + 4 * DAY_S * 1000
    )
    plant = Plant(account, lambda _: 2.0)
    plant.run(4 * DAY_S)

    for day in range(4):
        assert plant.spent_between(day * DAY_S, (day + 1) * DAY_S) == pytest.approx(10_000 * UNIT, rel=0.05)


def test_a_total_without_an_end_has_no_pace() -> None:
    assert not an_account(daily_micros=0, total_micros=5).has_a_pace
    assert an_account(daily_micros=0, total_micros=5, ends_at_ms=9).has_a_pace
    assert an_account(daily_micros=5).has_a_pace


def test_a_new_day_begins_at_nothing_spent() -> None:
    plant = Plant(an_account(daily_micros=1_000 * UNIT), lambda _: 2.0)
    plant.run(3 * DAY_S)

    for day in range(3):
        spent = plant.spent_between(day * DAY_S, (day + 1) * DAY_S)
        assert 0.97 <= spent / plant.account.daily_micros <= 1.0


@pytest.mark.parametrize(("day", "quarters"), [(datetime(2026, 3, 29), 92), (datetime(2026, 10, 25), 100)])
def test_a_day_on_which_clocks_change_is_spent_whole(day: datetime, quarters: int) -> None:
    first_ms, hours = quarters_of(day.toordinal(), "Europe/Berlin")
    plant = Plant(an_account(time_zone="Europe/Berlin"), lambda _: 2.0, start_ms=first_ms)
    plant.run(quarters * 900)

    assert len(hours) == quarters
    assert plant.spent_between(0, quarters * 900) >= 0.98 * plant.account.daily_micros
    assert plant.spent_between(0, quarters * 450) == pytest.approx(plant.account.daily_micros / 2, rel=0.05)


def test_days_are_those_of_the_campaign() -> None:
    first_ms, hours = quarters_of(datetime(2026, 1, 6).toordinal(), "Asia/Kathmandu")

    assert datetime.fromtimestamp(first_ms / 1000, UTC) == datetime(2026, 1, 5, 18, 15, tzinfo=UTC)
    assert (hours[0], hours[-1], len(hours)) == (24, 47, 96)


def test_what_the_record_says_is_taken_over_and_what_was_learned_is_kept() -> None:
    plant = Plant(an_account(), lambda _: 2.0)
    plant.run(6 * HOUR_S)
    controller = plant.controller
    share, spent = float(controller.share[0]), float(controller.spent_today_micros[0])
    more = an_account(spent_today_micros=int(spent) + 500 * UNIT, spent_total_micros=int(spent) + 500 * UNIT)
    controller.follow([an_account(2), more], [UNIT, UNIT], MONDAY_MS + 6 * HOUR_S * 1000)

    assert float(controller.share[1]) == share
    assert float(controller.spent_today_micros[1]) == spent + 500 * UNIT
    assert float(controller.spent_today_micros[0]) == 0.0
    assert controller.curves.met[1].sum() > 0 == controller.curves.met[0].sum()


def test_a_curve_is_flat_until_something_is_known_and_believes_the_record_as_a_shape() -> None:
    curves = TrafficCurves(1)
    assert np.ptp(curves.rates(0)) == 0

    met = np.tile(np.repeat([1_000.0, 3_000.0], 12), 7)
    curves.believe(0, met, np.full(168, 3_600.0))

    rates = curves.rates(0)
    assert rates[12] / rates[0] == pytest.approx(7 / 3)  # drawn from 3 towards flat by a quarter of an hour
    assert rates.mean() == pytest.approx(1.0)


def test_hours_between_counts_whole_weeks_and_parts_of_hours() -> None:
    seconds = hours_between(167, (168 + 1) * 3_600_000 + 1_800_000)

    assert (seconds[167], seconds[0], seconds[1]) == (7_200.0, 5_400.0, 3_600.0)
    assert seconds.sum() == pytest.approx(169.5 * 3_600)


def test_a_plan_ends_with_its_dates() -> None:
    account = an_account(starts_at_ms=MONDAY_MS + 6 * HOUR_S * 1000, ends_at_ms=MONDAY_MS + 18 * HOUR_S * 1000)
    flat = np.ones(168)

    before, after = (day_plan(account, flat, MONDAY_MS + hour * HOUR_S * 1000) for hour in (5, 19))
    assert (before.rate, before.left, before.whole) == (0.0, 12 * HOUR_S, 12 * HOUR_S)
    assert (after.rate, after.left) == (0.0, 0.0)
