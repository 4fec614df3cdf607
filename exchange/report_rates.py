"""Which part of what came how far? The rates of a report's row, made of its counts and never counted themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from exchange.report_counts import METRICS

# Name, what is counted, and of what it is a part.
_PARTS: Final = (
    ("win_rate", "wins", "bids"),
    ("viewable_rate", "viewable", "impressions"),
    ("click_rate", "clicks", "impressions"),
    ("conversion_rate", "conversions", "clicks"),
)
RATES: Final = tuple(name for name, _, _ in _PARTS)


def rates_of(values: Sequence[int]) -> tuple[float | None, ...]:
    """RATES of METRICS in their order; None where there is nothing to be a part of.

    A win rate is of the bids that the log names: see Report.counted_apart.
    """
    by_name = dict(zip(METRICS, values, strict=True))
    return tuple(by_name[part] / by_name[whole] if by_name[whole] > 0 else None for _, part, whole in _PARTS)
