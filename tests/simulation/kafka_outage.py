"""Is nothing lost, and does nobody wait, when Kafka is gone for minutes?

`python -m tests.simulation.kafka_outage`: auctions are held in this process, ten batches a second, while a Kafka of its
own is there, answers 200 ms late, and is gone; then all that was logged must be counted from it, to the unit. It tells
how long a batch took in each of the three.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import quantiles

import numpy as np

from app.background import Background
from app.bridges import placements_of
from app.durations import duration_ms
from app.haat import Haat
from app.settings import Settings
from app.wiring import wire
from backends.reports_sql import SqlReportStore
from backends.sql import open_engine
from backends.statistics_sql import SqlStatisticsStore
from exchange.reports import Reports
from exchange.statistics import Statistics
from streams.schemas import encode
from streams.topics import AUCTIONS, NOTICES
from tests.builders import a_page_view
from tests.event_batches import auctions, notices
from tests.services.kafka import CLIENTS, a_prefix, kafka_behind_proxy
from tests.services.kafka_worlds import counted

_EVERY_S = 0.1
_BATCH = 16
_PATIENCE_S = 300.0


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the counts are those of the log."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.kafka_outage", description=__doc__)
    parser.add_argument("--outage", default="5m", help="how long Kafka is gone, 30s or 5m")
    parser.add_argument("--client", choices=list(CLIENTS), default="kafka-python")
    given = parser.parse_args(arguments)
    return asyncio.run(_simulate(given.client, duration_ms(given.outage) / 1000))


async def _simulate(client: str, outage_s: float) -> int:
    with tempfile.TemporaryDirectory(prefix="haat-outage-") as folder, kafka_behind_proxy() as (_, proxy):
        haat = wire(
            replace(
                Settings(data_dir=Path(folder) / "haat", models_dir=Path(folder) / "none", session_answer_ttl_s=0),
                kafka_brokers=proxy.address,
                kafka_prefix=a_prefix(),
                kafka_client=client,
            )
        )
        assert haat.kafka is not None
        haat.follower.load()
        jobs = Background(haat)
        jobs.start()
        await _hold(haat, 5)
        for name, seconds, fault in (
            ("there", 20.0, proxy.heal),
            ("200 ms late", 20.0, lambda: proxy.slow(200)),
            ("gone", outage_s, proxy.cut),
        ):
            fault()
            cpu_s = time.process_time()
            took_ms = await _hold(haat, seconds)
            share = (time.process_time() - cpu_s) / seconds
            cuts = quantiles(took_ms, n=100)
            waiting = sum(haat.kafka.shipper.waiting().values())
            print(
                f"Kafka {name}: {len(took_ms)} batches of {_BATCH} in {seconds:.0f} s, p50 {cuts[49]:.2f} ms, "
                f"p99 {cuts[98]:.2f} ms, {share:.0%} of a core; {waiting} records wait",
                flush=True,
            )
        proxy.heal()
        healed_s = time.monotonic()
        same = await _comes_to_the_same(haat, Path(folder))
        print(
            f"after {time.monotonic() - healed_s:.1f} s the counts are {'those of the log' if same else 'NOT THE SAME'}"
        )
        await jobs.stop()
        await asyncio.to_thread(haat.kafka.stop)
        haat.close()
        return 0 if same else 1


async def _hold(haat: Haat, seconds: float) -> list[float]:
    took_ms = []
    chance, now_ms = np.random.default_rng(1), haat.clock.now_ms()
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        begun_s = time.perf_counter()
        await haat.auction.hold_auctions([a_page_view() for _ in range(_BATCH)])
        took_ms.append((time.perf_counter() - begun_s) * 1000)
        # What reports count: bids and notices as they are where campaigns run.
        haat.publisher.publish(AUCTIONS.name, [encode(auctions(5, chance, now_ms))])
        haat.publisher.publish(NOTICES.name, [encode(notices(5, chance, now_ms))])
        await asyncio.sleep(_EVERY_S)
    return took_ms


async def _comes_to_the_same(haat: Haat, folder: Path) -> bool:
    (folder / "own").mkdir()
    own = open_engine(f"sqlite:///{folder}/own/own.sqlite")
    theirs = open_engine(f"sqlite:///{haat.settings.data_dir}/haat.sqlite")
    reports, statistics = Reports(SqlReportStore(own), placements_of), Statistics(SqlStatisticsStore(own))
    until_s = time.monotonic() + _PATIENCE_S
    try:
        while time.monotonic() < until_s:
            while reports.count_once(haat.log) or statistics.count_once(haat.log):
                pass
            if counted(own) == counted(theirs) != {}:
                return True
            await asyncio.sleep(0.2)
        return False
    finally:
        own.dispose()
        theirs.dispose()


if __name__ == "__main__":
    sys.exit(main())
