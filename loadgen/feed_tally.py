"""What came of scrolling? Pages, choices by source and place, money of ads, and how soon new posts were seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from loadgen.quantities import Latencies
from protos.exchange_pb2 import Ad, Notice, NoticeOutcome
from protos.feed_pb2 import Action

# Places of a page that are counted together: the first three, the next three, and so on.
PLACES_TOGETHER = 3


@dataclass(slots=True)
class FeedTally:
    """All that was seen from outside; `clicked` and `shown` are by (source, group of places)."""

    shoppers: set[str] = field(default_factory=set)
    sessions: int = 0
    pages: int = 0
    posts: int = 0
    ads: int = 0
    shown: Counter[tuple[str, int]] = field(default_factory=Counter)
    clicked: Counter[tuple[str, int]] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    # Pages after a hide that still held the hidden post, and posts shown twice in one scroll: both must stay 0.
    hidden_shown: int = 0
    repeated: int = 0
    failed: int = 0
    first_errors: list[str] = field(default_factory=list)
    ad_impressions: int = 0
    ad_clicks: int = 0
    ad_conversions: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    billed_micros: Counter[str] = field(default_factory=Counter)
    latencies: Latencies = field(default_factory=Latencies)
    # When posts were published while shoppers scrolled, and when somebody saw them first; ns of a monotonic clock.
    published_ns: dict[str, int] = field(default_factory=dict)
    first_seen_ns: dict[str, int] = field(default_factory=dict)
    # What became of them by then, by state, and why those that were refused were.
    published_states: Counter[str] = field(default_factory=Counter)

    def count_post(self, source: str, place: int, *, clicked: bool) -> None:
        """A post was shown, and clicked or not."""
        key = source, place // PLACES_TOGETHER
        self.shown[key] += 1
        self.clicked[key] += clicked

    def count_action(self, action: Action) -> None:
        """Something was done."""
        self.actions[Action.Kind.Name(action.kind).removeprefix("KIND_").lower()] += 1

    def count_outcome(self, ad: Ad, notice: Notice, outcome: NoticeOutcome) -> None:
        """Add what the exchange said to one notice."""
        verdict = NoticeOutcome.Verdict.Name(outcome.verdict).removeprefix("VERDICT_").lower()
        self.verdicts[verdict] += 1
        if outcome.billed_micros:
            self.billed_micros[outcome.currency] += outcome.billed_micros

    def saw(self, post_id: str, now_ns: int) -> None:
        """A post was on a page."""
        if post_id in self.published_ns:
            self.first_seen_ns.setdefault(post_id, now_ns)

    @property
    def explored(self) -> int:
        """Posts on places that are kept for fresh ones."""
        return sum(count for (source, _), count in self.shown.items() if source == "exploration")

    @property
    def waited_ms(self) -> list[float]:
        """How long each new post that was seen waited for it, ascending."""
        return sorted((seen - self.published_ns[post]) / 1e6 for post, seen in self.first_seen_ns.items())

    def as_json(self) -> dict[str, Any]:
        """Everything, with plain keys."""
        waited = self.waited_ms
        return {
            "shoppers": len(self.shoppers), "sessions": self.sessions, "pages": self.pages, "posts": self.posts,
            "ads": self.ads, "explored": self.explored, "hidden_shown": self.hidden_shown,
            "repeated": self.repeated, "failed": self.failed, "first_errors": self.first_errors,
            "actions": dict(self.actions.most_common()),
            "by_source_and_places": [
                {"source": source, "places": group, "shown": count, "clicked": self.clicked[source, group]}
                for (source, group), count in sorted(self.shown.items())
            ],
            "ad_impressions": self.ad_impressions, "ad_clicks": self.ad_clicks,
            "ad_conversions": self.ad_conversions, "notice_verdicts": dict(self.verdicts),
            "billed_micros": dict(self.billed_micros), "latency": self.latencies.as_json(),
            "new_posts": len(self.published_ns), "new_posts_by_state": dict(self.published_states),
            "new_posts_seen": len(waited),
            "first_seen_after_ms": {f"p{q}": _quantile(waited, q) for q in (50, 95)},
        }  # fmt: skip


def _quantile(ascending: list[float], percent: int) -> float | None:
    return ascending[min(len(ascending) * percent // 100, len(ascending) - 1)] if ascending else None
