"""How soon are new posts seen, and what does it cost? The simulation with and without guaranteed places."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import numpy as np

from feed.learned import LearnedRanking
from feed.recording import Publish
from feed.sources.fresh import EXPLORED_SHARE
from simulation.chart import line_chart
from simulation.feed_run import POSTS_A_DAY, FeedRun, run

MARKS = (1, 10, 30, 100)
_HOUR_MS = 3_600_000
# Posts that were there for so long when the run ended.
_OLD_ENOUGH_MS = 24 * _HOUR_MS


class FirstImpressions(msgspec.Struct, frozen=True):
    """Of posts a day old and older: the share that got so many impressions within a day, and after how many hours half
    of all and nine in ten did; None where so many never did.
    """

    impressions: int
    within_a_day: float
    median_h: float | None
    p90_h: float | None


class ExplorationRun(msgspec.Struct, frozen=True):
    """One run. `gini` is of the impressions of posts a day old and older: 0 is all alike, 1 one has them all."""

    explored_share: float
    pages: int
    posts: int
    first: list[FirstImpressions]
    never_seen: float
    gini: float
    clicks_per_mille: float
    clicks_per_mille_low: float
    clicks_per_mille_high: float
    explored_clicks_per_mille: float | None
    ways: dict[str, list[float]]


class ExplorationReport(msgspec.Struct, frozen=True):
    """Conditions and both runs."""

    seed: int
    days: float
    ranker: str
    runs: list[ExplorationRun]


def simulate(
    *,
    seed: int,
    pages: int,
    days: float,
    publish: Publish,
    learned: LearnedRanking | None = None,
    said: Callable[[int], None] = lambda pages: None,
) -> tuple[ExplorationReport, str]:
    """The report, and an SVG of the share of posts by hours until their tenth impression.

    Only the run with exploration is told to `publish`: it is the feed as it is.
    """
    runs, curves = [], {}
    for share, name in ((EXPLORED_SHARE, "one place in eight kept"), (0.0, "no place kept")):
        tell = publish if share else _nobody
        found = asyncio.run(
            run(seed=seed, pages=pages, days=days, publish=tell, explored_share=share, learned=learned, said=said)
        )
        runs.append(_judged(found, share))
        hours = _hours_until(found, 10)
        curves[name] = np.array([float((hours <= hour).mean()) for hour in range(25)])
    chart = line_chart(
        "New posts that were seen ten times, by hours since they were published",
        curves,
        top=1.0,
        across="0 to 24 hours",
    )
    return ExplorationReport(seed, days, learned.version if learned else "hand-weighted", runs), chart


def text(report: ExplorationReport) -> str:
    """The report as Markdown."""
    kept, none = report.runs
    lines = [
        "# Exploration of new posts, simulated",
        "",
        f"Written by `haat simulate feed --seed {report.seed} --pages {kept.pages} --days {report.days:g}`. Shoppers "
        f"with tastes that the feed does not know scroll the real timeline ({report.ranker}); {POSTS_A_DAY} new posts "
        "a day by 120 creators come to an archive of 1,500. The same seed makes the same posts and shoppers in both "
        f"runs. Counted are the {kept.posts:,} posts that were a day old when the run ended.",
        "",
        "## How soon a new post is seen",
        "",
        "| impressions | kept places: within a day | half after | nine in ten after | without: within a day "
        "| half after | nine in ten after |",
        "|---|---|---|---|---|---|---|",
    ]
    for mine, other in zip(kept.first, none.first, strict=True):
        lines.append(
            f"| {mine.impressions} | {mine.within_a_day:.1%} | {_hours(mine.median_h)} | {_hours(mine.p90_h)} "
            f"| {other.within_a_day:.1%} | {_hours(other.median_h)} | {_hours(other.p90_h)} |"
        )
    lines += [
        "",
        f"Never seen at all: {kept.never_seen:.1%} with kept places, {none.never_seen:.1%} without. Gini coefficient "
        f"of impressions: {kept.gini:.2f} and {none.gini:.2f}.",
        "",
        "A place that is kept is drawn evenly: each fresh post (younger than 72 hours, seen fewer than 100 times, the "
        "least seen of its creator) has the chance that the page records, so the guarantee is a number and not a hope.",
        "",
        "## What it costs",
        "",
        "| | clicks per 1,000 posts shown [95 %] | of which on kept places |",
        "|---|---|---|",
    ]
    for one in report.runs:
        explored = "" if one.explored_clicks_per_mille is None else f"{one.explored_clicks_per_mille:.1f}"
        lines.append(
            f"| {one.explored_share:.1%} of places kept | {one.clicks_per_mille:.1f} [{one.clicks_per_mille_low:.1f}, "
            f"{one.clicks_per_mille_high:.1f}] | {explored} |"
        )
    lines += [
        "",
        "Intervals are binomial and take posts for independent, which those of one page are not quite.",
        "",
        "## What diversity costs",
        "",
        "The same candidates and scores, chosen in three ways, on every twentieth page of shoppers whose taste is "
        "known. Clicks are the true chances of the simulation if each post is looked at; divergence is that of the "
        "page's categories from the visitor's own mix (Steck 2018), in nats. Taste in this world is a taste in "
        "categories, so going by the mix costs nothing here; where it is not, it may.",
        "",
        "| | clicks per 1,000 looks | divergence | categories a page | creators a page |",
        "|---|---|---|---|---|",
        *(f"| {name} | {row[0]:.1f} | {row[1]:.3f} | {row[2]:.1f} | {row[3]:.1f} |" for name, row in kept.ways.items()),
        "",
    ]
    return "\n".join(lines)


def _judged(found: FeedRun, share: float) -> ExplorationRun:
    old = _old_enough(found)
    impressions = np.sort(np.array([found.impressions.get(post, 0) for post in old], np.float64))
    rate = found.clicks / found.looks
    half = 1.96 * (rate * (1 - rate) / found.looks) ** 0.5
    first = []
    for mark in MARKS:
        hours = np.sort(_hours_until(found, mark))
        first.append(
            FirstImpressions(
                mark, float((hours <= 24).mean()), _finite(np.quantile(hours, 0.5, method="higher")),
                _finite(np.quantile(hours, 0.9, method="higher")),
            )
        )  # fmt: skip
    ranks = np.arange(1, len(impressions) + 1)
    gini = float((2 * ranks - len(ranks) - 1) @ impressions / (len(ranks) * max(impressions.sum(), 1)))
    return ExplorationRun(
        explored_share=share,
        pages=found.pages,
        posts=len(old),
        first=first,
        never_seen=float((impressions == 0).mean()),
        gini=gini,
        clicks_per_mille=1000 * rate,
        clicks_per_mille_low=1000 * (rate - half),
        clicks_per_mille_high=1000 * (rate + half),
        explored_clicks_per_mille=1000 * found.explored_clicks / found.explored if found.explored else None,
        ways={
            name: [
                float(np.mean([getattr(one, figure) for one in figures]))
                for figure in ("clicks_per_mille", "divergence", "categories", "creators")
            ]
            for name, figures in found.choices.items()
        },
    )


def _old_enough(found: FeedRun) -> list[str]:
    return [post for post, at_ms in found.published_at_ms.items() if found.ended_at_ms - at_ms >= _OLD_ENOUGH_MS]


def _hours_until(found: FeedRun, impressions: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Hours from publication to that impression of each post that is old enough; infinite where it never came."""
    hours = []
    for post in _old_enough(found):
        times = found.impressions_at.get(post, [])
        came = len(times) >= impressions
        hours.append((times[impressions - 1] - found.published_at_ms[post]) / _HOUR_MS if came else np.inf)
    return np.array(hours)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _hours(hours: float | None) -> str:
    return "never" if hours is None else f"{hours:.1f} h"


def _nobody(topic: str, payloads: object) -> None:
    """Tells nobody."""
