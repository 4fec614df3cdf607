"""How do streams speak to Kafka in pure Python? By kafka-python; its checksums of record batches by crc32c, in C."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

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


class KafkaPythonBroker:
    """Broker over kafka-python. `brokers` are host:port; nothing is connected before it is asked for."""

    def __init__(
        self, brokers: Sequence[str], prefix: str, access: KafkaAccess | None = None, *, max_poll_ms: int = MAX_POLL_MS
    ) -> None:
        self._brokers = list(brokers)
        self._access = access or KafkaAccess()
        self._prefix = prefix
        self._max_poll_ms = max_poll_ms

    def producer(self) -> Producer:
        """See Broker."""
        with translated():
            return _Producer(
                KafkaProducer(
                    **self._connection(),
                    metrics_enabled=False,
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=LINGER_MS,
                    batch_size=BATCH_BYTES,
                    max_request_size=MAX_RECORD_BYTES,
                    max_block_ms=DELIVERY_TIMEOUT_MS,
                    delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
                ),
                self._prefix,
            )

    def consumer(self, group: str, topics: Collection[str], positions: Positions) -> Consumer:
        """See Broker."""
        with translated():
            consumer = KafkaConsumer(
                **self._connection(),
                metrics_enabled=False,
                group_id=full_name(self._prefix, group),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                max_partition_fetch_bytes=FETCH_BYTES,
                max_poll_interval_ms=self._max_poll_ms,
                session_timeout_ms=min(SESSION_TIMEOUT_MS, self._max_poll_ms),
                heartbeat_interval_ms=min(SESSION_TIMEOUT_MS, self._max_poll_ms) // 4,
            )
            names = [full_name(self._prefix, topic) for topic in topics]
            # A group whose leader joins before it has heard of a topic assigns nothing of it, and stays like that.
            missing = [name for name in names if not consumer.partitions_for_topic(name)]
            if missing:
                consumer.close(autocommit=False, timeout_ms=REQUEST_TIMEOUT_MS)
                raise BackendUnavailable(f"Kafka has no topic {missing[0]}: `haat topics create` makes what is missing")
            return _Consumer(consumer, names, self._prefix, positions)

    def topics(self) -> Mapping[str, TopicState]:
        """See Broker."""
        own = own_names(self._prefix)
        with self._admin() as admin:
            there = [topic for topic in admin.describe_topics() if topic["name"] in own]
            asked = [ConfigResource(ConfigResourceType.TOPIC, topic["name"]) for topic in there]
            configs = admin.describe_configs(asked, config_filter="all").get("topic", {}) if asked else {}
        found = {}
        for topic in there:
            name = own[topic["name"]]
            values = configs.get(topic["name"], {})
            found[name] = TopicState(
                len(topic["partitions"]),
                min((len(partition["replica_nodes"]) for partition in topic["partitions"]), default=0),
                {key: values[key]["value"] for key in SET if key in values},
            )
        return found

    def create(self, topics: Sequence[Topic], replicas: int) -> None:
        """See Broker."""
        with self._admin() as admin:
            for topic in topics:
                name = full_name(self._prefix, topic.name)
                made = NewTopic(name, topic.partitions, replicas, topic_configs=dict(config_of(topic)))
                try:
                    admin.create_topics([made], wait_for_metadata=True)
                except TopicAlreadyExistsError:
                    continue

    def delete(self, topics: Collection[str]) -> None:
        """See Broker."""
        with self._admin() as admin:
            there = set(admin.list_topics())
            named = [name for topic in topics if (name := full_name(self._prefix, topic)) in there]
            if named:
                admin.delete_topics(named)

    def read_all(self, topic: str) -> Iterator[Arrived]:
        """See Broker."""
        name = full_name(self._prefix, topic)
        with translated():
            consumer = KafkaConsumer(
                **self._connection(),
                metrics_enabled=False,
                enable_auto_commit=False,
                max_partition_fetch_bytes=FETCH_BYTES,
            )
            try:
                partitions = [TopicPartition(name, number) for number in consumer.partitions_for_topic(name) or ()]
                consumer.assign(partitions)
                ends = consumer.end_offsets(partitions) if partitions else {}
                consumer.seek_to_beginning(*partitions) if partitions else None
                while any(consumer.position(partition) < ends[partition] for partition in partitions):
                    for found in consumer.poll(timeout_ms=1000).values():
                        yield from (_arrived(record, topic) for record in found)
            finally:
                consumer.close()

    def close(self) -> None:
        """See Broker."""

    def _connection(self) -> dict[str, Any]:
        return {
            "bootstrap_servers": self._brokers,
            "client_id": "haat",
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
            "bootstrap_timeout_ms": REQUEST_TIMEOUT_MS,
            "reconnect_backoff_max_ms": 1000,
            **self._access.for_kafka_python(),
        }

    @contextmanager
    def _admin(self) -> Iterator[KafkaAdminClient]:
        with translated():
            admin = KafkaAdminClient(**self._connection())
            try:
                yield admin
            finally:
                admin.close()


class _Producer:
    def __init__(self, producer: KafkaProducer, prefix: str) -> None:
        self._producer = producer
        self._prefix = prefix

    def send(self, parcels: Sequence[Parcel]) -> None:
        with translated():
            under_way = [
                self._producer.send(
                    full_name(self._prefix, parcel.place.topic),
                    value=parcel.value,
                    key=parcel.key or None,
                    headers=list(parcel.headers),
                    partition=parcel.place.partition,
                )
                for parcel in parcels
            ]
            self._producer.flush(SEND_TIMEOUT_S)
            for future in under_way:
                future.get(timeout=REQUEST_TIMEOUT_MS / 1000)

    def close(self) -> None:
        self._producer.close(timeout=0)


class _Consumer:
    """Rebalances are heard on the client's own thread, and followed in the next poll, on the caller's."""

    def __init__(self, consumer: KafkaConsumer, names: list[str], prefix: str, positions: Positions) -> None:
        self._consumer = consumer
        self._prefix = prefix
        self._positions = positions
        self._lock = threading.Lock()
        self._unplaced: set[TopicPartition] = set()
        self._mine: set[TopicPartition] = set()
        consumer.subscribe(names, listener=_Listener(self._assigned, self._revoked))

    def poll(self, timeout_s: float, limit: int = 500) -> list[Arrived]:
        with translated():
            found = self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=limit)
            with self._lock:
                fresh, self._unplaced = self._unplaced, set()
                mine = set(self._mine)
            if fresh:
                self._put_in_place(fresh)
        # What came of a partition before it was put in its place is from where Kafka thinks that we are.
        return [
            _arrived(record, partition.topic.removeprefix(f"{self._prefix}."))
            for partition, records in found.items()
            if partition in mine and partition not in fresh
            for record in records
        ]

    def assigned(self) -> frozenset[Place]:
        with self._lock:
            return frozenset(self._place(partition) for partition in self._mine - self._unplaced)

    def seek(self, place: Place, offset: int) -> None:
        with translated():
            self._consumer.seek(self._partition(place), offset)

    def ends(self, places: Collection[Place]) -> Mapping[Place, Ends]:
        partitions = [self._partition(place) for place in places]
        if not partitions:
            return {}
        with translated():
            begins, ends = self._consumer.beginning_offsets(partitions), self._consumer.end_offsets(partitions)
        return {self._place(partition): Ends(begins[partition], ends[partition]) for partition in partitions}

    def close(self) -> None:
        with translated():
            self._consumer.close(autocommit=False, timeout_ms=REQUEST_TIMEOUT_MS)

    def _put_in_place(self, fresh: set[TopicPartition]) -> None:
        try:
            at = self._positions(self.ends([self._place(partition) for partition in fresh]))
            for place, offset in at.items():
                self._consumer.seek(self._partition(place), offset)
        except BaseException:
            with self._lock:
                self._unplaced |= fresh & self._mine
            raise

    def _assigned(self, partitions: Collection[TopicPartition]) -> None:
        with self._lock:
            self._mine |= set(partitions)
            self._unplaced |= set(partitions)

    def _revoked(self, partitions: Collection[TopicPartition]) -> None:
        with self._lock:
            self._mine -= set(partitions)
            self._unplaced -= set(partitions)

    def _partition(self, place: Place) -> TopicPartition:
        return TopicPartition(full_name(self._prefix, place.topic), place.partition)

    def _place(self, partition: TopicPartition) -> Place:
        return Place(partition.topic.removeprefix(f"{self._prefix}."), partition.partition)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(
        self,
        assigned: Callable[[Collection[TopicPartition]], None],
        revoked: Callable[[Collection[TopicPartition]], None],
    ) -> None:
        self._assigned, self._revoked = assigned, revoked

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._assigned(assigned)

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self._revoked(revoked)


def _arrived(record: Any, topic: str) -> Arrived:
    return Arrived(
        Place(topic, record.partition), record.offset, record.key or b"", record.value or b"", tuple(record.headers)
    )


@contextmanager
def translated() -> Iterator[None]:
    """Kafka's exceptions in our words."""
    try:
        yield
    except KafkaError as error:
        raise BackendUnavailable(f"{SILENT}: {type(error).__name__}: {str(error)[:200]}") from error
