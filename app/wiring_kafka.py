"""What is made where `kafka_brokers` is set? A shipper of this node's log, and its members of the groups that count."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from app.bridges import placements_of
from app.engine_access import kafka_access_of
from app.settings import Settings
from backends import reports_sql, statistics_sql
from backends.consumed_sql import SqlConsumedStore
from backends.shipped_file import ShippedFile
from common.errors import FieldError, HaatError, InvalidInput
from exchange.consumed import REPORTS, STATISTICS, HourCounts, ReportProjection, StatisticsProjection
from exchange.reports import Reports
from exchange.statistics import Statistics
from streams import schema_registry
from streams.broker_ports import Broker
from streams.consumer_group import Member
from streams.ports import OutboxLog
from streams.shipper import Shipper
from streams.topics import AUCTIONS, CARRIED, NOTICES

# Which node counts what of a partition changes within this; the lag is looked at as often.
_LOOK_S = 5.0
_IDLE_S = 0.1
# Few records wait a little for more: each step has a commit of its own, here and in SQL, whatever it takes.
_FEW, _GATHER_S = 200, 0.25
_AFTER_TROUBLE_S = 1.0
# What is shipped at the end, where the broker answers.
_LAST_S = 3.0
# Topics are made with as many copies as the broker makes of any.
BROKERS_OWN_REPLICAS = -1

# By group and topic: up to which offset of its log this node has counted by itself.
OwnCounts = Mapping[str, Mapping[str, int]]

_log = logging.getLogger(__name__)


@dataclass
class KafkaPart:
    """Started and stopped with the jobs in the background; each part has a thread of its own, so that a slow broker
    holds up nothing else.
    """

    broker: Broker
    shipper: Shipper
    members: Sequence[Member]
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _topics_are_there: bool = False

    def start(self) -> None:
        """Begin to ship and to count."""
        jobs: list[tuple[str, Callable[[], None]]] = [("shipping", self._ship)]
        jobs += [(f"counting {member.name}", _Counting(member, self._stopping).run) for member in self.members]
        self._threads = [threading.Thread(target=job, name=f"kafka {name}", daemon=True) for name, job in jobs]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ship what is left if the broker answers, and leave the groups; blocks."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self.broker.close()

    def sentence(self) -> str:
        """How it is, for /status."""
        waiting, lag = sum(self.shipper.waiting().values()), sum(sum(member.lag.values()) for member in self.members)
        return f"{waiting} records wait to be shipped; {lag} wait to be counted here"

    def lag(self) -> dict[tuple[str, ...], int]:
        """Records that wait to be counted here, by group, topic and partition."""
        return {
            (member.name, place.topic, str(place.partition)): behind
            for member in self.members
            for place, behind in dict(member.lag).items()
        }

    def outcomes(self) -> dict[tuple[str, ...], int]:
        """Records that came, by group and what became of them."""
        return {(member.name, name): count for member in self.members for name, count in member.counts.items()}

    def _ship(self) -> None:
        steady = _Steady("shipping events to Kafka", self._stopping)
        while not self._stopping.is_set():
            steady.step(self._ship_once)
        until_s = time.monotonic() + _LAST_S
        while steady.works and time.monotonic() < until_s and steady.attempt(self._ship_once):
            pass
        self.shipper.close()

    def _ship_once(self) -> int:
        if not self._topics_are_there:
            # What waits is bounded also before the broker was seen for the first time.
            self.shipper.make_room()
            make_missing(self.broker)
            self._topics_are_there = True
        return self.shipper.ship_once()


class _Counting:
    def __init__(self, member: Member, stopping: threading.Event) -> None:
        self._member = member
        self._stopping = stopping
        self._looked_s = 0.0

    def run(self) -> None:
        steady = _Steady(f"counting {self._member.name} from Kafka", self._stopping)
        while not self._stopping.is_set():
            steady.step(self._step)
        self._member.close()

    def _step(self) -> int:
        done = self._member.step(_IDLE_S)
        if time.monotonic() - self._looked_s > _LOOK_S:
            self._member.measure()
            self._looked_s = time.monotonic()
        return done


class _Steady:
    """Does something again and again; trouble is told of once, and tried again after a while."""

    def __init__(self, name: str, stopping: threading.Event) -> None:
        self._name = name
        self._stopping = stopping
        self.works = True

    def step(self, work: Callable[[], int]) -> None:
        done = self.attempt(work)
        if not self.works:
            self._stopping.wait(_AFTER_TROUBLE_S)
        elif done < _FEW:
            self._stopping.wait(_GATHER_S)

    def attempt(self, work: Callable[[], Any]) -> Any:
        try:
            done = work()
        except HaatError as error:
            self._tell(f"{error}")
            return 0
        except Exception:
            # A mistake of ours must not end the thread.
            if self.works:
                _log.exception("%s fails and is tried again", self._name)
            self.works = False
            return 0
        if not self.works:
            _log.info("%s works again", self._name)
        self.works = True
        return done

    def _tell(self, trouble: str) -> None:
        if self.works:
            _log.warning("%s fails and is tried again: %s", self._name, trouble)
        self.works = False


def refuse_to_leave_kafka(settings: Settings) -> None:
    """InvalidInput where a log that was shipped would be counted by its node again, from where it was before Kafka."""
    if not settings.kafka_brokers and shipped_file(settings).exists():
        trouble = f"is empty, and the log in {settings.data_dir} is counted from Kafka: its node would count it again"
        raise InvalidInput([FieldError("kafka_brokers", trouble, "set it again, or give another data_dir")])


def wire_kafka(settings: Settings, *, log: OutboxLog, engine: Engine, own_counts: OwnCounts) -> KafkaPart | None:
    """Put it together; None where no brokers are set. Nothing is connected, and nothing waits for the broker."""
    if not settings.kafka_brokers:
        return None
    registry = schema_registry.load()
    broker = broker_of(settings)
    shipper = Shipper(
        log=log,
        store=ShippedFile(shipped_file(settings)),
        node=settings.node,
        open_producer=broker.producer,
        registry=registry,
        most_bytes=settings.kafka_outbox_mib << 20,
    )
    reports, statistics = consumed_stores(engine)
    for store, group in ((reports, REPORTS), (statistics, STATISTICS)):
        for topic, counted_upto in own_counts[group].items():
            # A log that is empty was counted by nobody, whatever the others of this database did before.
            store.begin(topic, shipper.source, min(counted_upto, log.end(topic)))
    members = [
        Member(broker=broker, projection=ReportProjection(placements_of), store=reports, registry=registry),
        Member(broker=broker, projection=StatisticsProjection(), store=statistics, registry=registry),
    ]
    return KafkaPart(broker, shipper, members)


def own_counts_of(reports: Reports, statistics: Statistics) -> OwnCounts:
    """What this database's own counting of a log came to."""
    return {
        REPORTS: {topic: reports.read_upto(topic) for topic in (AUCTIONS.name, NOTICES.name)},
        STATISTICS: {NOTICES.name: statistics.counted_upto()},
    }


def consumed_stores(engine: Engine) -> tuple[SqlConsumedStore[Any], SqlConsumedStore[Any]]:
    """Of reports and of statistics."""

    def add_hours(connection: Connection, _topic: str, found: HourCounts) -> None:
        statistics_sql.add_consumed(connection, found.counts, found.as_of_ms)

    return (
        SqlConsumedStore(engine, REPORTS, reports_sql.add_consumed),
        SqlConsumedStore(engine, STATISTICS, add_hours),
    )


def broker_of(settings: Settings, max_poll_ms: int = 60_000) -> Broker:
    """The broker by the client that the settings name; its library is loaded here and nowhere before."""
    brokers, access = settings.kafka_brokers.split(","), kafka_access_of(settings)
    if settings.kafka_client == "confluent":
        from backends.broker_confluent import ConfluentBroker

        return ConfluentBroker(brokers, settings.kafka_prefix, access, max_poll_ms=max_poll_ms)
    from backends.broker_kafka_python import KafkaPythonBroker

    return KafkaPythonBroker(brokers, settings.kafka_prefix, access, max_poll_ms=max_poll_ms)


def shipped_file(settings: Settings) -> Path:
    """Where it is kept how far this node's log is shipped."""
    return settings.data_dir / "log" / "shipped.json"


def make_missing(broker: Broker, replicas: int = BROKERS_OWN_REPLICAS) -> list[str]:
    """Make the topics of the catalogue that the broker does not have; their names."""
    there = broker.topics()
    missing = [topic for name, topic in CARRIED.items() if name not in there]
    broker.create(missing, replicas)
    return [topic.name for topic in missing]
