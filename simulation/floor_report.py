"""What are learned floors worth? The simulation from a seed to a report."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from exchange.floor_learning import Lift, curve
from simulation.chart import line_chart
from simulation.floor_market import LEARNED_SHARE, UPDATES, FloorVerdict, judge_prices, judge_synthetic, synthetic

_UNIT = 1_000_000


class FloorReport(msgspec.Struct, frozen=True):
    """Conditions and verdicts; `prices` is the name of the log, empty without one."""

    seed: int
    auctions: int
    prices: str
    synthetic: list[FloorVerdict]
    logged: list[FloorVerdict]


def simulate(*, seed: int, auctions: int, prices: Path | None) -> tuple[FloorReport, str]:
    """The report, and an SVG of a revenue curve."""
    made = [
        judge_synthetic(name, auctions=auctions, bidders=bidders, seed=seed)
        for name, bidders in (("uniform", 2), ("uniform", 4), ("exponential", 2), ("lognormal", 2))
    ]
    logged = judge_prices(prices, seed=seed) if prices is not None else []
    landscape, best = synthetic("exponential", auctions=auctions, bidders=2, seed=seed)
    candidates = np.linspace(0, 4 * _UNIT, 200)
    earned = curve(landscape, candidates) / _UNIT
    chart = line_chart(
        f"Revenue by floor, exponential bids of mean 1, best floor {best / _UNIT:g}",
        {"revenue per mille, parts of a unit": earned},
        top=1.0,
        across="floor from 0 to 4 units",
    )
    return FloorReport(seed, auctions, prices.name if prices else "", made, logged), chart


def text(report: FloorReport) -> str:
    """The report as Markdown."""
    lines = [
        "# Learned floors, simulated",
        "",
        f"Written by `haat simulate floors --seed {report.seed}" + (" --prices FILE" if report.prices else "") + "`. "
        f"Floors are learned on the first {LEARNED_SHARE:.0%} of the auctions in {UPDATES} bounded updates, and "
        f"judged on "
        "the rest, which nothing was tuned on. Second price; revenue per thousand auctions in currency units, "
        "lifts with "
        "95 % intervals (paired bootstrap over blocks of auctions). Floors are never below the static ones.",
        "",
        "## Landscapes whose best floor is known",
        "",
        *_table(report.synthetic, "true best"),
    ]
    if report.logged:
        lines += [
            "",
            f"## Prices of a real market ({report.prices})",
            "",
            "The same sales are read in two ways. *As it stands* takes the one bidder's logged bids; they were "
            "fixed by "
            "its strategy, so that a floor just below them looks like a windfall: no buyer would go on bidding so, and "
            "the figure is an upper bound that nobody should expect. *Two buyers at market prices* draws both bids of "
            "an auction from the prices that the market paid for the same kind of placement around the same time. "
            "In both no buyer reacts to the floor.",
            "",
            *_table(report.logged, "hindsight"),
        ]
    lines += [
        "",
        "![Revenue by floor](floors.svg)",
        "",
        "In service a held-out share of sessions keeps the static floors; what they earn beside the others is the only "
        "figure that counts, and a floor that loses there for sure is withdrawn.",
    ]
    return "\n".join(lines) + "\n"


def _table(verdicts: list[FloorVerdict], best: str) -> list[str]:
    rows = [
        f"| landscape | auctions | no floor | static | learned | {best} | learned / best | over none | over static |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for v in verdicts:
        money = " | ".join(f"{value / _UNIT:.4f}" for value in (v.none, v.static, v.learned, v.best))
        rows.append(
            f"| {v.name} | {v.auctions:,} | {money} | {v.learned / v.best:.1%} | {_lift(v.over_none)} | "
            f"{_lift(v.over_static)} |"
        )
    return rows


def _lift(lift: Lift) -> str:
    return f"{lift.lift:+.1%} [{lift.low:+.1%}, {lift.high:+.1%}]"
