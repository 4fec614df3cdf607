"""How long did it take, and what did it cost? Histograms of latencies and prices, exact to three digits (HDR)."""

from __future__ import annotations

from collections.abc import Mapping

from hdrh.histogram import HdrHistogram

_MOST_US = 600_000_000
_MOST_PRICE_MICROS = 1_000_000_000_000


class Latencies:
    """Latencies from 1 µs to 10 minutes; what took longer is counted as 10 minutes."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, _MOST_US, 3)

    def record_ns(self, latency_ns: int, count: int = 1) -> None:
        """Count `count` calls that took `latency_ns`."""
        self._histogram.record_value(min(max(latency_ns // 1_000, 1), _MOST_US), count)

    @property
    def count(self) -> int:
        """How many were recorded."""
        return int(self._histogram.total_count)

    def quantile_ms(self, percent: float) -> float:
        """The latency that `percent` (0 to 100) of the calls did not exceed; 0 when there are none."""
        return float(self._histogram.get_value_at_percentile(percent)) / 1_000 if self.count else 0.0

    def max_ms(self) -> float:
        """The longest."""
        return float(self._histogram.get_max_value()) / 1_000 if self.count else 0.0

    def as_json(self) -> dict[str, float]:
        """The usual quantiles in ms."""
        named = {f"p{str(percent).replace('.', '')}_ms": percent for percent in (50, 90, 95, 99, 99.9)}
        return {**{name: self.quantile_ms(percent) for name, percent in named.items()}, "max_ms": self.max_ms()}


class Prices:
    """Prices in micros, by name (a pricing model, an advertiser)."""

    def __init__(self) -> None:
        self._histograms: dict[str, HdrHistogram] = {}

    def record(self, name: str, price_micros: int) -> None:
        """Count one price."""
        if name not in self._histograms:
            self._histograms[name] = HdrHistogram(1, _MOST_PRICE_MICROS, 3)
        self._histograms[name].record_value(min(max(price_micros, 1), _MOST_PRICE_MICROS))

    def quantiles_micros(self, percents: tuple[int, ...] = (10, 50, 90)) -> Mapping[str, dict[int, int]]:
        """For each name, its quantiles in micros by percent."""
        return {
            name: {percent: int(histogram.get_value_at_percentile(percent)) for percent in percents}
            for name, histogram in sorted(self._histograms.items())
        }
