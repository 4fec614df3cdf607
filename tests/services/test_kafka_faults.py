"""What becomes of events while Kafka is gone, hangs or is slow? Nothing is lost, and nobody waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.haat import Haat
from app.settings import Settings
from app.wiring import wire
from app.wiring_kafka import KafkaPart, make_missing
from streams.broker_ports import Broker
from tests.builders import a_page_view
from tests.services.engines import OwnEngine
from tests.services.kafka import (
    CUTS_CONNECTIONS,
    OpenBroker,
    a_prefix,
    client,
    collected,
    kafka_behind_proxy,
    open_broker,
    until,
)
from tests.services.kafka_worlds import Desk, Node, counted_from_logs, desk, node
from tests.services.proxy import Proxy

__all__ = ["client", "collected", "desk", "node", "open_broker"]

pytestmark = CUTS_CONNECTIONS


@pytest.fixture(scope="module")
def engine() -> Iterator[tuple[OwnEngine, Proxy]]:
    with kafka_behind_proxy() as started:
        yield started


@pytest.fixture
def proxy(engine: tuple[OwnEngine, Proxy]) -> Iterator[Proxy]:
    yield engine[1]
    engine[1].heal()


@pytest.fixture
def broker(open_broker: OpenBroker, proxy: Proxy) -> Broker:
    return open_broker([proxy.address], a_prefix(), max_poll_ms=6_000)


@pytest.fixture
def part(broker: Broker, node: Node, desk: Desk) -> Iterator[KafkaPart]:
    """Shipping and counting in their threads, as in a running haat."""
    make_missing(broker)
    made = KafkaPart(broker, node.shipper, desk.members(broker))
    made.start()
    yield made
    made.stop()


def settled(node: Node, desk: Desk, part: KafkaPart, folder: Path) -> None:
    """Everything is shipped, and counted as the log adds up."""
    expected = counted_from_logs(folder, node)
    until(lambda: not any(node.shipper.waiting().values()))
    until(lambda: desk.counted() == expected)


def test_nothing_is_lost_and_all_is_counted_once_when_kafka_was_gone(
    proxy: Proxy, node: Node, desk: Desk, part: KafkaPart, tmp_path: Path
) -> None:
    node.work()
    until(lambda: sum(desk.counted().values()) > 0)
    # In the middle of shipping, again and again.
    for _ in range(3):
        node.work()
        proxy.cut()
        node.work()
        waiting = sum(node.shipper.waiting().values())
        node.work()
        assert sum(node.shipper.waiting().values()) >= waiting + 40
        proxy.heal()
        node.work(5)

    settled(node, desk, part, tmp_path)


def test_a_broker_that_is_killed_and_comes_back_has_lost_nothing_that_it_acknowledged(
    engine: tuple[OwnEngine, Proxy], node: Node, desk: Desk, part: KafkaPart, tmp_path: Path
) -> None:
    node.work(10)
    until(lambda: sum(desk.counted().values()) > 0)
    node.work(10)

    engine[0].kill()
    node.work(10)
    engine[0].start()

    settled(node, desk, part, tmp_path)


def test_everything_arrives_when_kafka_answers_200_ms_late(
    proxy: Proxy, node: Node, desk: Desk, part: KafkaPart, tmp_path: Path
) -> None:
    proxy.slow(200)
    node.work(30)

    settled(node, desk, part, tmp_path)


async def test_auctions_are_held_while_kafka_hangs(client: str, proxy: Proxy, tmp_path: Path) -> None:
    haat: Haat = wire(
        replace(
            Settings(data_dir=tmp_path / "haat", models_dir=tmp_path / "none", session_answer_ttl_s=0),
            kafka_brokers=proxy.address,
            kafka_prefix=a_prefix(),
            kafka_client=client,
        )
    )
    assert haat.kafka is not None
    haat.follower.load()
    shipper = haat.kafka.shipper
    haat.kafka.start()
    try:
        await haat.auction.hold_auctions([a_page_view()])
        until(lambda: shipper.shipped_upto("auctions") == 1)
        proxy.stall()

        for _ in range(50):
            assert len(await haat.auction.hold_auctions([a_page_view()])) == 1

        assert shipper.waiting()["auctions"] == 50
        proxy.heal()
        until(lambda: shipper.shipped_upto("auctions") == 51)
    finally:
        haat.kafka.stop()
        haat.close()
