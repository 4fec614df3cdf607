"""How well does a pacer spend in a market of competitors? Auctions by the second over days, seeded, with a known truth.

Campaigns bid against one another at second price; a share of what is sold is never seen, and its money comes back after
two minutes. Taking part is decided by the exchange's own kernel. Because the market knows the true rhythm of each
campaign's traffic, it can say where a perfect pacer would be.
"""

from __future__ import annotations

from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from exchange.pacing_draw import Paces, held_back
from ranking.kernel_cache import kernel
from simulation.traffic import Rhythm, Shock, shocked, usual

STEP_S = 10
_DAY_S = 86_400
_RELEASE_S = 120
# Monday 2026-01-05 00:00 UTC.
START_MS = 1_767_571_200_000


class MarketCampaign(msgspec.Struct, frozen=True):
    """One campaign: which share of page views it is for, when most of them come, what it bids, and its day's budget."""

    reach: float
    peak_hour: float
    bid_micros: int
    daily_micros: int = 0


class Market(msgspec.Struct, frozen=True):
    """What is simulated; the same seed is the same market, auction by auction."""

    campaigns: tuple[MarketCampaign, ...]
    days: int
    seed: int
    rhythm: Rhythm = Rhythm()
    shocks: tuple[Shock, ...] = ()
    seen_share: float = 0.85
    floor_micros: int = 300_000


class Pacing(Protocol):
    """What is judged: told every step what was spent and met, it says who takes part how often."""

    def begin(self, market: Market) -> None:
        """A new run."""

    def step(
        self, second: int, committed: NDArray[np.int64], met: NDArray[np.int64], passed: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """(thresholds, allowances) of the next interval."""


class Run(msgspec.Struct):
    """What happened: by step and campaign, micros committed by then in its day, impressions sold, auctions met."""

    market: Market
    spent_today: NDArray[np.int64]
    sold: NDArray[np.int32]
    met: NDArray[np.int32]


def expected_views(market: Market, campaign: MarketCampaign, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The usual page views a second that a campaign is for: the market's rhythm, tilted to the campaign's own hours."""
    hour = seconds / 3600.0 % 24.0
    tilt = 1.0 + 0.6 * np.cos((hour - campaign.peak_hour) / 24.0 * 2.0 * np.pi)
    return usual(market.rhythm, seconds) * campaign.reach * tilt


def run(market: Market, pacing: Pacing) -> Run:
    """Hold all auctions of the market's days under one pacer."""
    rng = np.random.default_rng(market.seed)
    count, steps = len(market.campaigns), market.days * _DAY_S // STEP_S
    seconds = np.arange(steps, dtype=np.float64) * STEP_S
    arrivals = rng.poisson(usual(market.rhythm, seconds) * shocked(seconds, market.shocks) * STEP_S)
    base = np.maximum(usual(market.rhythm, seconds), 1e-9)
    reach = np.stack([expected_views(market, c, seconds) / base for c in market.campaigns], axis=1)
    bids = np.array([campaign.bid_micros for campaign in market.campaigns], np.float64)
    daily = np.array([campaign.daily_micros or 1 << 60 for campaign in market.campaigns], np.int64)
    out = Run(
        market,
        np.zeros((steps, count), np.int64),
        np.zeros((steps, count), np.int32),
        np.zeros((steps, count), np.int32),
    )
    available = daily.copy()
    leased = daily.copy()
    met, passed = np.zeros(count, np.int64), np.zeros(count, np.int64)
    release = np.zeros((steps + _RELEASE_S // STEP_S + 1, count), np.int64)
    before = np.zeros(count, np.int64)
    threshold = np.full(count, 0xFFFFFFFE, np.uint32)
    ceiling = np.full(count, 1 << 60, np.int64)
    pacing.begin(market)
    for step in range(steps):
        if step * STEP_S % _DAY_S == 0:
            # A new day: what is held from yesterday is yesterday's.
            available[:] = daily
            before[:] = 0
            release[step : step + _RELEASE_S // STEP_S + 1] = 0
        available += release[step]
        committed = leased - available
        threshold, allowance = pacing.step(step * STEP_S, committed - before, met, passed)
        before = committed
        ceiling = committed + allowance
        met[:] = 0
        passed[:] = 0
        views = int(arrivals[step])
        paces = Paces(threshold, ceiling, leased, met, passed, rng.integers(0, 1 << 63, views).astype(np.uint64), 0)
        chances = rng.random((views, count + 1))
        noise = np.exp(rng.normal(0.0, 0.35, (views, count)))
        _hold(
            paces, available, reach[step], bids, noise, chances, market.seen_share, float(market.floor_micros),
            out.sold[step], release[step + _RELEASE_S // STEP_S],
        )  # fmt: skip
        out.met[step] = met
        out.spent_today[step] = leased - available
    return out


@kernel
def _hold(paces, available, reach, bids, noise, chances, seen_share, floor, sold, release):  # type: ignore[no-untyped-def]
    count = available.shape[0]
    for view in range(chances.shape[0]):
        best, first, second = -1, 0.0, floor
        for campaign in range(count):
            if chances[view, campaign] >= reach[campaign]:
                continue
            if available[campaign] < bids[campaign] // 1000:
                paces.met[campaign] += 1
                continue
            if held_back(paces, view, available, campaign, campaign + 1, count, 0):
                continue
            offer = bids[campaign] * min(noise[view, campaign], 1.0)
            if offer <= first or offer < floor:
                second = max(second, offer)
                continue
            if best >= 0:
                second = max(second, first)
            best, first = campaign, offer
        if best < 0:
            continue
        price = np.int64(np.ceil(second / 1000.0))
        available[best] -= price
        if chances[view, count] < seen_share:
            sold[best] += 1
        else:
            release[best] += price
