"""Does every client of Kafka keep the promises of streams.broker_ports?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from common.errors import BackendUnavailable
from streams.broker_ports import Arrived, Broker, Consumer, Ends, Parcel, Place
from streams.topics import CARRIED, DEAD_LETTERS, FEED_PAGES, NOTICES, PRODUCTS
from tests.services.kafka import CUTS_CONNECTIONS, OpenBroker, client, collected, open_broker, own_topics, until

__all__ = ["client", "collected", "open_broker"]

pytestmark = CUTS_CONNECTIONS


@pytest.fixture
def broker(open_broker: OpenBroker, kafka_brokers: str) -> Iterator[Broker]:
    with own_topics(open_broker, kafka_brokers) as opened:
        opened.create([NOTICES, PRODUCTS, DEAD_LETTERS], -1)
        yield opened


def parcels(partition: int, *values: bytes) -> list[Parcel]:
    return [Parcel(Place(NOTICES.name, partition), b"key", value, (("offset", b"1"),)) for value in values]


def begins(ends: Mapping[Place, Ends]) -> dict[Place, int]:
    return {place: found.begin for place, found in ends.items()}


def polled(consumer: Consumer, count: int) -> list[Arrived]:
    found: list[Arrived] = []
    for _ in range(100):
        found += consumer.poll(0.3)
        if len(found) >= count:
            break
    return found


def send(broker: Broker, *parts: list[Parcel]) -> None:
    producer = broker.producer()
    try:
        for part in parts:
            producer.send(part)
    finally:
        producer.close()


def test_records_arrive_as_they_were_sent_and_in_order(broker: Broker) -> None:
    values = [b"", b"\0" * 10, *(b"%d" % number for number in range(200)), b"x" * 2_000_000]
    send(broker, parcels(3, *values))

    consumer = broker.consumer("readers", [NOTICES.name], begins)
    found = polled(consumer, len(values))
    consumer.close()

    assert [one.value for one in found] == values
    assert [one.offset for one in found] == list(range(len(values)))
    assert {(one.place, one.key, one.headers) for one in found} == {
        (Place(NOTICES.name, 3), b"key", (("offset", b"1"),))
    }


def test_a_member_reads_from_where_it_is_told_and_hears_what_there_is(broker: Broker) -> None:
    send(broker, parcels(0, b"a", b"b", b"c"), parcels(1, b"d"))
    told: dict[Place, Ends] = {}
    # Of the first partition; a group that begins anew asks again, and gets the same.
    first_from = 2

    def positions(ends: Mapping[Place, Ends]) -> dict[Place, int]:
        told.update(ends)
        return {place: first_from if place.partition == 0 else found.begin for place, found in ends.items()}

    consumer = broker.consumer("readers", [NOTICES.name], positions)
    all_places = {Place(NOTICES.name, number) for number in range(6)}
    found: list[Arrived] = []

    def has_come(*values: bytes) -> bool:
        found.extend(consumer.poll(0.3))
        return consumer.assigned() == all_places and {one.value for one in found} >= set(values)

    until(lambda: has_come(b"c", b"d"))
    assert {one.value for one in found} == {b"c", b"d"}
    assert told[Place(NOTICES.name, 0)] == Ends(0, 3)
    assert set(told) == all_places
    assert consumer.ends([Place(NOTICES.name, 1)]) == {Place(NOTICES.name, 1): Ends(0, 1)}

    found.clear()
    first_from = 1
    consumer.seek(Place(NOTICES.name, 0), first_from)
    until(lambda: has_come(b"b", b"c"))
    # A second time only where the group began anew meanwhile.
    assert list(dict.fromkeys(one.value for one in found if one.place.partition == 0)) == [b"b", b"c"]
    consumer.close()


def test_two_members_share_the_partitions_and_one_that_leaves_gives_its_own_up(broker: Broker) -> None:
    send(broker, *(parcels(number, b"%d" % number) for number in range(6)))
    first = broker.consumer("readers", [NOTICES.name], begins)
    assert len(polled(first, 6)) == 6
    second = broker.consumer("readers", [NOTICES.name], begins)
    found: list[Arrived] = []
    for _ in range(200):
        first.poll(0.1)
        found += second.poll(0.1)
        if len(first.assigned()) == len(second.assigned()) == 3:
            break

    assert first.assigned() | second.assigned() == {Place(NOTICES.name, number) for number in range(6)}
    assert not first.assigned() & second.assigned()
    first.close()
    # Positions are asked again, so all of them come once more.
    again: list[Arrived] = []
    for _ in range(200):
        again += second.poll(0.1)
        if len({one.place for one in again}) == 6:
            break
    second.close()
    assert {one.value for one in again} == {b"%d" % number for number in range(6)}


def test_what_is_raised_where_positions_are_asked_comes_out_of_poll(broker: Broker) -> None:
    def positions(ends: Mapping[Place, Ends]) -> dict[Place, int]:
        raise BackendUnavailable("the store does not answer")

    consumer = broker.consumer("readers", [NOTICES.name], positions)

    with pytest.raises(BackendUnavailable, match="the store does not answer"):
        polled(consumer, 1)
    consumer.close()


def test_topics_are_as_the_catalogue_wants_them(broker: Broker) -> None:
    broker.create([NOTICES, FEED_PAGES], -1)

    found = broker.topics()

    assert set(found) == {NOTICES.name, PRODUCTS.name, DEAD_LETTERS.name, FEED_PAGES.name}
    assert found[NOTICES.name].partitions == NOTICES.partitions
    assert found[NOTICES.name].replicas == 1
    # Money names visitors, so it is kept for less on the broker than in the log; products are kept for ever.
    assert found[NOTICES.name].config["retention.ms"] == str(28 * 86_400_000)
    assert found[PRODUCTS.name].config["retention.ms"] == "-1"
    assert found[NOTICES.name].config["segment.ms"] == str(86_400_000)


def test_topics_that_are_deleted_are_gone(broker: Broker) -> None:
    broker.delete(list(CARRIED))
    broker.delete([NOTICES.name])

    until(lambda: broker.topics() == {})


def test_all_of_a_topic_is_read_without_a_group(broker: Broker) -> None:
    assert list(broker.read_all(DEAD_LETTERS.name)) == []
    send(broker, [Parcel(Place(DEAD_LETTERS.name, 0), b"", b"%d" % number, ()) for number in range(1_500)])

    found = list(broker.read_all(DEAD_LETTERS.name))

    assert [one.value for one in found] == [b"%d" % number for number in range(1_500)]
    assert {one.key for one in found} == {b""}


def test_a_broker_that_is_not_there_is_told_of(open_broker: OpenBroker) -> None:
    # Nobody listens on port 1 of loopback.
    broker = open_broker(["127.0.0.1:1"], "nowhere")

    with pytest.raises(BackendUnavailable, match="Kafka does not"):
        broker.topics()
    with pytest.raises(BackendUnavailable, match="Kafka does not"):
        send(broker, parcels(0, b"a"))
