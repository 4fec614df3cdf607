"""`python -m bench.kafka_clients ADDRESS`: what do the two clients of Kafka cost for the same records?

The records are a haat's own: batches of auctions that an exchange held in this process, and single notices. Each client
sends them through the port that the shipper uses, acknowledged by all replicas, and reads them back as a group does.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from app.settings import Settings
from app.wiring_kafka import broker_of
from bench.exchange_server import exchange
from common.errors import HaatError
from common.ids import new_id
from exchange.auction_wire import PageViewReader
from loadgen.synthetic import FreshViews, page_views
from streams.broker_ports import Broker, Ends, Parcel, Place
from streams.schemas import NoticesTaken, NoticeTaken, encode
from streams.topics import AUCTIONS, NOTICES

CLIENTS = ("kafka-python", "confluent")
_BATCH = 64
# As the shipper sends: about 8 MiB, at most 256 records.
_SENT_AT_ONCE = 128

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Work:
    """Records of one topic; `inside` is how many things each holds."""

    name: str
    topic: str
    payloads: list[bytes]
    inside: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one client, work and direction."""

    client: str
    work: str
    direction: str
    records_per_s: float
    things_per_s: float
    mib_per_s: float
    cpu_us_per_thing: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 2 when Kafka is not there."""
    parser = argparse.ArgumentParser(prog="python -m bench.kafka_clients", description=__doc__)
    parser.add_argument("brokers", help="host:port, several with commas")
    parser.add_argument("--seconds", type=float, default=3.0, help="of sending, of each round of each row")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    try:
        works = [asyncio.run(_auctions()), _notices()]
        rows = [
            row
            for work in works
            for client in CLIENTS
            for row in _median([_measure(client, given.brokers, work, given.seconds) for _ in range(given.rounds)])
        ]
    except HaatError as trouble:
        print(f"bench: {trouble}", file=sys.stderr)
        return 2
    Console(width=None if sys.stdout.isatty() else 150).print(_table(rows, works))
    return 0


async def _auctions() -> Work:
    """Batches that an exchange with a thousand line items held, as they stand in its log."""
    async with exchange(1_000, 1) as (running, _):
        haat = running.haat
        reader = PageViewReader(currency=haat.settings.currency, tmax_ms=haat.settings.tmax_ms)
        views = FreshViews(page_views(2_000), "bench")
        for _ in range(_SENT_AT_ONCE):
            now_ms = haat.clock.now_ms()
            await haat.auction.hold_auctions(
                [reader.read(view, now_ms) for view in (views.next() for _ in range(_BATCH))]
            )
        records = haat.log.read(AUCTIONS.name, 0, _SENT_AT_ONCE)
    return Work(f"auctions, {_BATCH} a record", AUCTIONS.name, [record.payload for record in records], _BATCH)


def _notices() -> Work:
    payloads = [
        encode(
            NoticesTaken(
                1_700_000_000_000,
                (NoticeTaken(1, new_id(1_700_000_000_000), 1, line_item_number=n, campaign_number=n, billed_micros=n),),
            )
        )
        for n in range(1, 5_000)
    ]
    return Work("notices, 1 a record", NOTICES.name, payloads, 1)


def _measure(client: str, brokers: str, work: Work, seconds: float) -> list[Figures]:
    prefix = f"bench-{uuid.uuid4().hex[:8]}"
    broker = broker_of(Settings(kafka_brokers=brokers, kafka_prefix=prefix, kafka_client=client))
    broker.create([AUCTIONS, NOTICES], -1)
    try:
        sent, sending = _timed(lambda: _send(broker, work, seconds))
        _, reading = _timed(lambda: _read(broker, work, sent))
    finally:
        broker.delete([AUCTIONS.name, NOTICES.name])
    size = sum(map(len, work.payloads)) / len(work.payloads)
    return [
        Figures(
            client,
            work.name,
            direction,
            sent / wall_s,
            sent * work.inside / wall_s,
            sent * size / wall_s / (1 << 20),
            cpu_s * 1e6 / (sent * work.inside),
        )
        for direction, (wall_s, cpu_s) in (("send", sending), ("read", reading))
    ]


def _send(broker: Broker, work: Work, seconds: float) -> int:
    partitions = 6
    headers = (("source", b"bench/0123456789ab"), ("offset", b"1"), ("before", b"0"), ("attempt", b"1"))
    parcels = [
        Parcel(Place(work.topic, number // 64 % partitions), b"", payload, headers)
        for number, payload in enumerate(work.payloads)
    ]
    producer = broker.producer()
    sent, until_s = 0, time.perf_counter() + seconds
    while time.perf_counter() < until_s:
        producer.send(parcels)
        sent += len(parcels)
    producer.close()
    return sent


def _read(broker: Broker, work: Work, count: int) -> None:
    def begins(ends: Mapping[Place, Ends]) -> dict[Place, int]:
        return {place: found.begin for place, found in ends.items()}

    consumer = broker.consumer("bench", [work.topic], begins)
    left = count
    while left > 0:
        left -= len(consumer.poll(1.0))
    consumer.close()


def _timed(work: Callable[[], T]) -> tuple[T, tuple[float, float]]:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    done = work()
    return done, (time.perf_counter() - wall_s, time.process_time() - cpu_s)


def _median(rounds: list[list[Figures]]) -> list[Figures]:
    return [
        Figures(
            rows[0].client,
            rows[0].work,
            rows[0].direction,
            *(
                statistics.median(getattr(row, name) for row in rows)
                for name in ("records_per_s", "things_per_s", "mib_per_s", "cpu_us_per_thing")
            ),
        )
        for rows in zip(*rounds, strict=True)
    ]


def _table(rows: list[Figures], works: list[Work]) -> Table:
    sizes = ", ".join(f"{work.name}: {sum(map(len, work.payloads)) // len(work.payloads):,} B" for work in works)
    table = Table("work", "client", "way", "records/s", "things/s", "MiB/s", "µs CPU a thing", caption=sizes)
    for row in rows:
        table.add_row(
            row.work,
            row.client,
            row.direction,
            f"{row.records_per_s:,.0f}",
            f"{row.things_per_s:,.0f}",
            f"{row.mib_per_s:,.1f}",
            f"{row.cpu_us_per_thing:,.2f}",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
