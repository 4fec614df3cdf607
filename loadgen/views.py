"""What is replayed? A page view as a log has it, and what the log says became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

from protos.exchange_pb2 import PageView

_REMEMBERED_LINES = 100


@dataclass(frozen=True, slots=True)
class LoggedView:
    """One page view, and beside it what was shown (`item` is a product id; empty when the log does not say)."""

    page_view: PageView
    item: str = ""
    # Counts from 1; 0 is unknown.
    position: int = 0
    clicked: bool = False


class BadLine(ValueError):
    """A line that is no page view; the text says which field, and what was expected."""


@dataclass(slots=True)
class ReadTally:
    """What became of the lines: all are counted, the first hundred bad ones are kept with file, number and reason."""

    views: int = 0
    refused: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)

    def refuse(self, where: str, reason: str) -> None:
        """Count a line that cannot be read."""
        self.refused += 1
        # The field, without the value in it, so that the reasons stay few.
        self.reasons[reason.split(":", 1)[0]] += 1
        if len(self.lines) < _REMEMBERED_LINES:
            self.lines.append(f"{where}: {reason}")


class Reader(Protocol):
    """Page views of one log, in its order; reading again starts again, with a fresh tally."""

    tally: ReadTally

    def __iter__(self) -> Iterator[LoggedView]:
        """The page views; lines that cannot be read are counted in `tally` and skipped."""


def stable_hash(*parts: object) -> str:
    """16 hexadecimal digits that are the same on every machine and in every run."""
    return blake2b("\x1f".join(map(str, parts)).encode("utf-8", "replace"), digest_size=8).hexdigest()


def draw(*parts: object) -> float:
    """A number from 0 up to 1 that depends on `parts` alone, so that order and concurrency do not change it."""
    return int(stable_hash(*parts), 16) / 2.0**64
