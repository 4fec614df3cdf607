"""How even does each pacer spend? The simulation from a seed to a report: figures, text and a chart."""

from __future__ import annotations

import msgspec
import numpy as np

from simulation.chart import line_chart
from simulation.pacers import AsFastAsPossible, Exchange, PlainThrottle
from simulation.pacing_judgement import Verdict, a_market, judge, target
from simulation.pacing_market import STEP_S, Market, Run, run

_STEPS_A_DAY = 86_400 // STEP_S


class PacingReport(msgspec.Struct, frozen=True):
    """Conditions and verdicts: of the first day, on which nothing is known yet, and of the days after it."""

    seed: int
    days: int
    campaigns: int
    step_s: int
    page_views_per_s: float
    first_day: list[Verdict]
    later_days: list[Verdict]


def simulate(*, seed: int, days: int, campaigns: int = 24, mean: float = 4.0) -> tuple[PacingReport, str]:
    """The report, and an SVG of one campaign's last day."""
    market = a_market(seed=seed, days=days, campaigns=campaigns, mean=mean)
    runs: dict[str, Run] = {}
    for pacer in (Exchange(), PlainThrottle(), AsFastAsPossible()):
        runs[pacer.name] = run(market, pacer)
    report = PacingReport(
        seed,
        days,
        campaigns,
        STEP_S,
        mean,
        [judge(name, done, 0, 1) for name, done in runs.items()],
        [judge(name, done, 1, days) for name, done in runs.items()] if days > 1 else [],
    )
    return report, _chart(market, runs)


def text(report: PacingReport) -> str:
    """The report as Markdown."""
    lines = [
        "# Pacing, simulated",
        "",
        f"Written by `haat simulate pacing --seed {report.seed} --days {report.days}`. {report.campaigns} "
        f"campaigns bid "
        f"against one another at second price, {report.page_views_per_s:g} page views a second on average with "
        f"a rhythm "
        "of day and week. Each campaign's traffic has hours of its own. From the second day on each day has a spike "
        "(five times the traffic for a quarter of an hour) and a drought (two hours without any), which no pacer is "
        "told of. 15 % of what is sold is never seen; its money comes back after two minutes. The pacer decides every "
        f"{report.step_s} s.",
        "",
        "*Error*: mean distance between what was spent and the curve of a perfect pacer, who knows the usual "
        "traffic, in % of the day's budget (budgets of fewer than 200 impressions apart: *tiny*); *worst* is that of "
        "one campaign on one day. *Dark minutes*: a day's minutes in which traffic came, a perfect pacer would have "
        "sold three impressions and more, and none was sold. *Early*: hours before midnight when 99.5 % was gone.",
    ]
    for heading, verdicts in (
        ("The first day: nothing is known of the traffic", report.first_day),
        ("The days after it", report.later_days),
    ):
        if not verdicts:
            continue
        lines += [
            "",
            f"## {heading}",
            "",
            "| pacer | error | worst | error, tiny | dark minutes | early | delivered | days overspent |",
            "|---|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {v.pacer} | {v.error:.1%} | {v.worst_error:.1%} | {v.small_error:.1%} | {v.dark_minutes:.1f} | "
            f"{v.early_hours:.1f} h | {v.delivered:.1%} | {v.overspent_days} |"
            for v in verdicts
        ]
    lines += [
        "",
        "![One campaign on the last day](pacing.svg)",
        "",
        "`haat` is the controller of `exchange/pacing.py`, the very code that serves; *throttle* moves its share by a "
        "tenth a minute towards an even line, without a forecast; *ASAP* does not pace. What the simulation "
        "leaves out: "
        "clicks and conversions that are billed later, several processes on one budget, and advertisers who react.",
    ]
    return "\n".join(lines) + "\n"


def _chart(market: Market, runs: dict[str, Run]) -> str:
    day = market.days - 1
    number = int(np.argmax([campaign.daily_micros for campaign in market.campaigns]))
    campaign = market.campaigns[number]
    part = slice(day * _STEPS_A_DAY, (day + 1) * _STEPS_A_DAY)
    lines = {"perfect": target(market, campaign, day)}
    lines |= {name: done.spent_today[part, number] / campaign.daily_micros for name, done in runs.items()}
    return line_chart(f"Spent of the day's budget, largest campaign, day {day + 1}", lines, top=1.0, across="0 to 24 h")
