"""Nodes that ship their logs, a database that counts what comes, and what counting the logs themselves comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from app.wiring_kafka import consumed_stores
from backends.event_log_lmdb import LmdbEventLog
from backends.reports_sql import SqlReportStore
from backends.shipped_file import ShippedFile
from backends.sql import open_engine
from backends.statistics_sql import SqlStatisticsStore
from common.errors import BackendUnavailable
from exchange.consumed import ReportProjection, StatisticsProjection
from exchange.reports import Reports
from exchange.statistics import Statistics
from streams import schema_registry
from streams.broker_ports import Broker
from streams.consumer_group import Member
from streams.feed_events import PostChanged
from streams.ports import EventLog
from streams.schemas import CampaignChanged, encode
from streams.shipper import Shipper
from streams.topics import AUCTIONS, CAMPAIGN_CHANGES, NOTICES, POSTS
from tests.databases import open_database
from tests.event_batches import auctions, notices
from tests.services.kafka import until

REGISTRY = schema_registry.load()
# (table, key) -> what was counted there.
Counted = Counter[tuple[Any, ...]]
_KEYS = {"report_counts": 7, "report_reasons": 8, "statistics": 2}


def places(_page_view: bytes) -> list[str]:
    return ["top", "side"]


class Node:
    """One node's log and its shipper."""

    def __init__(self, folder: Path, name: str, broker: Broker, *, seed: int = 1, most_bytes: int = 1 << 40) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log = LmdbEventLog(folder / "log", map_size_bytes=1 << 28)
        self.store = ShippedFile(folder / "shipped.json")
        self._chance = np.random.default_rng(seed)
        self._broker = broker
        self._most_bytes = most_bytes
        self.shipper = self.fresh_shipper()

    def fresh_shipper(self) -> Shipper:
        """As after a restart."""
        return Shipper(
            log=self.log,
            store=self.store,
            node=self.name,
            open_producer=self._broker.producer,
            registry=REGISTRY,
            most_bytes=self._most_bytes,
        )

    def work(self, batches: int = 20) -> None:
        """Auctions and notices come in."""
        for number in range(batches):
            self.log.append(AUCTIONS.name, [encode(auctions(5, self._chance))], number)
            self.log.append(NOTICES.name, [encode(notices(7, self._chance))], number)

    def hear(self, changes: int = 20) -> None:
        """What all nodes are told: each has the same in its log."""
        for at in range(1, changes + 1):
            changed = CampaignChanged(at, at, "brand", "line_item", "item", at)
            self.log.append(CAMPAIGN_CHANGES.name, [encode(changed)], at)
            self.log.append(POSTS.name, [encode(PostChanged(at, "shop", f"post {at}", "ann", 2, 1))], at)

    def ship(self) -> None:
        while self.shipper.ship_once():
            pass

    def close(self) -> None:
        self.shipper.close()
        self.log.close()


class Desk:
    """The database that groups of consumers count into."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.engine = open_database(folder)
        self.reports, self.statistics = consumed_stores(self.engine)

    def members(self, broker: Broker) -> list[Member]:
        return [
            Member(broker=broker, projection=ReportProjection(places), store=self.reports, registry=REGISTRY),
            Member(broker=broker, projection=StatisticsProjection(), store=self.statistics, registry=REGISTRY),
        ]

    def count(self, members: Iterable[Member]) -> None:
        """Until nothing is left. A member that Kafka did not answer in time, or that was silent for too long, goes on
        from what was kept, as in a running haat.
        """
        for member in members:

            def nothing_left(member: Member = member) -> bool:
                try:
                    member.step(0.2)
                    member.measure()
                except BackendUnavailable:
                    return False
                return bool(member.lag) and not any(member.lag.values())

            until(nothing_left)

    def counted(self) -> Counted:
        return counted(self.engine)

    def close(self) -> None:
        self.engine.dispose()


@pytest.fixture
def node(broker: Broker, tmp_path: Path) -> Iterator[Node]:
    """Of the broker that the test's module has."""
    made = Node(tmp_path / "node", "node-1", broker)
    yield made
    made.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "desk")
    yield made
    made.close()


def counted(engine: Engine) -> Counted:
    """Everything that reports and statistics hold."""
    found: Counted = Counter()
    with engine.connect() as connection:
        for table, keys in _KEYS.items():
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}"):
                for column, value in enumerate(row[keys:]):
                    if value:
                        found[(table, *row[:keys], column)] += value
    return found


def counted_from_logs(folder: Path, *nodes: Node) -> Counted:
    """What the nodes' logs add up to, counted by themselves."""
    total: Counted = Counter()
    for number, node in enumerate(nodes):
        for key, value in counted_from_log(folder / f"own-{number}", node.log, places).items():
            total[key] += value
    return total


def counted_from_log(folder: Path, log: EventLog, placements_of: Callable[[bytes], list[str]]) -> Counted:
    """What one log adds up to, counted by itself in a folder that is made for it."""
    folder.mkdir(parents=True)
    engine = open_engine(f"sqlite:///{folder}/own.sqlite")
    try:
        reports, statistics = Reports(SqlReportStore(engine), placements_of), Statistics(SqlStatisticsStore(engine))
        while reports.count_once(log) or statistics.count_once(log):
            pass
        return counted(engine)
    finally:
        engine.dispose()
