"""How even was it? What a pacer did beside what a perfect one would have done, campaign by campaign and day by day."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from simulation.pacing_market import STEP_S, Market, MarketCampaign, Run, expected_views
from simulation.traffic import Rhythm, Shock

_DAY_S = 86_400
_STEPS_A_DAY = _DAY_S // STEP_S
_STEPS_A_MINUTE = 60 // STEP_S
# Minutes in which a perfect pacer would sell fewer than this are not called dark: none may be sold by chance.
_LIVELY = 3.0
_GONE = 0.995


class Verdict(msgspec.Struct, frozen=True):
    """Means over campaigns and days.

    `error` is the mean distance from the target curve in parts of the day's budget, `dark_minutes` those of a day in
    which traffic came, the campaign could have bought, and did not; `early_hours` how long before midnight the money
    was gone; `delivered` the part of the budgets that was spent; `worst_error` of any campaign-day.
    """

    pacer: str
    error: float
    worst_error: float
    small_error: float
    dark_minutes: float
    early_hours: float
    delivered: float
    overspent_days: int


def target(market: Market, campaign: MarketCampaign, day: int) -> NDArray[np.float64]:
    """Where a perfect pacer stands at the end of each step, as a part of the day's budget."""
    seconds = day * _DAY_S + np.arange(_STEPS_A_DAY, dtype=np.float64) * STEP_S
    views = expected_views(market, campaign, seconds).cumsum()
    curve: NDArray[np.float64] = views / views[-1]
    return curve


def judge(name: str, run: Run, first_day: int, end_day: int) -> Verdict:
    """The verdict over the days from `first_day` up to, and without, `end_day`."""
    market = run.market
    errors: list[float] = []
    small: list[float] = []
    dark: list[int] = []
    early: list[float] = []
    delivered: list[float] = []
    overspent = 0
    for number, campaign in enumerate(market.campaigns):
        for day in range(first_day, end_day):
            part = slice(day * _STEPS_A_DAY, (day + 1) * _STEPS_A_DAY)
            spent = run.spent_today[part, number] / campaign.daily_micros
            sold = run.sold[part, number].reshape(-1, _STEPS_A_MINUTE).sum(axis=1)
            met = run.met[part, number].reshape(-1, _STEPS_A_MINUTE).sum(axis=1)
            tiny = campaign.daily_micros < 200 * campaign.bid_micros / 1000
            error = float(np.abs(spent - target(market, campaign, day)).mean())
            (small if tiny else errors).append(error)
            by_minute = np.diff(target(market, campaign, day)[_STEPS_A_MINUTE - 1 :: _STEPS_A_MINUTE], prepend=0.0)
            lively = by_minute * campaign.daily_micros / (campaign.bid_micros / 1000) >= _LIVELY
            if lively.any():
                dark.append(int((lively & (met > 2 * _LIVELY) & (sold == 0)).sum()))
            gone = np.nonzero(spent >= _GONE)[0]
            early.append((_STEPS_A_DAY - int(gone[0]) - 1) * STEP_S / 3600 if len(gone) else 0.0)
            delivered.append(float(spent[-1]))
            overspent += int(spent.max() > 1.0)
    return Verdict(
        name,
        float(np.mean(errors)) if errors else 0.0,
        float(np.max(errors)) if errors else 0.0,
        float(np.mean(small)) if small else 0.0,
        float(np.mean(dark)) if dark else 0.0,
        float(np.mean(early)),
        float(np.mean(delivered)),
        overspent,
    )


def a_market(*, seed: int, days: int, campaigns: int = 24, mean: float = 4.0) -> Market:
    """Competitors of all sizes: budgets from a thirtieth to most of what they could buy, every sixth a tiny one; a
    spike and a drought each day from the second on.
    """
    rng = np.random.default_rng(seed)
    rhythm = Rhythm(mean=mean)
    made = []
    for number in range(campaigns):
        reach = float(rng.uniform(0.05, 0.3))
        bid = int(rng.uniform(1.0, 4.0) * 1e6)
        views = mean * _DAY_S * reach
        # What it could buy alone, cut to what competition leaves of it.
        part = float(np.exp(rng.uniform(np.log(0.01), np.log(0.12))))
        daily = int(views * part * bid / 1000)
        if number % 6 == 5:
            daily = int(rng.integers(15, 60) * bid / 1000)
        made.append(MarketCampaign(reach, float(rng.uniform(0, 24)), bid, daily))
    shocks = []
    for day in range(1, days):
        shocks.append(Shock(day * _DAY_S + int(rng.integers(8, 12)) * 3600, 900, 5.0))
        shocks.append(Shock(day * _DAY_S + int(rng.integers(13, 17)) * 3600, 2 * 3600, 0.0))
    return Market(tuple(made), days, seed, rhythm, tuple(shocks))
