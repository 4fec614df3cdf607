"""How does one see the demo work? Counters that move on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

from collections import Counter
from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from app.demo_feed import Scrolled
from common.money import shown
from loadgen.tally import ReplayTally

_LINE_EVERY_S = 5.0


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
    """What has come in so far."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._counts: Counter[str] = Counter()

    def told(self, what: str, count: int) -> None:
        """So many more."""
        self._counts[what] += count
        self.refresh()

    def line(self) -> str:
        """`Loaded by gRPC: 160 products, 14 advertisers …`"""
        return "Loaded by gRPC: " + ", ".join(f"{count} {what}" for what, count in self._counts.items())


class Replaying(_Shown):
    """How the replay goes."""

    def __init__(self, console: Console, tally: ReplayTally, scrolled: Scrolled) -> None:
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


def plain_table(title: str, *columns: str) -> Table:
    """A table as the summary has them: numbers to the right of the first column."""
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    return table
