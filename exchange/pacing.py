"""How fast may each budget be spent? A controller per account, on the forecast curve of its own traffic.

Every few seconds: what was committed since the last step is compared with the plan (exchange/pacing_plan.py). Feed
forward gives the share of auctions at which the planned rate is expected; a PI term on what the account lags behind
corrects it. The lag leaks, is bounded by a minute of the plan, and stands still while there is no supply or nothing to
gain, so it cannot wind up. Whoever is ahead of the curve by more than a band pauses until the curve has caught up: for
budgets of a few impressions that alone paces (hysteresis, as in arXiv:2509.25429). Throttling on a forecast share is
that of Agarwal et al., "Budget pacing for targeted online advertisements at LinkedIn" (KDD 2014).

The hard cap is not here: leases never hand out more than the budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from exchange.pacing_draw import ALWAYS, threshold_of
from exchange.pacing_plan import DayPlan, day_plan
from exchange.pacing_ports import PacedAccount
from exchange.traffic_curve import TrafficCurves

# What was missed may be caught up at this times the even pace.
CATCH_UP: Final = 2.5
# Most that may be committed between two steps, in steps of the plan: a burst is cut there.
BURST: Final = 3.0
# The lag is bounded by this much of the plan, leaks over LEAK_S, and is to be gone within RECOVERY_S.
LAG_S: Final = 60.0
LEAK_S: Final = 300.0
RECOVERY_S: Final = 60.0
# Supply is what was met over the last minute or so, the worth of an auction that of a quarter of an hour.
SUPPLY_S: Final = 60.0
WORTH_S: Final = 900.0
# Ahead of the curve by one impression: pause. What a budget holds beyond TINY impressions adds this part of it, since
# the curve may be wrong where the PI term knows better.
TINY: Final = 100.0
BAND: Final = 0.25
# A share does not grow by more than this in one step; it may fall at once.
GROWTH: Final = 1.5
SPIKE: Final = 2.0
OUTAGE: Final = 0.1
# So many auctions expected, and none met: not chance (e^-10).
SURE: Final = 10.0
LEAST_SHARE: Final = 1.0 / (1 << 20)
# Plans made anew in one step, at most; the others wait for the next one.
_PLANS_PER_STEP: Final = 200
_EVER: Final = 1 << 62


class PacingController:
    """Pure but for its own memory: `follow` says who is paced, `step` what was seen, and what may be done next.

    Accounts have the positions 0, 1, … in the order of `follow`; all arrays are by position.
    """

    def __init__(self) -> None:
        self.accounts: list[PacedAccount] = []
        self.curves = TrafficCurves()
        self.position: dict[int, int] = {}
        # Shares of auctions in which each takes part, and how much it may commit until the next step.
        self.share = np.zeros(0)
        self.allowance_micros = np.zeros(0, np.int64)
        # Of the day: what is spent, what the curve says should be, the day's budget.
        self.spent_today_micros = np.zeros(0)
        self.planned_micros = np.zeros(0)
        self.day_budget_micros = np.zeros(0)
        self.spent_total_micros = np.zeros(0)
        self._unit = np.zeros(0)
        self._lag = np.zeros(0)
        self._paused = np.zeros(0, bool)
        # Leaky sums: commitments and auctions taken part in, auctions met and seconds.
        self._worth = np.zeros((0, 2))
        self._supply = np.zeros((0, 2))
        # Columns: rate, left, whole, later.
        self._plan = np.zeros((0, 4))
        self._plan_day = np.zeros(0, np.int64)
        self._plan_hour = np.zeros(0, np.int64)
        self._plan_until_ms = np.zeros(0, np.int64)
        self._daily = np.zeros(0)
        self._total = np.zeros(0)
        self._ends = np.zeros(0, bool)

    def follow(self, accounts: Sequence[PacedAccount], unit_micros: Sequence[int], now_ms: int) -> None:
        """From now on these are paced; those known before keep what was learned of them.

        `unit_micros` is what one impression of each may cost. What an account has spent by the record is taken over
        where it is more than was seen here.
        """
        before = self.position
        count = len(accounts)
        kept = np.array([before.get(entry.account, -1) for entry in accounts], np.int64).reshape(count)
        old = kept >= 0
        self.curves = self.curves.taken_over(kept)
        for name in (
            "share", "allowance_micros", "spent_today_micros", "planned_micros", "day_budget_micros",
            "spent_total_micros", "_lag", "_paused", "_worth", "_supply", "_plan", "_plan_day", "_plan_hour",
        ):  # fmt: skip
            was = getattr(self, name)
            fresh = np.zeros((count, *was.shape[1:]), was.dtype)
            fresh[old] = was[kept[old]]
            setattr(self, name, fresh)
        # Nothing is known of a new one: its allowance alone holds it.
        self.share[~old] = 1.0
        self.accounts = list(accounts)
        self.position = {entry.account: at for at, entry in enumerate(accounts)}
        self._unit = np.maximum(np.array(unit_micros, np.float64).reshape(count), 1.0)
        self._daily = np.array([entry.daily_micros for entry in accounts], np.float64).reshape(count)
        self._total = np.array([entry.total_micros for entry in accounts], np.float64).reshape(count)
        self._ends = np.array([entry.ends_at_ms > 0 for entry in accounts], bool).reshape(count)
        spent = np.array([entry.spent_total_micros for entry in accounts], np.float64).reshape(count)
        today = np.array([entry.spent_today_micros for entry in accounts], np.float64).reshape(count)
        self.spent_total_micros = np.maximum(self.spent_total_micros, spent)
        self.spent_today_micros = np.maximum(self.spent_today_micros, today)
        self._plan_until_ms = np.zeros(count, np.int64)
        for at in np.nonzero(~old)[0].tolist():
            self._replan(at, now_ms)

    def step(
        self,
        now_ms: int,
        seconds: float,
        committed_micros: NDArray[np.int64],
        met: NDArray[np.int64],
        passed: NDArray[np.int64],
    ) -> None:
        """Decide the next interval from what happened in the last one of `seconds`.

        `committed_micros` was committed in it (below zero when holds were released), `met` are auctions in which the
        account could have taken part, `passed` those in which it did.
        """
        if not self.accounts or not seconds > 0:
            return
        spent = committed_micros.astype(np.float64)
        self.spent_total_micros = np.maximum(self.spent_total_micros + spent, 0.0)
        self.spent_today_micros = np.maximum(self.spent_today_micros + spent, 0.0)
        self._learn(seconds, spent, met, passed)
        self._pass_time(now_ms, seconds)
        rate = self._rate()
        self._correct(seconds, spent, met, rate)
        self._decide(seconds, rate)

    def _learn(
        self, seconds: float, spent: NDArray[np.float64], met: NDArray[np.int64], passed: NDArray[np.int64]
    ) -> None:
        # Without supply nothing is learned and nothing forgotten.
        keep = np.where(passed > 0, np.exp(-seconds / WORTH_S), 1.0)[:, None]
        self._worth = self._worth * keep + np.stack([spent, passed.astype(np.float64)], axis=1)
        keep = np.exp(-seconds / SUPPLY_S)
        self._supply = self._supply * keep + np.stack([met.astype(np.float64), np.full(len(met), seconds)], axis=1)
        (rows,) = np.nonzero(self._plan[:, 0] > 0)
        # A spike is no habit: it does not make its hour more than SPIKE times what is usual then. Nor is an outage:
        # where traffic was sure to come and none came, the hour counts as watched for a part of the time.
        usual = self.curves.mean_of(rows) * self._plan[rows, 0] * seconds
        met_now = met[rows].astype(np.float64)
        self.curves.add(
            rows,
            self._plan_hour[rows],
            np.where(usual > 0, np.minimum(met_now, SPIKE * usual + 1.0), met_now),
            np.where((met_now == 0) & (usual > SURE), OUTAGE * seconds, seconds),
            seconds,
        )

    def _pass_time(self, now_ms: int, seconds: float) -> None:
        self._plan[:, 1] = np.maximum(self._plan[:, 1] - self._plan[:, 0] * seconds, 0.0)
        for at in np.nonzero(self._plan_until_ms <= now_ms)[0][:_PLANS_PER_STEP].tolist():
            self._replan(at, now_ms)

    def _replan(self, at: int, now_ms: int) -> None:
        account = self.accounts[at]
        plan: DayPlan = day_plan(account, self.curves.rates(at), now_ms)
        if self._plan_day[at] and plan.day > self._plan_day[at]:
            self.spent_today_micros[at] = 0.0
            self._lag[at] = 0.0
            self._paused[at] = False
        self._plan_day[at] = max(plan.day, int(self._plan_day[at]))
        self._plan_hour[at] = plan.hour
        self._plan[at] = plan.rate, plan.left, plan.whole, plan.later
        self._plan_until_ms[at] = plan.until_ms

    def _rate(self) -> NDArray[np.float64]:
        """Micros a second by plan, and the day's budget and curve along with it."""
        rate, left, whole, later = self._plan.T
        rest_of_day = np.where(self._daily > 0, self._daily - self.spent_today_micros, float(_EVER))
        ahead_of_us = np.maximum(left + later, 1e-9)
        # An account with an end has its total spread over its dates; without one there is nothing to spread over.
        rest_of_total = np.where(self._total > 0, self._total - self.spent_total_micros, float(_EVER))
        share_of_total = np.where(self._ends, rest_of_total * left / ahead_of_us, rest_of_total)
        rest = np.maximum(np.minimum(rest_of_day, share_of_total), 0.0)
        self.day_budget_micros = self.spent_today_micros + rest
        gone = np.where(whole > 0, 1.0 - left / np.maximum(whole, 1e-9), 1.0)
        self.planned_micros = self.day_budget_micros * np.clip(gone, 0.0, 1.0)
        even = np.where(whole > 0, self.day_budget_micros * rate / np.maximum(whole, 1e-9), 0.0)
        wanted = np.where(left > 0, rest * rate / np.maximum(left, 1e-9), 0.0)
        return np.minimum(wanted, CATCH_UP * even)

    def _correct(
        self, seconds: float, spent: NDArray[np.float64], met: NDArray[np.int64], rate: NDArray[np.float64]
    ) -> None:
        lag = self._lag * np.exp(-seconds / LEAK_S) + rate * seconds - spent
        # Nothing to integrate where there is no supply, or where all of it is taken and still more is wanted.
        still = (met == 0) | ((self.share >= 1.0) & (lag > self._lag)) | (rate <= 0)
        lag = np.where(still, self._lag, lag)
        bound = rate * LAG_S + self._unit
        self._lag = np.clip(lag, -bound, bound)
        band = self._unit + BAND * np.maximum(self.day_budget_micros - TINY * self._unit, 0.0)
        ahead = self.spent_today_micros - self.planned_micros
        self._paused = np.where(self._paused, ahead > 0, ahead >= band)

    def _decide(self, seconds: float, rate: NDArray[np.float64]) -> None:
        wanted = np.maximum(rate + self._lag / RECOVERY_S, 0.0)
        worth = self._worth[:, 0] / np.maximum(self._worth[:, 1], 1e-9)
        supply = self._supply[:, 0] / np.maximum(self._supply[:, 1], 1e-9)
        full = worth * supply
        known = (self._worth[:, 1] > 0) & (full > 1e-9)
        share = np.where(known, wanted / np.where(known, full, 1.0), 1.0)
        share = np.clip(np.minimum(share, self.share * GROWTH + 1e-4), LEAST_SHARE, 1.0)
        closed = self._paused | (rate <= 0)
        self.share = np.where(closed, self.share, share)
        allowance = np.maximum(BURST * wanted * seconds, self._unit)
        self.allowance_micros = np.where(closed, 0, np.minimum(allowance, float(_EVER))).astype(np.int64)

    def thresholds(self) -> NDArray[np.uint32]:
        """By position: the share of auctions as 32 bits. One that is closed is held by its allowance of 0."""
        assert len(self.share) == len(self.accounts), "a share for each account"
        return np.minimum(threshold_of(self.share), np.uint32(ALWAYS - 1))
