from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from backends.event_log_lmdb import LmdbEventLog
from backends.shipped_file import ShippedFile
from common.errors import BackendUnavailable
from streams import schema_registry
from streams.broker_ports import Parcel
from streams.feed_events import FeedActionTaken
from streams.schemas import encode
from streams.shipper import Shipper
from streams.topics import AUCTIONS, FEED_ACTIONS, FEED_PAGES, NOTICES
from tests.event_batches import notices


class Kafka:
    """Takes what it is sent while it is there."""

    def __init__(self) -> None:
        self.there = True
        self.taken: list[Parcel] = []
        self.opened = 0

    def open(self) -> Kafka:
        self.opened += 1
        return self

    def send(self, parcels: Sequence[Parcel]) -> None:
        if not self.there:
            raise BackendUnavailable("Kafka does not answer")
        self.taken += parcels

    def close(self) -> None:
        pass


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = LmdbEventLog(folder / "log", map_size_bytes=1 << 28)
        self.kafka = Kafka()
        self.chance = np.random.default_rng(1)

    def shipper(self, most_bytes: int = 1 << 40) -> Shipper:
        return Shipper(
            log=self.log,
            store=ShippedFile(self.folder / "shipped.json"),
            node="node-1",
            open_producer=self.kafka.open,
            registry=schema_registry.load(),
            most_bytes=most_bytes,
        )

    def notice(self, count: int = 1) -> None:
        self.log.append(NOTICES.name, [encode(notices(1, self.chance)) for _ in range(count)], 1)

    def telemetry(self, topic: str, count: int, at_ms: int) -> None:
        self.log.append(topic, [b"x" * 3_000] * count, at_ms)

    def offsets(self, topic: str) -> list[int]:
        return [int(dict(one.headers)["offset"]) for one in self.kafka.taken if one.place.topic == topic]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.log.close()


def test_what_the_log_holds_is_sent_once_and_a_restart_goes_on(world: World) -> None:
    world.notice(5)
    shipper = world.shipper()
    assert shipper.ship_once() == 5
    assert shipper.ship_once() == 0
    world.notice(2)

    again = world.shipper()
    assert again.waiting()[NOTICES.name] == 2
    again.ship_once()

    assert world.offsets(NOTICES.name) == list(range(7))
    assert again.source == shipper.source
    assert again.sent[NOTICES.name] == 2


def test_each_record_names_the_one_before_it_in_its_partition(world: World) -> None:
    world.notice(40)
    first = world.shipper()
    first.ship_once()
    world.notice(40)
    world.shipper().ship_once()

    last: dict[int, int] = {}
    for one in world.kafka.taken:
        headers = dict(one.headers)
        assert int(headers["before"]) == last.get(one.place.partition, -1)
        last[one.place.partition] = int(headers["offset"])
        assert int(headers["attempt"]) == (0 if int(headers["offset"]) < 40 else 40)
    assert len(last) > 1


def test_a_broker_that_is_gone_keeps_nothing_and_gets_everything_later(world: World) -> None:
    world.notice(3)
    shipper = world.shipper()
    world.kafka.there = False
    for _ in range(2):
        with pytest.raises(BackendUnavailable):
            shipper.ship_once()
    world.notice(3)
    assert shipper.waiting()[NOTICES.name] == 6

    world.kafka.there = True
    shipper.ship_once()

    assert world.offsets(NOTICES.name) == list(range(6))
    # After a failure a producer is not used again: what it had under way would mix with the next attempt.
    assert world.kafka.opened == 3


def test_the_oldest_telemetry_gives_way_when_too_much_waits_and_money_never(world: World) -> None:
    world.telemetry(FEED_PAGES.name, 100, at_ms=10)
    world.telemetry(FEED_ACTIONS.name, 100, at_ms=20)
    world.notice(100)
    world.log.append(AUCTIONS.name, [b"x" * 3_000] * 100, 1)
    shipper = world.shipper(most_bytes=1_000_000)
    world.kafka.there = False

    with pytest.raises(BackendUnavailable):
        shipper.ship_once()

    # Older pages go before younger actions, and of each the oldest first.
    assert 0 < shipper.dropped[FEED_PAGES.name] <= 100
    assert shipper.dropped[FEED_ACTIONS.name] < shipper.dropped[FEED_PAGES.name]
    assert set(shipper.dropped) <= {FEED_PAGES.name, FEED_ACTIONS.name}
    assert shipper.waiting_bytes <= 1_000_000
    assert world.log.begin(FEED_PAGES.name) == shipper.dropped[FEED_PAGES.name]
    assert (world.log.begin(NOTICES.name), world.log.begin(AUCTIONS.name)) == (0, 0)
    world.kafka.there = True
    while shipper.ship_once():
        pass
    assert world.offsets(NOTICES.name) == list(range(100))
    assert len(set(world.offsets(FEED_PAGES.name))) == 100 - shipper.dropped[FEED_PAGES.name]


def test_money_and_auctions_wait_beyond_the_bound(world: World) -> None:
    world.log.append(AUCTIONS.name, [b"x" * 3_000] * 100, 1)
    shipper = world.shipper(most_bytes=1_000)
    shipper.make_room()

    assert not shipper.dropped
    assert shipper.waiting_bytes > 1_000


def test_what_cannot_be_read_is_sent_all_the_same(world: World) -> None:
    world.log.append(NOTICES.name, [b"\xff\xff"], 1)
    world.shipper().ship_once()

    assert [one.value for one in world.kafka.taken] == [b"\xff\xff"]


def test_records_of_a_session_stand_in_one_partition(world: World) -> None:
    actions = [encode(FeedActionTaken(1, "t", f"session-{n % 5}", "", 1, "post", f"a{n}")) for n in range(50)]
    world.log.append(FEED_ACTIONS.name, actions, 1)
    world.shipper().ship_once()

    by_key: dict[bytes, set[int]] = {}
    for one in world.kafka.taken:
        by_key.setdefault(one.key, set()).add(one.place.partition)
    assert set(by_key) == {b"session-%d" % n for n in range(5)}
    assert all(len(partitions) == 1 for partitions in by_key.values())


def test_a_broken_file_is_refused_with_a_remedy(world: World) -> None:
    (world.folder / "shipped.json").write_text("{")

    with pytest.raises(BackendUnavailable, match="put it back"):
        world.shipper()
