"""How do streams speak to Kafka by librdkafka? By confluent-kafka: the same promises, a fraction of the CPU."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from backends.kafka_access import KafkaAccess
from backends.kafka_topics import (
    BATCH_BYTES,
    DELIVERY_TIMEOUT_MS,
    FETCH_BYTES,
    LINGER_MS,
    MAX_POLL_MS,
    MAX_RECORD_BYTES,
    REQUEST_TIMEOUT_MS,
    SEND_TIMEOUT_S,
    SESSION_TIMEOUT_MS,
    SET,
    SILENT,
    config_of,
    full_name,
    own_names,
)
from common.errors import BackendUnavailable
from streams.broker_ports import Arrived, Consumer, Ends, Parcel, Place, Positions, Producer, TopicState
from streams.topics import Topic

_TIMEOUT_S = REQUEST_TIMEOUT_MS / 1000
# What librdkafka says of itself; ours is said by whoever gets the exception.
_log = logging.getLogger("haat.librdkafka")
_log.setLevel(logging.CRITICAL)
_EARLIEST, _LATEST = OffsetSpec.earliest(), OffsetSpec.latest()  # type: ignore[no-untyped-call]
_WITHOUT_LEADER = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)


class ConfluentBroker:
    """Broker over confluent-kafka. `brokers` are host:port; nothing is connected before it is asked for."""

    def __init__(
        self, brokers: Sequence[str], prefix: str, access: KafkaAccess | None = None, *, max_poll_ms: int = MAX_POLL_MS
    ) -> None:
        self._brokers = ",".join(brokers)
        self._access = access or KafkaAccess()
        self._prefix = prefix
        self._max_poll_ms = max_poll_ms

    def producer(self) -> Producer:
        """See Broker."""
        settings = {
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": LINGER_MS,
            "batch.size": BATCH_BYTES,
            "message.max.bytes": MAX_RECORD_BYTES,
            "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
            "request.timeout.ms": REQUEST_TIMEOUT_MS,
        }
        with _translated():
            return _Producer(confluent_kafka.Producer(self._connection() | settings, logger=_log), self._prefix)

    def consumer(self, group: str, topics: Collection[str], positions: Positions) -> Consumer:
        """See Broker."""
        session_ms = min(SESSION_TIMEOUT_MS, self._max_poll_ms)
        settings = {
            "group.id": full_name(self._prefix, group),
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "max.partition.fetch.bytes": FETCH_BYTES,
            "max.poll.interval.ms": self._max_poll_ms,
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": session_ms // 4,
        }
        with _translated():
            consumer = confluent_kafka.Consumer(self._connection() | settings, logger=_log)
            names = [full_name(self._prefix, topic) for topic in topics]
            return _Consumer(consumer, self._admin(), names, self._prefix, positions)

    def topics(self) -> Mapping[str, TopicState]:
        """See Broker."""
        own = own_names(self._prefix)
        admin = self._admin()
        with _translated():
            there = {name: found for name, found in admin.list_topics(timeout=_TIMEOUT_S).topics.items() if name in own}
            resources = [ConfigResource(ResourceType.TOPIC, name) for name in there]
            asked = admin.describe_configs(resources, request_timeout=_TIMEOUT_S) if resources else {}
            configs = {resource.name: future.result() for resource, future in asked.items()}
        found = {}
        for name, topic in there.items():
            values = configs[name]
            found[own[name]] = TopicState(
                len(topic.partitions),
                min((len(partition.replicas) for partition in topic.partitions.values()), default=0),
                {key: values[key].value for key in SET if key in values},
            )
        return found

    def create(self, topics: Sequence[Topic], replicas: int) -> None:
        """See Broker."""
        admin = self._admin()
        made = [
            NewTopic(
                full_name(self._prefix, topic.name),
                num_partitions=topic.partitions,
                replication_factor=replicas,
                config=dict(config_of(topic)),
            )
            for topic in topics
        ]
        if not made:
            return
        with _translated():
            for future in admin.create_topics(made, operation_timeout=_TIMEOUT_S, request_timeout=_TIMEOUT_S).values():
                try:
                    future.result()
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        raise
            names = {topic.topic for topic in made}
            self._wait(admin, lambda there: names <= there)

    def delete(self, topics: Collection[str]) -> None:
        """See Broker."""
        admin = self._admin()
        with _translated():
            there = admin.list_topics(timeout=_TIMEOUT_S).topics
            named = [name for topic in topics if (name := full_name(self._prefix, topic)) in there]
            for future in admin.delete_topics(named, operation_timeout=_TIMEOUT_S).values() if named else ():
                future.result()
            self._wait(admin, lambda there: not there & set(named))

    def read_all(self, topic: str) -> Iterator[Arrived]:
        """See Broker."""
        name = full_name(self._prefix, topic)
        with _translated():
            settings = {"group.id": full_name(self._prefix, "readers"), "enable.auto.commit": False}
            consumer = confluent_kafka.Consumer(self._connection() | settings, logger=_log)
            try:
                numbers = consumer.list_topics(name, timeout=_TIMEOUT_S).topics[name].partitions
                held = _ends(self._admin(), [TopicPartition(name, number) for number in numbers])
                left = {partition.partition: end for partition, (begin, end) in held.items() if begin < end}
                consumer.assign([TopicPartition(name, number, confluent_kafka.OFFSET_BEGINNING) for number in left])
                while left:
                    for message in consumer.consume(500, timeout=1.0):
                        arrived = _arrived(message, topic)
                        yield arrived
                        if arrived.offset + 1 >= left.get(arrived.place.partition, 0):
                            left.pop(arrived.place.partition, None)
            finally:
                consumer.close()

    def close(self) -> None:
        """See Broker."""

    def _wait(self, admin: AdminClient, done: Callable[[set[str]], bool]) -> None:
        """A broker hears of what the controller did a moment later."""
        until_s = time.monotonic() + _TIMEOUT_S
        while not done(set(admin.list_topics(timeout=_TIMEOUT_S).topics)):
            if time.monotonic() > until_s:
                raise BackendUnavailable(f"Kafka does not show within {_TIMEOUT_S:.0f} s what was done to its topics")
            time.sleep(0.02)

    def _admin(self) -> AdminClient:
        return AdminClient(self._connection(), logger=_log)

    def _connection(self) -> dict[str, Any]:
        return {
            "bootstrap.servers": self._brokers,
            "client.id": "haat",
            "socket.timeout.ms": REQUEST_TIMEOUT_MS,
            "reconnect.backoff.max.ms": 1000,
            **self._access.for_librdkafka(),
        }


class _Producer:
    def __init__(self, producer: confluent_kafka.Producer, prefix: str) -> None:
        self._producer = producer
        self._prefix = prefix
        self._acked = 0
        self._error: KafkaError | None = None

    def send(self, parcels: Sequence[Parcel]) -> None:
        self._acked, self._error = 0, None
        until_s = time.monotonic() + SEND_TIMEOUT_S
        with _translated():
            for parcel in parcels:
                while True:
                    try:
                        self._producer.produce(
                            full_name(self._prefix, parcel.place.topic),
                            value=parcel.value,
                            key=parcel.key or None,
                            headers=list(parcel.headers),
                            partition=parcel.place.partition,
                            on_delivery=self._delivered,
                        )
                        break
                    except BufferError:
                        # The queue is full: what is under way makes room, or the time is over.
                        self._producer.poll(0.1)
                        if time.monotonic() > until_s:
                            raise BackendUnavailable("Kafka does not take what is sent") from None
            self._producer.flush(max(until_s - time.monotonic(), 0.1))
        if self._error is not None:
            raise BackendUnavailable(f"{SILENT}: {self._error.name()}: {self._error.str()[:200]}")
        if self._acked < len(parcels):
            raise BackendUnavailable(f"{SILENT}: {len(parcels) - self._acked} records wait")

    def close(self) -> None:
        self._producer.purge()
        self._producer.flush(0.1)

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._error = error
        else:
            self._acked += 1


class _Consumer:
    """Rebalances are followed within poll, on the caller's thread."""

    def __init__(
        self,
        consumer: confluent_kafka.Consumer,
        admin: AdminClient,
        names: list[str],
        prefix: str,
        positions: Positions,
    ) -> None:
        self._consumer = consumer
        self._admin = admin
        self._prefix = prefix
        self._positions = positions
        self._mine: set[Place] = set()
        consumer.subscribe(names, on_assign=self._assigned, on_revoke=self._revoked)

    def poll(self, timeout_s: float, limit: int = 500) -> list[Arrived]:
        arrived = []
        with _translated():
            # A batch would wait until it is full: so the first one is waited for, and the rest is what is there.
            messages = self._consumer.consume(1, timeout=timeout_s)
            if messages:
                messages += self._consumer.consume(limit - 1, timeout=0)
            for message in messages:
                found = _arrived(message, (message.topic() or "").removeprefix(f"{self._prefix}."))
                if found.place in self._mine:
                    arrived.append(found)
        return arrived

    def assigned(self) -> frozenset[Place]:
        return frozenset(self._mine)

    def seek(self, place: Place, offset: int) -> None:
        with _translated():
            self._consumer.seek(TopicPartition(full_name(self._prefix, place.topic), place.partition, offset))

    def ends(self, places: Collection[Place]) -> Mapping[Place, Ends]:
        if not places:
            return {}
        asked = [TopicPartition(full_name(self._prefix, place.topic), place.partition) for place in places]
        with _translated():
            return {self._place(partition): ends for partition, ends in _ends(self._admin, asked).items()}

    def close(self) -> None:
        with _translated():
            self._consumer.close()

    def _assigned(self, consumer: confluent_kafka.Consumer, partitions: list[TopicPartition]) -> None:
        fresh = {self._place(partition) for partition in partitions}
        at = self._positions(self.ends(fresh))
        for partition in partitions:
            partition.offset = at[self._place(partition)]
        consumer.assign(partitions)
        self._mine |= fresh

    def _revoked(self, _consumer: confluent_kafka.Consumer, partitions: list[TopicPartition]) -> None:
        self._mine -= {self._place(partition) for partition in partitions}

    def _place(self, partition: TopicPartition) -> Place:
        return Place(partition.topic.removeprefix(f"{self._prefix}."), partition.partition)


def _ends(admin: AdminClient, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Ends]:
    """What partitions hold. Asked on a connection of its own: on a consumer's it would stand behind fetches that wait.

    A partition that was just made, or that moves, has no leader for a moment.
    """
    until_s = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            begins, ends = (
                {partition: future.result().offset for partition, future in asked.items()}
                for asked in (
                    admin.list_offsets(dict.fromkeys(partitions, of), request_timeout=_TIMEOUT_S)
                    for of in (_EARLIEST, _LATEST)
                )
            )
            if min(*begins.values(), *ends.values()) < 0:
                # What it could not ask in time it gives as an offset that there is none of.
                raise BackendUnavailable("Kafka does not say what its partitions hold")
            return {partition: Ends(begins[partition], ends[partition]) for partition in partitions}
        except KafkaException as error:
            if error.args[0].code() not in _WITHOUT_LEADER or time.monotonic() > until_s:
                raise
            time.sleep(0.02)


def _arrived(message: Message, topic: str) -> Arrived:
    error = message.error()
    if error is not None:
        if error.code() == KafkaError._MAX_POLL_EXCEEDED:
            # Its partitions are taken away in the next poll, and it joins again.
            return Arrived(Place("", 0), 0, b"", b"", ())
        raise KafkaException(error)
    headers: Any = message.headers() or []
    key, value = message.key(), message.value()
    return Arrived(
        Place(topic, message.partition() or 0), message.offset() or 0, _bytes(key), _bytes(value), tuple(headers)
    )


def _bytes(value: str | bytes | None) -> bytes:
    return value if isinstance(value, bytes) else (value or "").encode()


@contextmanager
def _translated() -> Iterator[None]:
    """Kafka's exceptions in our words."""
    try:
        yield
    except KafkaException as error:
        told = error.args[0]
        words = f"{told.name()}: {told.str()[:200]}" if isinstance(told, KafkaError) else str(told)[:200]
        raise BackendUnavailable(f"{SILENT}: {words}") from error
