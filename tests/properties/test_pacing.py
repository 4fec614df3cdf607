"""Does the controller stay within its bounds, whatever it is told?"""

from __future__ import annotations

import copy

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.pacing import BURST, CATCH_UP, LAG_S, RECOVERY_S, PacingController
from exchange.pacing_ports import PacedAccount

START_MS = 1_767_571_200_000
STEPS = st.lists(
    st.tuples(
        st.floats(0.1, 600), st.integers(-(10**9), 10**9), st.integers(0, 10**6), st.floats(0, 1)
    ),
    max_size=30,
)  # fmt: skip
ACCOUNTS = st.builds(
    PacedAccount,
    account=st.integers(1, 1 << 32),
    time_zone=st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Dhaka"]),
    total_micros=st.sampled_from([0, 1, 10**6, 10**15]),
    daily_micros=st.integers(0, 10**15),
    starts_at_ms=st.sampled_from([0, START_MS + 3_600_000]),
    ends_at_ms=st.sampled_from([0, START_MS + 1, START_MS + 86_400_000 * 40]),
    hours_of_week=st.sampled_from([(), (0,), tuple(range(9, 17))]),
    spent_total_micros=st.integers(0, 10**15),
    spent_today_micros=st.integers(0, 10**15),
)


def walked(accounts: list[PacedAccount], steps: list[tuple[float, int, int, float]]) -> PacingController:
    controller = PacingController()
    controller.follow(accounts, [2_000] * len(accounts), START_MS)
    now_ms = START_MS
    for seconds, spent, met, passed in steps:
        now_ms += int(seconds * 1000)
        count = len(accounts)
        controller.step(
            now_ms, seconds, np.full(count, spent), np.full(count, met), np.full(count, int(met * passed), np.int64)
        )
        assert np.all((controller.share >= 0) & (controller.share <= 1))
        assert np.all(controller.thresholds() < 0xFFFFFFFF)
        assert np.all(controller.allowance_micros >= 0)
    return controller


@settings(deadline=None)
@given(st.lists(ACCOUNTS, min_size=1, max_size=3), STEPS)
def test_shares_and_allowances_stay_within_their_bounds(
    accounts: list[PacedAccount], steps: list[tuple[float, int, int, float]]
) -> None:
    controller = walked(accounts, steps)

    assert np.all(np.isfinite(controller.share))
    assert np.all(np.isfinite(controller.planned_micros))
    bound = CATCH_UP * np.maximum(controller.day_budget_micros, 1.0) * LAG_S + 2_000
    assert np.all(np.abs(controller._lag) <= bound)


@settings(deadline=None)
@given(STEPS, st.floats(0.1, 60), st.integers(1, 10**6), st.integers(0, 10**8), st.integers(1, 10**8))
def test_who_has_spent_more_gets_no_more(
    steps: list[tuple[float, int, int, float]], seconds: float, met: int, spent: int, more: int
) -> None:
    account = PacedAccount(account=1, time_zone="UTC", daily_micros=10**9)
    controller = walked([account], steps)
    other = copy.deepcopy(controller)
    now_ms = START_MS + 10 * 86_400_000

    for each, micros in ((controller, spent), (other, spent + more)):
        # The worth of an auction is left as it was, so that money alone differs.
        each._worth = np.array([[1_000.0, 10.0]])
        each._learn = lambda *_: None  # type: ignore[method-assign]
        each.step(now_ms, seconds, np.array([micros]), np.array([met]), np.array([met]))

    assert other.share[0] <= controller.share[0]
    assert other.allowance_micros[0] <= controller.allowance_micros[0]


@settings(deadline=None)
@given(st.integers(10**4, 10**9), st.lists(st.integers(0, 10**5), min_size=1, max_size=60))
def test_greed_within_the_allowance_never_outspends_the_day(daily_micros: int, wishes: list[int]) -> None:
    """Whoever takes all that is allowed, every time, ends within the day's budget and one impression."""
    controller = PacingController()
    unit = 1_000
    controller.follow([PacedAccount(account=1, time_zone="UTC", daily_micros=daily_micros)], [unit], START_MS)
    spent = allowed = 0
    for at, wish in enumerate(wishes, 1):
        taken = min(wish * unit, allowed)
        spent += taken
        controller.step(START_MS + at * 60_000, 60.0, np.array([taken]), np.array([wish]), np.array([wish]))
        allowed = int(controller.allowance_micros[0])

    share_of_day = len(wishes) * 60 / 86_400
    most = BURST * CATCH_UP * (1 + LAG_S / RECOVERY_S) * share_of_day * daily_micros
    assert spent <= most + unit * (len(wishes) + 1)
