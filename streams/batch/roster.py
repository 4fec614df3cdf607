"""Which reports can batch engines run? A new one is a file here and a line in this list."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from streams.batch.delivery import DELIVERY
from streams.batch.funnel import FUNNEL
from streams.batch.losses import LOSSES
from streams.batch.report import BatchReport
from streams.batch.shoppers import SEGMENTS, SHOPPERS

REPORTS: Final = MappingProxyType(
    {report.name: report for report in (DELIVERY, LOSSES, FUNNEL, SEGMENTS, SHOPPERS)}
)  # fmt: skip


def report_named(name: str) -> BatchReport | None:
    """The report of that name."""
    return REPORTS.get(name)
