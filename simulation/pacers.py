"""Who is compared? The exchange's pacer, and two that anybody could write: none, and a throttle without a forecast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exchange.pacing import PacingController
from exchange.pacing_draw import threshold_of
from exchange.pacing_ports import PacedAccount
from simulation.pacing_market import START_MS, STEP_S, Market

_DAY_S = 86_400
_ENOUGH = 1 << 60


class Exchange:
    """The controller that the exchange runs."""

    name = "haat"

    def __init__(self) -> None:
        self.controller = PacingController()

    def begin(self, market: Market) -> None:
        """A new run: nothing is known yet."""
        self.controller = PacingController()
        self.controller.follow(
            [
                PacedAccount(account=at + 1, time_zone="UTC", daily_micros=campaign.daily_micros)
                for at, campaign in enumerate(market.campaigns)
            ],
            [campaign.bid_micros // 1000 for campaign in market.campaigns],
            START_MS,
        )

    def step(
        self, second: int, committed: NDArray[np.int64], met: NDArray[np.int64], passed: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """One step of the controller."""
        self.controller.step(START_MS + second * 1000, float(STEP_S), committed, met, passed)
        return self.controller.thresholds(), self.controller.allowance_micros


class AsFastAsPossible:
    """No pacing: everybody takes part until the money is gone."""

    name = "ASAP"

    def begin(self, market: Market) -> None:
        """A new run."""

    def step(
        self, second: int, committed: NDArray[np.int64], met: NDArray[np.int64], passed: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Always in."""
        return threshold_of(np.ones(len(met))), np.full(len(met), _ENOUGH, np.int64)


class PlainThrottle:
    """A share that goes up or down by a tenth a minute, towards an even line through the day, whatever comes when."""

    name = "throttle"

    def __init__(self) -> None:
        self._daily = np.zeros(0)
        self._spent = np.zeros(0)
        self._share = np.zeros(0)

    def begin(self, market: Market) -> None:
        """A new run."""
        self._daily = np.array([campaign.daily_micros for campaign in market.campaigns], np.float64)
        self._spent = np.zeros(len(market.campaigns))
        self._share = np.full(len(market.campaigns), 0.1)

    def step(
        self, second: int, committed: NDArray[np.int64], met: NDArray[np.int64], passed: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Compare with the line once a minute."""
        if second % _DAY_S == 0:
            self._spent[:] = 0
        self._spent += committed
        if second % 60 == 0:
            line = self._daily * (second % _DAY_S) / _DAY_S
            self._share = np.clip(np.where(self._spent < line, self._share * 1.1, self._share * 0.9), 0.001, 1.0)
        return threshold_of(self._share), np.full(len(met), _ENOUGH, np.int64)
