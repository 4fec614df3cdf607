"""Kafka for tests: brokers over both clients with topics of their own, a broker behind a proxy, and logs to ship."""

from __future__ import annotations

import gc
import socket
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import NamedTuple, Protocol

import pytest

from backends.broker_confluent import ConfluentBroker
from backends.broker_kafka_python import KafkaPythonBroker
from backends.kafka_access import KafkaAccess
from services import folders
from services.engine import Place
from services.kafka import Kafka
from streams.broker_ports import Broker
from streams.topics import CARRIED
from tests.services.engines import OwnEngine, own_engine
from tests.services.proxy import Proxy


class OpenBroker(Protocol):
    def __call__(
        self, brokers: list[str], prefix: str, access: KafkaAccess | None = ..., *, max_poll_ms: int = ...
    ) -> Broker: ...


CLIENTS: Mapping[str, OpenBroker] = {"kafka-python": KafkaPythonBroker, "confluent": ConfluentBroker}


def a_prefix() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@contextmanager
def own_topics(open_broker: OpenBroker, address: str, *, max_poll_ms: int = 60_000) -> Iterator[Broker]:
    """A broker whose topics nobody else sees; they are removed at the end."""
    broker = open_broker([address], a_prefix(), max_poll_ms=max_poll_ms)
    try:
        yield broker
    finally:
        broker.delete(list(CARRIED))
        broker.close()


class Listener(NamedTuple):
    """One more way into a broker: where it listens, where it sends its clients on to, and what is set for it."""

    name: str
    port: int
    advertised_port: int
    protocol: str = "PLAINTEXT"
    settings: Mapping[str, str] = MappingProxyType({})


class WithListeners(Kafka):
    """A broker with more ways in; a client goes on with the address that the broker tells it on the same way."""

    def __init__(self, *listeners: Listener, files: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__()
        self._listeners = listeners
        self._files = files

    def prepare(self, place: Place) -> None:
        super().prepare(place)
        # The broker runs as a user of its own, who reads nothing in the folders of tests.
        for name, text in self._files.items():
            (place.data / name).write_text(text, encoding="utf-8")
        folders.give_to(place.data, place.account)
        ways = "".join(f"{one.name}://127.0.0.1:{one.port}," for one in self._listeners)
        told = "".join(f"{one.name}://127.0.0.1:{one.advertised_port}," for one in self._listeners)
        protocols = "".join(f"{one.name}:{one.protocol}," for one in self._listeners)
        settings = "".join(
            f"listener.name.{one.name.lower()}.{name}={value.format(data=place.data)}\n"
            for one in self._listeners
            for name, value in one.settings.items()
        )
        file = place.data / "server.properties"
        file.write_text(
            file.read_text(encoding="utf-8")
            .replace("\nlisteners=", f"\nlisteners={ways}")
            .replace("\nadvertised.listeners=", f"\nadvertised.listeners={told}")
            + f"listener.security.protocol.map={protocols}PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
            + "group.min.session.timeout.ms=1000\n"
            + settings,
            encoding="utf-8",
        )


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def kafka_behind_proxy() -> Iterator[tuple[OwnEngine, Proxy]]:
    """A broker of one's own, and the proxy before it; its own address leads past the proxy."""
    inner_port = free_port()
    proxy = Proxy("127.0.0.1", inner_port)
    try:
        with own_engine("kafka", WithListeners(Listener("PROXIED", inner_port, proxy.port))) as engine:
            yield engine, proxy
    finally:
        proxy.close()


def until(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait for what must come; a failure when it does not."""
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, "it did not come"
        time.sleep(0.02)


@pytest.fixture
def collected() -> Iterator[None]:
    """kafka-python leaves sockets that were never connected to the garbage collector, which warns of them: it does its
    work here, and not within the tests of others.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.fixture(params=list(CLIENTS))
def client(request: pytest.FixtureRequest) -> str:
    """Each client of Kafka by its name in settings: a test that asks for it runs by all."""
    name: str = request.param
    return name


@pytest.fixture
def open_broker(client: str) -> OpenBroker:
    return CLIENTS[client]


CUTS_CONNECTIONS = [
    pytest.mark.services,
    pytest.mark.usefixtures("collected"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in.*socket:pytest.PytestUnraisableExceptionWarning"),
]
