"""Does an auction take longer when all engines answer 200 ms late? A haat on four of them, each behind a proxy.

`python -m tests.simulation.slow_engines --seconds 20 --rounds 3`; needs `make services` (Kafka is one of its own). Page
views come at a constant rate, whether they are answered or not; the engines are near and far by turns. It prints how
long an answer took in both, and audits what was told against the event log and the database. It fails when a page view
got no answer or anything is missing, never by a time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from app.bridges import placements_of
from app.demo_keys import DemoKeys, make_keys
from app.demo_summary import metric_of, read_log
from backends.event_log_lmdb import LmdbEventLog
from backends.sql import open_engine
from client.errors import CallFailed
from client.exchange import ExchangeClient
from common.clock import SystemClock
from common.money import MICROS
from loadgen.arrivals import constant_rate, offer
from loadgen.quantities import Latencies
from protos import exchange_pb2 as exchange
from services import addresses, folders
from tests.scenarios.conftest import Served, served
from tests.scenarios.test_from_campaign_to_bill import a_page_view, run_campaign
from tests.services.four_engines import four_engines, until_live
from tests.services.kafka_worlds import counted, counted_from_log
from tests.services.proxy import Proxy

_NEEDED = ("elasticsearch", "redis", "postgresql")
_VISITORS = 500
_IN_FLIGHT = 2_000
_PATIENCE_S = 120.0
_ACCEPTED = exchange.NoticeOutcome.VERDICT_ACCEPTED


@dataclass
class Told:
    """What the storefront was told."""

    asked: int = 0
    answered: int = 0
    sold: int = 0
    failed: int = 0
    seen: int = 0
    billed_micros: int = 0
    latencies: Latencies = field(default_factory=Latencies)
    late_sends: int = 0

    def line(self, name: str) -> str:
        """For people."""
        took = self.latencies
        behind = f", {self.late_sends} sent late" if self.late_sends else ""
        return (
            f"{name:>6}: {self.answered:,} of {self.asked:,} answered, {self.sold:,} sold, "
            f"p50 {took.quantile_ms(50):.2f} ms, p99 {took.quantile_ms(99):.2f} ms, max {took.max_ms():.1f} ms{behind}"
        )


class Shop:
    """Asks at a constant rate, reports what it was given as seen, and adds up what it is told."""

    def __init__(self, client: ExchangeClient, rate_per_s: float) -> None:
        self._client = client
        self._rate_per_s = rate_per_s
        self._asked = 0

    async def ask_for(self, seconds: float) -> Told:
        """So long; whatever is under way then is waited for."""
        told = Told()
        clock = SystemClock()

        async def ask(number: int, intended_ns: int) -> None:
            told.asked += 1
            view = a_page_view(number, visitor=f"visitor-{number % _VISITORS}")
            try:
                answer = await self._client.hold_auction(view)
            except CallFailed:
                told.failed += 1
                return
            told.latencies.record_ns(clock.monotonic_ns() - intended_ns)
            told.answered += 1
            ads = [place.ad for place in answer.placements if place.HasField("ad")]
            told.sold += len(ads)
            seen = [exchange.Notice(kind=exchange.Notice.KIND_IMPRESSION, impression_id=ad.impression_id) for ad in ads]
            for outcome in await self._client.report_notices(seen):
                told.seen += outcome.verdict == _ACCEPTED
                told.billed_micros += outcome.billed_micros

        first = self._asked
        count = int(seconds * self._rate_per_s)
        self._asked += count
        arrivals = constant_rate(self._rate_per_s, range(first, first + count))
        pace = await offer(arrivals, ask, clock=clock, max_in_flight=_IN_FLIGHT, duration_s=seconds + 1)
        told.late_sends = pace.late
        return told


async def by_turns(
    haat: Served, keys: DemoKeys, proxies: Sequence[Proxy], given: argparse.Namespace
) -> tuple[list[Told], list[Told], Told]:
    """Near, far, near, far …; and what was asked to warm up."""
    brand = keys.brands[0]
    await run_campaign(haat.target, keys, brand, budget_micros=100_000 * MICROS)
    near: list[Told] = []
    far: list[Told] = []
    async with ExchangeClient(haat.target, keys.shop.key, coalesce=False, timeout_ms=10_000) as client:
        await until_live(client)
        shop = Shop(client, given.rate)
        warm = await shop.ask_for(5.0)
        for number in range(2 * given.rounds):
            late_ms = given.late_ms if number % 2 else 0
            for proxy in proxies:
                proxy.slow(late_ms - late_ms // 2, there_ms=late_ms // 2)
            told = await shop.ask_for(given.seconds)
            (far if late_ms else near).append(told)
            print(told.line("far" if late_ms else "near"), flush=True)
        for proxy in proxies:
            proxy.heal()
    return near, far, warm


def audit(haat: Served, told: Sequence[Told], url: str, folder: Path) -> list[str]:
    """What is not as it should be; the haat is stopped for it."""
    until_s = time.monotonic() + _PATIENCE_S
    while (waiting := _waits(haat)) and time.monotonic() < until_s:
        time.sleep(0.2)
    wrong = [waiting] if waiting else []
    if code := haat.stop():
        wrong.append(f"haat ended with {code}")
    logged = read_log(haat.data_dir)
    for what, outside, inside in (
        ("impressions", sum(one.seen for one in told), logged.notices),
        ("micros billed", sum(one.billed_micros for one in told), logged.billed_micros),
    ):
        print(f"{what}: {outside:,} told, {inside:,} in the event log")
        if outside != inside:
            wrong.append(f"{what} differ")
    answered = sum(one.answered for one in told)
    print(f"auctions: {answered:,} answered, {logged.auctions:,} in the event log, those of the start among them")
    if logged.auctions < answered:
        wrong.append("auctions were answered and are not in the event log")
    database = open_engine(url)
    with closing(LmdbEventLog(haat.data_dir / "log", readonly=True)) as log:
        same = counted(database) == counted_from_log(folder / "own", log, placements_of) != {}
    database.dispose()
    print(f"reports: counted through Kafka {'as' if same else 'OTHERWISE THAN'} the event log adds up")
    return wrong if same else [*wrong, "reports differ"]


def _waits(haat: Served) -> str:
    """What is still to be shipped or counted, in a sentence; empty when nothing is."""
    with urllib.request.urlopen(f"http://{haat.http}/status", timeout=30) as answer:
        said = str(json.load(answer)["backends"]["events of all nodes"])
    return "" if said == "Kafka: 0 records wait to be shipped; 0 wait to be counted here" else said


def _asked_redis(haat: Served) -> str:
    with urllib.request.urlopen(f"http://{haat.http}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    named = {
        name: metric_of(text, f'haat_redis_total{{result="hot {name}"}}') for name in ("asked", "skipped", "opened")
    }
    return ", ".join(f"{max(count, 0):,} {name}" for name, count in named.items())


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everybody was answered and nothing is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.slow_engines", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each turn is")
    parser.add_argument("--rounds", type=int, default=3, help="how often the engines are near and far")
    parser.add_argument("--rate", type=float, default=100.0, help="page views a second")
    parser.add_argument("--late-ms", type=int, default=200, help="there and back together")
    given = parser.parse_args(arguments)
    if missing := [name for name in _NEEDED if name not in addresses.read(folders.services_dir())]:
        print(f"{', '.join(missing)} was never started: run `make services` first", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory(prefix="haat-slow-") as name, ExitStack() as stack:
        engines, folder = four_engines(stack), Path(name)
        keys = make_keys(folder / "haat", ["First brand"], database_url=engines.database_url)
        with served(folder / "haat", folder, engines.settings, profile="cluster") as haat:
            near, far, warm = asyncio.run(by_turns(haat, keys, engines.proxies, given))
            print(f"batches of page views and Redis: {_asked_redis(haat)}")
            wrong = audit(haat, [warm, *near, *far], engines.database_url, folder)
    for percent in (50, 99):
        here, there = (median(one.latencies.quantile_ms(percent) for one in turns) for turns in (near, far))
        print(f"p{percent}: near {here:.2f} ms, far {there:.2f} ms, ratio {there / here:.2f} (medians of {len(near)})")
    unanswered = sum(one.asked - one.answered for one in (warm, *near, *far))
    if unanswered:
        wrong.append(f"{unanswered} page views got no answer")
    print("; ".join(wrong) if wrong else "everybody was answered, and nothing is missing")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
