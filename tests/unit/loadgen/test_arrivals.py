"""Is latency counted from the intended time, and does a generator that falls behind say so?"""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from common.clock import SteppedClock
from loadgen.arrivals import Pace, constant_rate, offer
from loadgen.quantities import Latencies


class World:
    """A clock that only sleeping and serving move; a server that takes one call at a time."""

    def __init__(self, service_ms: dict[int, int] | None = None) -> None:
        self.clock = SteppedClock()
        self.latencies = Latencies()
        self.sent_at_ms: list[int] = []
        self.service_ms = service_ms or {}

    async def sleep(self, seconds: float) -> None:
        wake_ns = self.clock.monotonic_ns() + round(seconds * 1e9)
        await asyncio.sleep(0)
        self.clock.step(max(0, round((wake_ns - self.clock.monotonic_ns()) / 1e6)))

    async def send(self, item: int, intended_ns: int) -> None:
        self.sent_at_ms.append(self.clock.monotonic_ns() // 1_000_000)
        self.clock.step(self.service_ms.get(item, 0))
        self.latencies.record_ns(self.clock.monotonic_ns() - intended_ns)

    async def run(self, rate_per_s: float, duration_s: float, most: int = 1_000_000) -> Pace:
        arrivals = constant_rate(rate_per_s, range(most))
        return await offer(
            arrivals, self.send, clock=self.clock, sleep=self.sleep, max_in_flight=1_000, duration_s=duration_s
        )


async def test_each_call_is_sent_at_its_intended_time() -> None:
    world = World()

    pace = await world.run(rate_per_s=100, duration_s=0.1)

    assert world.sent_at_ms == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert pace.kept
    assert pace.verdict() == ""


async def test_a_stall_is_charged_to_every_call_that_should_have_been_sent_in_it() -> None:
    world = World(service_ms={10: 500})

    pace = await world.run(rate_per_s=100, duration_s=1.0)

    # The stall of 500 ms holds up the calls intended at 100, 110, … 600 ms: a closed loop would have counted one.
    assert world.latencies.count == 100
    assert world.latencies.max_ms() == pytest.approx(500, rel=0.01)
    assert world.latencies.quantile_ms(75) == pytest.approx(240, abs=15)
    assert world.latencies.quantile_ms(45) < 1
    assert not pace.kept
    assert "the generator fell behind" in pace.verdict()
    assert "because its core was busy" in pace.verdict()


async def test_the_run_ends_at_its_count_and_at_its_time() -> None:
    by_count, by_time = World(), World()

    assert (await by_count.run(rate_per_s=100, duration_s=10, most=7)).sent == 7
    assert (await by_time.run(rate_per_s=100, duration_s=0.5)).sent == 50


async def test_an_endless_stall_leaves_calls_out_and_says_so() -> None:
    world = World(service_ms=dict.fromkeys(range(100), 1_000))

    pace = await world.run(rate_per_s=10, duration_s=2.0)

    assert pace.unsent
    assert not pace.kept


async def test_a_full_house_waits_and_is_named_as_the_cause() -> None:
    clock = SteppedClock()
    waiting: list[asyncio.Event] = []

    async def send(item: int, intended_ns: int) -> None:
        waiting.append(asyncio.Event())
        await waiting[-1].wait()

    async def answer_slowly() -> None:
        for answered in count():
            while len(waiting) <= answered:
                await asyncio.sleep(0)
            clock.step(100)
            waiting[answered].set()
            await asyncio.sleep(0)

    async def sleep(seconds: float) -> None:
        clock.step(round(seconds * 1000))
        await asyncio.sleep(0)

    answering = asyncio.create_task(answer_slowly())
    pace = await offer(constant_rate(100, range(10)), send, clock=clock, sleep=sleep, max_in_flight=1, duration_s=60)
    answering.cancel()

    assert pace.sent == 10
    assert pace.stalled >= 8
    assert "all places for calls in flight were taken" in pace.verdict()


async def test_what_a_send_raises_ends_the_run() -> None:
    async def send(item: int, intended_ns: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await offer(
            constant_rate(1_000, range(100)),
            send,
            clock=SteppedClock(),
            sleep=World().sleep,
            max_in_flight=5,
            duration_s=1,
        )


async def test_a_set_stop_ends_the_run() -> None:
    world, stop = World(), asyncio.Event()

    async def send(item: int, intended_ns: int) -> None:
        if item == 4:
            stop.set()

    pace = await offer(
        constant_rate(100, range(100)),
        send,
        clock=world.clock,
        sleep=world.sleep,
        max_in_flight=5,
        duration_s=10,
        stop=stop,
    )

    assert pace.sent < 8
