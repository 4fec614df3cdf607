"""Is everything that nodes log counted once from Kafka, to the unit, whatever dies in between?"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from common.errors import BackendUnavailable
from streams import dead_letters, schemas
from streams.broker_ports import Broker, Parcel, Place
from streams.consumer_group import Member
from streams.schema_registry import Registry
from streams.shipper import Shipped
from streams.sifting import Position
from streams.topics import AUCTIONS, CARRIED, NOTICES
from tests.services.kafka import CUTS_CONNECTIONS, OpenBroker, client, collected, open_broker, own_topics, until
from tests.services.kafka_worlds import REGISTRY, Desk, Node, counted_from_logs, desk, node

__all__ = ["client", "collected", "desk", "node", "open_broker"]

pytestmark = CUTS_CONNECTIONS


@pytest.fixture
def broker(open_broker: OpenBroker, kafka_brokers: str) -> Iterator[Broker]:
    with own_topics(open_broker, kafka_brokers) as opened:
        opened.create(list(CARRIED.values()), -1)
        yield opened


@pytest.fixture
def impatient(broker: Broker, open_broker: OpenBroker, kafka_brokers: str) -> Iterator[Broker]:
    """The same topics; a member may be silent for the least that the broker allows. On a busy machine any member is
    that now and then, so only who wants to lose partitions has it.
    """
    opened = open_broker([kafka_brokers], broker._prefix, max_poll_ms=6_000)  # type: ignore[attr-defined]
    yield opened
    opened.close()


def close(members: list[Member]) -> None:
    for member in members:
        member.close()


@pytest.mark.on_every_database
def test_what_two_nodes_log_is_counted_as_their_logs_add_up(
    broker: Broker, node: Node, desk: Desk, tmp_path: Path
) -> None:
    other = Node(tmp_path / "other", "node-2", broker, seed=2)
    members = desk.members(broker)
    for _ in range(3):
        node.work()
        other.work()
        node.hear()
        other.hear()
        node.ship()
        other.ship()
        desk.count(members)

    close(members)
    assert desk.counted() == counted_from_logs(tmp_path, node, other)
    assert sum(node.shipper.waiting().values()) == 0
    assert members[0].counts["taken"] > 120
    other.close()


def test_a_shipper_that_died_before_it_kept_its_place_sends_again_and_nothing_counts_twice(
    broker: Broker, node: Node, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.work()

    def die(topic: str, shipped: Shipped) -> None:
        raise BackendUnavailable("killed")

    with monkeypatch.context() as dying:
        dying.setattr(node.store, "write", die)
        with pytest.raises(BackendUnavailable, match="killed"):
            node.shipper.ship_once()
        node.shipper.close()
    members = desk.members(broker)
    desk.count(members)
    node.shipper = node.fresh_shipper()
    node.work()
    node.ship()
    desk.count(members)

    close(members)
    assert desk.counted() == counted_from_logs(tmp_path, node)
    assert members[0].counts["duplicate"] > 0


def test_an_attempt_with_a_gap_in_it_is_passed_over_and_its_repetition_counted(
    broker: Broker, node: Node, desk: Desk, tmp_path: Path
) -> None:
    class Leaky:
        """Loses every second record, and says that it failed, as Kafka may when it goes away in between."""

        def __init__(self) -> None:
            self._producer = broker.producer()

        def send(self, parcels: list[Parcel]) -> None:
            self._producer.send(parcels[1::2])
            raise BackendUnavailable("Kafka went away")

        def close(self) -> None:
            self._producer.close()

    node.work()
    node.shipper._open_producer = Leaky  # type: ignore[assignment]
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match="went away"):
            node.shipper.ship_once()
    node.shipper = node.fresh_shipper()
    members = desk.members(broker)
    desk.count(members)
    node.ship()
    desk.count(members)

    close(members)
    assert members[0].counts["early"] > 0
    assert desk.counted() == counted_from_logs(tmp_path, node)


def test_what_cannot_be_read_is_buried_with_a_reason_and_taken_once_when_it_can(
    broker: Broker, node: Node, desk: Desk, tmp_path: Path
) -> None:
    node.work(5)
    good = node.log.read(NOTICES.name, 0, 1)[0].payload
    node.log.append(NOTICES.name, [b"\xff\xff poison"], 9)
    node.work(5)
    node.ship()
    ours = (("source", b"node-9/x"), ("offset", b"0"), ("before", b"-1"), ("attempt", b"0"), ("at_ms", b"5"))
    future, others = (*ours, ("schema", b"9999")), (*ours, ("schema", str(REGISTRY.newest(AUCTIONS)).encode()))
    producer = broker.producer()
    producer.send(
        [
            Parcel(Place(NOTICES.name, 0), b"", good, ()),
            Parcel(Place(NOTICES.name, 1), b"", good, future),
            Parcel(Place(NOTICES.name, 2), b"", good, others),
        ]
    )
    producer.close()
    members = desk.members(broker)
    desk.count(members)

    found = list(dead_letters.dead_letters(broker))

    close(members)
    assert desk.counted() == counted_from_logs(tmp_path, node)
    reasons = {"no_origin", "schema_from_the_future", "schema_of_another_topic", "unreadable"}
    assert sorted((letter.group, letter.reason) for letter in found) == sorted(
        (group, reason) for group in ("reports", "statistics") for reason in reasons
    )
    assert all(members[0].counts[reason] == 1 for reason in reasons)
    # A haat of tomorrow knows the schema: it is what a notice is today.
    tomorrow = Registry(
        [*REGISTRY.schemas, type(REGISTRY.schemas[0])(9999, NOTICES.message, {})],
    )
    letter = next(one for one in found if one.group == "reports" and one.reason == "schema_from_the_future")
    projection = members[0]._projection
    assert dead_letters.retry(letter, projection, desk.reports, REGISTRY) == "schema_from_the_future"
    before = sum(desk.counted().values())
    assert dead_letters.retry(letter, projection, desk.reports, tomorrow) == "taken"
    assert dead_letters.retry(letter, projection, desk.reports, tomorrow) == "taken before"
    event = schemas.decode(NOTICES.name, node.log.read(NOTICES.name, 0, 1)[0])
    assert isinstance(event, schemas.NoticesTaken)
    assert sum(desk.counted().values()) > before


class Held:
    """A store that stands still where a member has folded and not kept, until it is told to go on."""

    def __init__(self, store: Any, meanwhile: Any) -> None:
        self._store, self._meanwhile = store, meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def keep(self, place: Place, before: Position | None, after: Position, result: Any) -> bool:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()
        kept: bool = self._store.keep(place, before, after, result)
        return kept


def test_a_member_that_lost_its_partitions_in_the_middle_of_a_batch_adds_nothing(
    broker: Broker, impatient: Broker, node: Node, desk: Desk, tmp_path: Path
) -> None:
    node.work()
    node.ship()
    second = desk.members(impatient)[0]
    first = desk.members(impatient)[0]
    # While the first stands still for longer than it may, the group gives its partitions to the second, who counts all.
    first._store = Held(desk.reports, lambda: desk.count([second]))

    def rolled_back() -> bool:
        with suppress(BackendUnavailable):
            first.step(0.5)
        return first.counts.get("rolled_back", 0) > 0

    # Counting has a minute within the first step.
    until(rolled_back, within_s=180)

    assert second.counts["taken"] > 0
    second.close()
    desk.count([first])
    node.work()
    node.ship()
    desk.count([first])
    statistics = desk.members(broker)[1]
    desk.count([statistics])
    close([first, statistics])
    assert desk.counted() == counted_from_logs(tmp_path, node)


def test_a_consumer_that_is_killed_in_the_middle_of_a_batch_loses_and_doubles_nothing(
    client: str, kafka_brokers: str, broker: Broker, node: Node, desk: Desk, tmp_path: Path
) -> None:
    node.work(60)
    node.ship()
    for kills in range(3):
        command = [
            *(sys.executable, "-W", "ignore", "-m", "tests.services.dying_consumer"),
            *(client, kafka_brokers),
            *(broker._prefix, str(desk.engine.url.database), str(2 * kills + 1)),  # type: ignore[attr-defined]
        ]
        died = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        assert died.returncode == -9, died.stderr
    before = desk.counted()
    expected = counted_from_logs(tmp_path, node)
    # Some of it was kept by those who died, and not all.
    assert 0 < sum(before.values()) < sum(expected.values())

    members = desk.members(broker)
    desk.count(members)

    close(members)
    assert desk.counted() == expected
