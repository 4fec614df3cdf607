"""How does one see a long command work? A bar on a terminal, a line every few seconds elsewhere, on stderr."""

from __future__ import annotations

import sys
from time import monotonic
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_LINE_EVERY_S = 5.0


class Bars:
    """One bar for each thing that is worked on; `quiet` shows nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        console = Console(stderr=True)
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._quiet = quiet
        self._said_s = monotonic()
        if console.is_terminal and not quiet:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bars = Progress(*columns, console=console, transient=True)

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def advance(self, what: str, done: int, of: int) -> None:
        """`done` of `of` of this are done."""
        if self._bars is not None:
            if what not in self._tasks:
                self._tasks[what] = self._bars.add_task(what, total=of)
            self._bars.update(self._tasks[what], completed=done, total=of)
        elif not self._quiet and monotonic() - self._said_s > _LINE_EVERY_S:
            self._said_s = monotonic()
            print(f"{what}: {done:,} of {of:,}", file=sys.stderr, flush=True)
