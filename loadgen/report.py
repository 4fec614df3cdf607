"""What did a load run see? As a table for people and as JSON for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from common import money
from loadgen.arrivals import Pace
from loadgen.quantities import Latencies
from loadgen.tally import ReplayTally
from protos.exchange_pb2 import Answer

_REMEMBERED_ERRORS = 10


@dataclass(slots=True)
class LoadReport:
    """Page views after the warm-up; latency from the intended send time; late ones are in it with their time-out."""

    mode: str
    rate_per_s: float = 0.0
    page_views: int = 0
    answered: int = 0
    kept: int = 0
    placements: int = 0
    filled: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    first_errors: list[str] = field(default_factory=list)
    latencies: Latencies = field(default_factory=Latencies)
    notices: int = 0
    notices_lost: int = 0
    seconds: float = 0.0
    # CPU seconds of this process per second; near 1 the generator itself is what limits.
    generator_cpu_share: float = 0.0
    pace: Pace | None = None

    def count(self, answers: list[Answer], errors: dict[str, int], late: int, latency_ns: int) -> None:
        """Add one call: its answers, its errors by status, how many of them were late, and how long it took."""
        self.page_views += len(answers) + sum(errors.values())
        self.answered += len(answers)
        self.errors.update(errors)
        if answers or late:
            self.latencies.record_ns(latency_ns, len(answers) + late)
        for answer in answers:
            self.kept += answer.kept
            self.placements += len(answer.placements)
            self.filled += sum(placement.HasField("ad") for placement in answer.placements)

    def remember(self, error: str) -> None:
        """Keep the texts of the first errors."""
        if error not in self.first_errors and len(self.first_errors) < _REMEMBERED_ERRORS:
            self.first_errors.append(error)

    @property
    def answered_per_s(self) -> float:
        """Throughput."""
        return self.answered / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """Everything, with plain keys."""
        return {
            "mode": self.mode,
            "loop": "open" if self.rate_per_s else "closed",
            "rate_per_s": self.rate_per_s,
            "seconds": self.seconds,
            "page_views": self.page_views,
            "answered": self.answered,
            "answered_per_s": self.answered_per_s,
            "kept_answers": self.kept,
            "fill": self.filled / self.placements if self.placements else 0.0,
            "errors": dict(self.errors.most_common()),
            "first_errors": self.first_errors,
            "latency": self.latencies.as_json(),
            "notices": self.notices,
            "notices_lost": self.notices_lost,
            "generator_cpu_share": self.generator_cpu_share,
            "pace_kept": self.pace.kept if self.pace is not None else True,
            "lag": self.pace.lag.as_json() if self.pace is not None else {},
            "remark": self.remark(),
        }

    def remark(self) -> str:
        """What a reader of the figures has to know; empty when nothing stands in the way."""
        said = [self.pace.verdict()] if self.pace is not None and not self.pace.kept else []
        if not self.rate_per_s and self.generator_cpu_share > 0.95:
            said.append("the generator's own core was full: the server may have been able to take more")
        return "; ".join(said)


def load_table(report: LoadReport) -> Table:
    """The report as a table of two columns."""
    said = report.as_json()
    loop = f"open, {report.rate_per_s:,.0f}/s" if report.rate_per_s else "closed"
    table = Table(title=f"Load: {report.mode}, {loop}", show_header=False)
    table.add_row("answered", f"{report.answered:,} of {report.page_views:,} page views in {report.seconds:.1f} s")
    table.add_row("throughput", f"{report.answered_per_s:,.0f} page views/s")
    table.add_row("latency", _shown_latencies(report.latencies))
    table.add_row("fill", f"{said['fill']:.1%} of {report.placements:,} placements")
    table.add_row("kept answers", f"{report.kept:,}")
    table.add_row("errors", _shown_counts(report.errors))
    table.add_row("generator's CPU", f"{report.generator_cpu_share:.0%} of a core")
    if report.notices or report.notices_lost:
        table.add_row("notices", f"{report.notices:,} told, {report.notices_lost:,} lost")
    if report.first_errors:
        table.add_row("first error", report.first_errors[0])
    if report.remark():
        table.add_row("mind", report.remark())
    return table


def replay_table(tally: ReplayTally) -> Table:
    """The tally as a table of two columns."""
    table = Table(title="Replay", show_header=False)
    per_s = tally.page_views / tally.seconds if tally.seconds else 0.0
    table.add_row("page views", f"{tally.page_views:,} in {tally.seconds:.1f} s ({per_s:,.0f}/s), {tally.kept:,} kept")
    fill = tally.filled / tally.placements if tally.placements else 0.0
    table.add_row("fill", f"{tally.filled:,} of {tally.placements:,} placements ({fill:.1%})")
    table.add_row("latency", _shown_latencies(tally.latencies))
    table.add_row(
        "clicks", f"{tally.clicks_logged:,} of the log, {tally.clicks_simulated:,} simulated at the smoothed rates"
    )
    table.add_row("conversions", f"{tally.conversions_simulated:,} simulated")
    table.add_row(
        "notices", _shown_counts(tally.verdicts) + (f", {tally.notices_lost} lost" * bool(tally.notices_lost))
    )
    for model, quantiles in tally.prices.quantiles_micros().items():
        shown = ", ".join(f"p{percent} {micros / money.MICROS:.3f}" for percent, micros in quantiles.items())
        table.add_row(f"clearing price, {model}", shown)
    for (domain, currency), micros in tally.spend_micros.most_common(15):
        table.add_row(f"spend of {domain}", money.shown(micros, currency))
    table.add_row("errors", _shown_counts(tally.errors))
    if tally.first_errors:
        table.add_row("first error", tally.first_errors[0])
    if tally.pace is not None and not tally.pace.kept:
        table.add_row("mind", tally.pace.verdict())
    return table


def _shown_latencies(latencies: Latencies) -> str:
    quantiles = ((50, "p50"), (90, "p90"), (99, "p99"), (99.9, "p99.9"))
    shown = [f"{name} {latencies.quantile_ms(percent):.2f}" for percent, name in quantiles]
    return " · ".join([*shown, f"max {latencies.max_ms():.2f} ms"])


def _shown_counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common()) or "none"
