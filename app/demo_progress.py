"""How does one see the demo work? Counters that move on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

from collections import Counter
from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from common.money import shown
from loadgen.feed_tally import FeedTally
from loadgen.tally import ReplayTally

_LINE_EVERY_S = 5.0
_BAR = 30


class _Shown:
    """Something that is drawn again and again on a terminal, and printed now and then elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8) if console.is_terminal else None
        self._printed_s = monotonic()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)
        else:
            self._console.print(self.line())

    def line(self) -> str:
        """All of it in one line."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Draw or print, when it is time to."""
        if self._live is not None:
            self._live.update(self.line())
        elif monotonic() - self._printed_s > _LINE_EVERY_S:
            self._printed_s = monotonic()
            self._console.print(self.line())


class Loading(_Shown):
    """What has come in so far, and how far that is where `of` says what is to come."""

    def __init__(self, console: Console, title: str = "Loaded by gRPC", of: dict[str, int] | None = None) -> None:
        super().__init__(console)
        self._title = title
        self._of = of or {}
        self._counts: Counter[str] = Counter()

    def told(self, what: str, count: int) -> None:
        """So many more."""
        self._counts[what] += count
        self.refresh()

    def line(self) -> str:
        """`Loaded by gRPC: 160 products, 14 advertisers …`"""
        counts = (f"{count:,}{self._whole(what)} {what}" for what, count in self._counts.items())
        return f"{self._title}: " + ", ".join(counts) + self._bar()

    def _whole(self, what: str) -> str:
        return f" of {self._of[what]:,}" if what in self._of else ""

    def _bar(self) -> str:
        whole, counted = sum(self._of.values()), sum(self._counts[what] for what in self._of)
        if not whole or not counted:
            return ""
        done = round(_BAR * min(counted / whole, 1.0))
        return "  " + "━" * done + "╌" * (_BAR - done)


class Replaying(_Shown):
    """How the replay goes."""

    def __init__(self, console: Console, tally: ReplayTally, scrolled: FeedTally) -> None:
        super().__init__(console)
        self._tally = tally
        self._scrolled = scrolled
        self._started_s = monotonic()

    def told(self, tally: ReplayTally) -> None:
        """The tally has grown."""
        self.refresh()

    def line(self) -> str:
        """Page views, fill, latency, money and feed pages."""
        tally = self._tally
        seconds = max(monotonic() - self._started_s, 0.001)
        fill = 100 * tally.filled / max(tally.placements, 1)
        spent = shown(sum(tally.spend_micros.values()), "EUR")
        return (
            f"{seconds:5.1f} s  {tally.page_views:6,} page views ({tally.page_views / seconds:,.0f}/s)  "
            f"fill {fill:.1f} %  p99 {tally.latencies.quantile_ms(99):.1f} ms  billed {spent}  "
            f"{self._scrolled.pages:,} feed pages"
        )


class Scrolling(_Shown):
    """How the evening in the feed goes."""

    def __init__(self, console: Console, tally: FeedTally) -> None:
        super().__init__(console)
        self._tally = tally
        self._begun = tally.pages
        self._started_s = monotonic()

    def line(self) -> str:
        """Shoppers, pages, what they did and what ads earned."""
        tally = self._tally
        seconds = max(monotonic() - self._started_s, 0.001)
        clicks = sum(tally.clicked.values())
        return (
            f"{seconds:5.1f} s  {len(tally.shoppers):,} shoppers  {tally.pages:,} feed pages "
            f"({(tally.pages - self._begun) / seconds:,.0f}/s)  p99 {tally.latencies.quantile_ms(99):.1f} ms  "
            f"{clicks:,} clicks  {tally.actions['purchase']:,} bought  "
            f"ads billed {shown(sum(tally.billed_micros.values()), 'EUR')}"
        )


def plain_table(title: str, *columns: str) -> Table:
    """A table as the summary has them: numbers to the right of the first column."""
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    return table
