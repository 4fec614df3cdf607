"""What happened in the demo's feed? As the shoppers saw it, and what became of what was posted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from app.demo_progress import plain_table
from backends.posts_sql import SqlPostStore
from backends.sql import open_engine, sqlite_url
from common.money import shown
from feed.post import Post, PostState
from loadgen.feed_tally import PLACES_TOGETHER, FeedTally
from loadgen.scrolling import AD_SLOTS

_QS = (50, 95, 99)
_NAMES = {
    PostState.CLEAN: "published",
    PostState.CHECKING: "held for a moderator",
    PostState.LIMITED: "limited",
    PostState.REMOVED: "removed",
}
_GROUPS = 4


@dataclass(slots=True)
class Moderated:
    """What became of all posts; `found` counts findings of those that are not published, by label.

    `posted_before` is how many there were before anybody scrolled.
    """

    states: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    waiting: int = 0
    posted_before: int = 0

    def as_json(self) -> dict[str, Any]:
        """Everything, with plain keys."""
        return {
            "posts": dict(self.states), "findings": dict(self.found), "cases_waiting": self.waiting,
            "posted_before": self.posted_before,
        }  # fmt: skip


def moderated(data_dir: Path, waiting: int, posted_before: int, database_url: str = "") -> Moderated:
    """Read from the store, beside the running server; `waiting` is how many cases its metrics say that wait."""
    engine = open_engine(database_url or sqlite_url(data_dir))
    result = Moderated(waiting=max(waiting, 0), posted_before=posted_before)
    try:
        for post in SqlPostStore(engine).all():
            _count(result, post)
    finally:
        engine.dispose()
    return result


def _count(result: Moderated, post: Post) -> None:
    result.states[_NAMES.get(post.state, post.state.name.lower())] += 1
    if post.state is not PostState.CLEAN and post.verdict is not None:
        result.found.update({finding.label.value for finding in post.verdict.findings})


def print_feed(console: Console, tally: FeedTally, posts: Moderated, currency: str) -> None:
    """The feed's part of the summary."""
    facts = plain_table("The feed", "", "")
    facts.show_header = False
    clicks, slots = sum(tally.clicked.values()), tally.pages * AD_SLOTS
    waited = tally.waited_ms
    for name, value in (
        ("shoppers, visits, pages", f"{len(tally.shoppers):,}, {tally.sessions:,}, {tally.pages:,}"),
        ("a page, p50 / p95 / p99", " / ".join(f"{tally.latencies.quantile_ms(q):.1f} ms" for q in _QS)),
        ("posts shown, clicked", f"{tally.posts:,}, {_share(clicks, tally.posts)}"),
        ("liked, saved, bought", ", ".join(f"{tally.actions[kind]:,}" for kind in ("like", "save", "purchase"))),
        (
            "followed, hidden, reported, likes taken back",
            ", ".join(f"{tally.actions[kind]:,}" for kind in ("follow", "hide", "report", "unlike")),
        ),
        ("kept places for new posts", _share(tally.explored, tally.posts)),
        ("ad slots filled", _share(tally.ads, slots)),
        ("ads among what was shown", _share(tally.ads, tally.ads + tally.posts)),
        ("ads clicked, bought after", f"{tally.ad_clicks:,}, {tally.ad_conversions:,}"),
        (
            "billed for ads in the feed",
            f"{shown(sum(tally.billed_micros.values()), currency)}, "
            f"{shown(1000 * sum(tally.billed_micros.values()) // max(tally.pages, 1), currency)} per 1,000 pages",
        ),
        (
            "posts, by what moderation found",
            ", ".join(f"{count:,} {name}" for name, count in posts.states.most_common()),
        ),
        ("what for", ", ".join(f"{label} {count:,}" for label, count in posts.found.most_common()) or "nothing"),
        ("cases that wait for a moderator", f"{posts.waiting:,}"),
        (
            "published while they scrolled",
            ", ".join(f"{count:,} {state}" for state, count in tally.published_states.most_common()) or "nothing",
        ),
        (
            "until a new post was first seen, p50 / most",
            f"{waited[len(waited) // 2]:,.0f} ms / {waited[-1]:,.0f} ms, {len(waited):,} of {len(tally.published_ns):,}"
            if waited
            else "none was seen",
        ),
    ):
        facts.add_row(name, value)
    console.print(facts)
    if tally.failed:
        console.print(f"{tally.failed:,} calls failed: {'; '.join(tally.first_errors)}", markup=False)
    console.print(
        "Shoppers like what the visitors of the log liked; how likely they click is made up (loadgen/shoppers.py), and "
        "says nothing about people."
    )
    console.print()
    headings = [f"places {group * PLACES_TOGETHER + 1}–{(group + 1) * PLACES_TOGETHER}" for group in range(_GROUPS)]
    rates = plain_table("Clicks by source and place", "source", "shown", *headings)
    shown_by: Counter[str] = Counter()
    for (source, _), count in tally.shown.items():
        shown_by[source] += count
    for source, count in shown_by.most_common():
        rates.add_row(source, f"{count:,}", *(_rate(tally, source, group) for group in range(_GROUPS)))
    console.print(rates)
    console.print()


def _rate(tally: FeedTally, source: str, group: int) -> str:
    seen = tally.shown[source, group]
    return f"{100 * tally.clicked[source, group] / seen:.1f} %" if seen else "–"


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({100 * part / max(whole, 1):.1f} %)"
