"""What does one page view cost the server? CPU seconds of its process over the page views answered meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from bench.callers import Caller
from bench.server import cpu_seconds
from bench.settings import BenchSettings
from loadgen.quantities import Latencies
from protos.exchange_pb2 import PageView


@dataclass(frozen=True, slots=True)
class Round:
    """One run of one row. Latencies are 0 where there are no calls to wait for."""

    page_views: int
    failed: int
    seconds: float
    server_cpu_s: float
    p50_ms: float
    p99_ms: float
    fill: float
    first_error: str = ""

    @property
    def per_s(self) -> float:
        """Page views a second, as the generator saw them."""
        return self.page_views / self.seconds if self.seconds else 0.0

    @property
    def per_core_s(self) -> float:
        """Page views a second of the server's CPU."""
        return self.page_views / self.server_cpu_s if self.server_cpu_s else 0.0

    def as_json(self) -> dict[str, Any]:
        """All of it, with the rates."""
        return {**asdict(self), "per_s": self.per_s, "per_core_s": self.per_core_s}


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and most of the rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(median(values), min(values), max(values))


async def measure(caller: Caller, pid: int, in_flight: int, settings: BenchSettings) -> Round:
    """One round in closed loop: `in_flight` calls are always under way; the warm-up is not counted."""
    latencies = Latencies()
    loop_end = time.monotonic() + settings.warmup_s + settings.seconds
    counting = False
    answered = failed = sent = 0

    async def keep_calling() -> None:
        nonlocal answered, failed, sent
        while (start := time.monotonic_ns()) < loop_end * 1e9 and sent < settings.max_page_views:
            sent += caller.page_views
            fine = await caller.call()
            if counting:
                latencies.record_ns(time.monotonic_ns() - start)
                answered += caller.page_views * fine
                failed += caller.page_views * (not fine)
            if not fine:
                # A server that refuses everything at once must not keep the loop from the clock.
                await asyncio.sleep(0.001)

    calling = asyncio.gather(*(keep_calling() for _ in range(in_flight)))
    await asyncio.wait([calling], timeout=settings.warmup_s)
    counting, cpu_before, start_s = True, cpu_seconds(pid), time.monotonic()
    await asyncio.wait([calling], timeout=settings.seconds)
    counting, cpu_s, seconds = False, cpu_seconds(pid) - cpu_before, time.monotonic() - start_s
    await calling
    seen = caller.seen
    return Round(
        page_views=answered,
        failed=failed + seen.refused,
        seconds=seconds,
        server_cpu_s=cpu_s,
        p50_ms=latencies.quantile_ms(50),
        p99_ms=latencies.quantile_ms(99),
        fill=seen.filled / seen.placements if seen.placements else 0.0,
        first_error=seen.first_error,
    )


# Makes a batch ready (outside of the measured time); what it returns holds its auctions.
Prepare = Callable[[list[PageView]], Callable[[], Awaitable[object]]]


async def measure_in_process(prepare: Prepare, next_view: Callable[[], PageView], settings: BenchSettings) -> Round:
    """One round of `hold_auctions(batch)` without transport, on this process's own core."""
    latencies = Latencies()
    end = time.monotonic() + settings.warmup_s + settings.seconds
    counted_from = time.monotonic() + settings.warmup_s
    held = 0
    busy_s = cpu_s = 0.0
    while time.monotonic() < end and held < settings.max_page_views:
        hold = prepare([next_view() for _ in range(settings.batch_size)])
        cpu_before, start_ns = time.process_time(), time.monotonic_ns()
        await hold()
        took_ns = time.monotonic_ns() - start_ns
        if time.monotonic() >= counted_from:
            held += settings.batch_size
            cpu_s += time.process_time() - cpu_before
            busy_s += took_ns / 1e9
            latencies.record_ns(took_ns)
    return Round(
        page_views=held,
        failed=0,
        seconds=busy_s,
        server_cpu_s=cpu_s,
        p50_ms=latencies.quantile_ms(50),
        p99_ms=latencies.quantile_ms(99),
        fill=0.0,
    )
