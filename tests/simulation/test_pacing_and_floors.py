"""Do pacing and learned floors keep to their figures in a market that is made up? The quick form of `haat simulate`."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import InvalidInput
from simulation import floor_report, pacing_report
from simulation.floor_market import judge_prices, judge_synthetic
from simulation.pacers import AsFastAsPossible, Exchange, PlainThrottle
from simulation.pacing_judgement import Verdict, a_market, judge
from simulation.pacing_market import run

pytestmark = pytest.mark.slow


def verdicts(seed: int, days: int, campaigns: int) -> dict[str, Verdict]:
    """Of the last day, by pacer."""
    market = a_market(seed=seed, days=days, campaigns=campaigns, mean=2.0)
    return {
        pacer.name: judge(pacer.name, run(market, pacer), days - 1, days)
        for pacer in (Exchange(), PlainThrottle(), AsFastAsPossible())
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 23])
def test_pacing_follows_the_traffic_through_spikes_and_droughts(seed: int) -> None:
    of = verdicts(seed, 2, 12)

    assert of["haat"].error <= 0.05
    assert of["haat"].worst_error <= 0.20  # of one that competition leaves too little
    assert of["haat"].dark_minutes <= 5
    assert of["haat"].early_hours <= 0.5
    assert of["haat"].delivered >= 0.97
    assert of["haat"].overspent_days == 0
    assert of["haat"].error < of["throttle"].error / 2 < of["ASAP"].error / 4


def test_even_the_first_day_is_paced_without_going_dark() -> None:
    market = a_market(seed=5, days=1, campaigns=6)
    verdict = judge("haat", run(market, Exchange()), 0, 1)

    assert verdict.error <= 0.15
    assert verdict.dark_minutes <= 10
    assert verdict.delivered >= 0.97
    assert verdict.overspent_days == 0


def test_the_same_seed_is_the_same_market() -> None:
    first, second = (run(a_market(seed=3, days=1, campaigns=3, mean=0.3), AsFastAsPossible()) for _ in range(2))

    assert (first.spent_today == second.spent_today).all()
    assert (first.met == second.met).all()


@pytest.mark.parametrize("name", ["uniform", "exponential", "lognormal"])
def test_learned_floors_earn_nearly_what_the_best_floor_does(name: str) -> None:
    verdict = judge_synthetic(name, auctions=30_000, seed=4)

    assert verdict.learned / verdict.best >= 0.985
    assert verdict.over_none.low > 0
    assert verdict.over_static.low > 0


def test_reports_say_how_they_were_made(tmp_path: Path) -> None:
    pacing, chart = pacing_report.simulate(seed=2, days=1, campaigns=2, mean=0.2)
    assert "--seed 2" in pacing_report.text(pacing)
    assert chart.startswith("<svg")

    rows = ["timestamp,ad_exchange,ad_slot_width,ad_slot_height,bidding_price,paying_price,ad_slot_floor_price"]
    rows += [f"{at:05},1,300,250,300,{20 + at % 97},5" for at in range(400)] + ["x,1,1,1,nan,inf,-5", "short"]
    log = tmp_path / "prices.csv"
    log.write_text("\n".join(rows))
    floors, chart = floor_report.simulate(seed=2, auctions=2_000, prices=log)
    assert "market prices" in floor_report.text(floors)
    assert chart.startswith("<svg")
    assert [verdict.auctions for verdict in floors.logged] == [400, 200]


def test_a_log_without_prices_is_refused(tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("bidding_price,paying_price\n1,2\n")

    with pytest.raises(InvalidInput, match="--prices"):
        judge_prices(tmp_path / "few.csv")
    with pytest.raises(InvalidInput, match="--prices"):
        judge_prices(tmp_path / "none.csv")
