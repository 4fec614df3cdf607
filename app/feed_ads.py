"""What share of the feed are ads, and what does each place among the posts bring? Added up from the event log.

Intervals are of 1,000 resamples of whole sessions: pages of one session are alike, so they are drawn together.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.explain import log_of
from app.printing import print_json
from app.settings import Settings
from common.errors import BackendUnavailable
from common.ids import text_of
from common.money import exactly, shown
from exchange.billing import Kind, Verdict
from feed.log_reader import events
from feed.mixing import places
from streams.auction_block import AuctionColumns
from streams.feed_events import FeedPageServed
from streams.ports import EventLog
from streams.schemas import NoticesTaken
from streams.topics import AUCTIONS, FEED_PAGES, NOTICES

_RESAMPLES = 1_000
# What is added up by session, in this order.
_POSTS, _OFFERED, _SOLD, _PAGES, _BILLED, _SEEN, _CLICKED, _NONE = range(8)


class Estimate(msgspec.Struct):
    """A ratio with the bounds between which 95 of 100 resamples lie; 0 where there is nothing to divide by."""

    value: float
    low: float
    high: float


class PlaceFigures(msgspec.Struct):
    """One ad slot of the feed. `after_posts` is where it stands on most pages; `worth_micros` is the sum of what was
    sold by its worth per impression, `billed_micros` what notices have billed so far.
    """

    slot: int
    after_posts: int = 0
    offered: int = 0
    sold: int = 0
    worth_micros: int = 0
    seen: int = 0
    clicks: int = 0
    billed_micros: int = 0


class FeedAdFigures(msgspec.Struct):
    """All pages of a log. `ad_share` is ads sold of all that stood on pages, posts and ads; `fill` ads sold of places
    that were offered; money is in micros of `currency`.
    """

    pages: int
    sessions: int
    first_ms: int
    last_ms: int
    posts: int
    ads: int
    ad_share: Estimate
    fill: Estimate
    # Of pages that have places for ads: no auction sold one of them within its time.
    without_ads: Estimate
    click_rate: Estimate
    currency: str
    worth_per_mille_pages_micros: int
    billed_micros: int
    billed_per_mille_pages_micros: Estimate
    slots: list[PlaceFigures]


class _Sums:
    """What is added up of each session; float64 [sessions, 8]."""

    def __init__(self) -> None:
        self._row_of: dict[tuple[str, str], int] = {}
        self._rows: list[list[float]] = []
        # Whose page an auction was held for.
        self.of_auction: dict[str, list[float]] = {}

    def page(self, event: FeedPageServed) -> list[float]:
        """The sums of the session that the page was served to."""
        at = self._row_of.setdefault((event.tenant_id, event.session_id), len(self._rows))
        if at == len(self._rows):
            self._rows.append([0.0] * 8)
        if event.auction_id:
            self.of_auction[event.auction_id] = self._rows[at]
        return self._rows[at]

    def table(self) -> NDArray[np.float64]:
        """All sessions."""
        return np.array(self._rows, np.float64).reshape(-1, 8)


def feed_ads(log: EventLog, *, seed: int = 1) -> FeedAdFigures:
    """The figures of a log: pages are counted once, however often they were asked for again."""
    slots: dict[int, PlaceFigures] = {}
    where: dict[int, Counter[int]] = {}
    sums = _Sums()
    first_ms = last_ms = 0
    for event in events(log, FEED_PAGES.name):
        if not isinstance(event, FeedPageServed):
            continue
        first_ms, last_ms = first_ms or event.served_at_ms, event.served_at_ms
        own = sums.page(event)
        own[_PAGES] += 1
        own[_NONE] += event.ad_slots > 0 and not event.auction_id
        own[_POSTS] += len(event.post_ids)
        for slot, after in enumerate(places(event.page_size, event.ad_slots)):
            if after <= len(event.post_ids):
                own[_OFFERED] += 1
                slots.setdefault(slot, PlaceFigures(slot + 1)).offered += 1
                where.setdefault(slot, Counter())[after] += 1
    for slot, counts in where.items():
        slots[slot].after_posts = counts.most_common(1)[0][0]
    currency = _sales(log, sums, slots)
    _notices(log, sums, slots)
    worth = sum(figures.worth_micros for figures in slots.values())
    table = sums.table()
    whole = table.sum(axis=0)
    pages = int(whole[_PAGES])
    drawn = _resampled(table, seed)
    return FeedAdFigures(
        pages=pages,
        sessions=len(table),
        first_ms=first_ms,
        last_ms=last_ms,
        posts=int(whole[_POSTS]),
        ads=int(whole[_SOLD]),
        ad_share=_estimate(whole, drawn, (_SOLD,), (_SOLD, _POSTS)),
        fill=_estimate(whole, drawn, (_SOLD,), (_OFFERED,)),
        without_ads=_estimate(whole, drawn, (_NONE,), (_PAGES,)),
        click_rate=_estimate(whole, drawn, (_CLICKED,), (_SEEN,)),
        currency=currency,
        worth_per_mille_pages_micros=1000 * worth // pages if pages else 0,
        billed_micros=sum(figures.billed_micros for figures in slots.values()),
        billed_per_mille_pages_micros=_estimate(whole, drawn, (_BILLED,), (_PAGES,), 1000.0),
        slots=[slots[slot] for slot in sorted(slots)],
    )


def _resampled(table: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """The sums of as many sessions, drawn with replacement; float64 [resamples, 8]."""
    chance = np.random.default_rng(seed)
    if not len(table):
        return np.zeros((_RESAMPLES, 8))
    return np.stack([table[chance.integers(len(table), size=len(table))].sum(axis=0) for _ in range(_RESAMPLES)])


def _estimate(
    whole: NDArray[np.float64],
    drawn: NDArray[np.float64],
    above: tuple[int, ...],
    below: tuple[int, ...],
    times: float = 1.0,
) -> Estimate:
    def ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        divisor = sums[..., list(below)].sum(axis=-1)
        return np.asarray(times * sums[..., list(above)].sum(axis=-1) / np.where(divisor > 0, divisor, np.inf))

    low, high = np.quantile(ratio(drawn), [0.025, 0.975])
    return Estimate(float(ratio(whole)), float(low), float(high))


def print_feed_ads(settings: Settings, *, report: Path | None, note: str, as_json: bool) -> None:
    """Print the figures of a data folder; into `report`, feed-ads.md, with `note` on how they came about."""
    with log_of(settings) as log:
        found = feed_ads(log)
    words = _words(found, found.currency or settings.currency, note)
    if report is not None:
        try:
            report.mkdir(parents=True, exist_ok=True)
            (report / "feed-ads.md").write_text("# Ads in the feed\n\n" + words)
        except OSError as error:
            raise BackendUnavailable(f"the report cannot be written to {report}: {error.strerror}") from None
    print_json(found) if as_json else print(words, end="")


def _words(found: FeedAdFigures, currency: str, note: str) -> str:
    """The figures as Markdown."""
    lines = [
        f"{found.pages:,} feed pages of {found.sessions:,} sessions, {_day(found.first_ms)} to {_day(found.last_ms)}, "
        f"with {found.posts:,} posts and {found.ads:,} ads. Written by `haat feed ads` over the event log of a data "
        "folder; after `haat demo` its shoppers are simulated and its auction, prices and notices are the real ones. "
        "Worth is that of the winning bids; what is billed waits for notices. In brackets the 95 % interval over whole "
        "sessions.",
        "",
        *([note, ""] if note else []),
        f"- ads among all that was shown: {_percent(found.ad_share)}",
        f"- ad places that were sold: {_percent(found.fill)}",
        f"- pages without any ad, for nothing was sold or the answer came after the deadline: "
        f"{_percent(found.without_ads)}",
        f"- clicks of ads that were seen: {_percent(found.click_rate)}",
        f"- billed for 1,000 pages: {_money(found.billed_per_mille_pages_micros, currency)}",
        f"- worth of what was sold, for 1,000 pages: {exactly(found.worth_per_mille_pages_micros, currency)}",
        f"- billed in all: {exactly(found.billed_micros, currency)}",
        "",
        "| slot | after post | offered | sold | worth per 1,000 offered | seen | clicks | billed |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {one.slot} | {one.after_posts} | {one.offered:,} | {one.sold:,} ({one.sold / max(one.offered, 1):.1%}) "
            f"| {exactly(1000 * one.worth_micros // max(one.offered, 1), currency)} | {one.seen:,} | {one.clicks:,} "
            f"| {exactly(one.billed_micros, currency)} |"
            for one in found.slots
        ),
        "",
    ]
    return "\n".join(lines)


def _percent(of: Estimate) -> str:
    return f"{of.value:.1%} [{of.low:.1%}, {of.high:.1%}]"


def _money(of: Estimate, currency: str) -> str:
    return f"{shown(round(of.value), currency)} [{shown(round(of.low), currency)}, {shown(round(of.high), currency)}]"


def _day(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M}" if at_ms else "never"


def _sales(log: EventLog, sums: _Sums, slots: dict[int, PlaceFigures]) -> str:
    """Add what was sold for the pages; the currency that it is worth in."""
    currency = ""
    # What an eCPM of one micro is worth for one impression is a thousandth: summed before it is cut.
    per_mille: Counter[int] = Counter()
    for event in events(log, AUCTIONS.name):
        if not isinstance(event, AuctionColumns):
            continue
        currency = event.currency
        first = 0
        ids = zip(event.auction_id_high.tolist(), event.auction_id_low.tolist(), strict=True)
        for (high, low), count in zip(ids, event.placement_count.tolist(), strict=True):
            if (own := sums.of_auction.get(text_of(high << 64 | low))) is not None:
                for slot in range(count):
                    row = int(event.winner_row_plus_one[first + slot]) - 1
                    if row >= 0 and slot in slots:
                        slots[slot].sold += 1
                        own[_SOLD] += 1
                        per_mille[slot] += int(event.bid_ecpm_micros[row])
            first += count
    for slot, worth in per_mille.items():
        slots[slot].worth_micros = worth // 1000
    return currency


def _notices(log: EventLog, sums: _Sums, slots: dict[int, PlaceFigures]) -> None:
    for event in events(log, NOTICES.name):
        if not isinstance(event, NoticesTaken):
            continue
        for notice in event.notices:
            name, _, number = notice.placement_id.partition("-")
            slot = int(number) - 1 if name == "feed" and number.isdigit() else -1
            if slot not in slots or (own := sums.of_auction.get(notice.impression_id[:32])) is None:
                continue
            slots[slot].billed_micros += notice.billed_micros
            own[_BILLED] += notice.billed_micros
            if notice.verdict == Verdict.ACCEPTED:
                seen, clicked = notice.kind == Kind.IMPRESSION, notice.kind == Kind.CLICK
                slots[slot].seen += seen
                slots[slot].clicks += clicked
                own[_SEEN] += seen
                own[_CLICKED] += clicked
