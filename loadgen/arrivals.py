"""When is each call sent, when the world does not wait for the answers? Open loop: each has its intended time.

Latency is counted from the intended time, so a server that stands still for a second is charged with every call that
should have been sent in that second (no coordinated omission). A generator that falls behind says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from common.clock import Clock
from loadgen.quantities import Latencies

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]

# A send that is later than this is late; timers of an operating system alone take up to a few ms.
LATE_NS = 10_000_000
_DRAIN_S = 30.0
# A generator that is behind still has to read the answers now and then.
_SENDS_BETWEEN_READS = 8


@dataclass(slots=True)
class Pace:
    """How well the arrivals were kept: `lag` is the time from the intended to the actual send."""

    sent: int = 0
    late: int = 0
    # Sends that had to wait because all places for calls in flight were taken.
    stalled: int = 0
    unsent: bool = False
    lag: Latencies = field(default_factory=Latencies)

    @property
    def kept(self) -> bool:
        """Was at most one send in a hundred late, and none left out?"""
        return not self.unsent and self.late * 100 <= self.sent

    def verdict(self) -> str:
        """A sentence about the pace, empty when it was kept."""
        if self.kept:
            return ""
        cause = "all places for calls in flight were taken" if self.stalled * 2 > self.late else "its core was busy"
        return (
            f"the generator fell behind: {self.late} of {self.sent} sends were late, at worst by "
            f"{self.lag.max_ms():.0f} ms, because {cause}; the rate was lower than asked for"
        )


def constant_rate(rate_per_s: float, items: Iterable[T]) -> Iterator[tuple[int, T]]:
    """Each item with its intended time in ns after the start."""
    for number, item in enumerate(items):
        yield int(number * 1e9 / rate_per_s), item


async def offer(
    arrivals: Iterable[tuple[int, T]],
    send: Callable[[T, int], Awaitable[None]],
    *,
    clock: Clock,
    sleep: Sleep = asyncio.sleep,
    max_in_flight: int,
    duration_s: float,
    stop: asyncio.Event | None = None,
) -> Pace:
    """Call `send(item, intended_ns)` for each arrival at its time until `duration_s` is over; wait for those in flight.

    Intended times are of `clock.monotonic_ns`. What `send` raises is raised here.
    """
    pace = Pace()
    running: set[asyncio.Task[None]] = set()
    failed: list[BaseException] = []

    def ended(call: asyncio.Task[None]) -> None:
        running.discard(call)
        if not call.cancelled() and (error := call.exception()) is not None:
            failed.append(error)

    async def run(item: T, intended_ns: int) -> None:
        await send(item, intended_ns)

    start_ns = clock.monotonic_ns()
    end_ns = start_ns + int(duration_s * 1e9)
    try:
        for due_ns, item in arrivals:
            intended_ns = start_ns + due_ns
            if intended_ns >= end_ns or (stop is not None and stop.is_set()):
                break
            wait_ns = intended_ns - clock.monotonic_ns()
            if wait_ns > 0 or pace.sent % _SENDS_BETWEEN_READS == 0:
                await sleep(max(wait_ns, 0) / 1e9)
            if failed:
                break
            if len(running) >= max_in_flight:
                pace.stalled += 1
                await asyncio.wait(set(running), return_when=asyncio.FIRST_COMPLETED)
            now_ns = clock.monotonic_ns()
            if now_ns >= end_ns + LATE_NS:
                pace.unsent = True
                break
            pace.sent += 1
            pace.late += now_ns - intended_ns > LATE_NS
            pace.lag.record_ns(now_ns - intended_ns)
            call = asyncio.create_task(run(item, intended_ns))
            running.add(call)
            call.add_done_callback(ended)
        if running:
            await asyncio.wait(set(running), timeout=_DRAIN_S)
    finally:
        for call in running:
            call.cancel()
    if failed:
        raise failed[0]
    return pace
