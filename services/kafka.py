"""How is Kafka had and asked? Its jars from Maven Central, one process that is broker and controller (KRaft)."""

from __future__ import annotations

import shutil
import signal
import socket
import struct
import subprocess
from pathlib import Path

from services import folders
from services.engine import NotToBeHad, Place
from services.packages import from_maven, java_home

_VERSION = "4.1.2"
_CLUSTER = "aGFhdC1zZXJ2aWNlcy1vbg"
_ANSWER_S = 5.0
_METADATA, _METADATA_VERSION = 3, 5
_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>haat.services</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{_VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""
# One broker holds every copy, and topics are made from haat's catalogue, never by a misspelt name.
_CONFIGURATION = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}/log
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
"""


class Kafka:
    """Kafka 4.1. Clients are sent on to `advertised_port`, where a proxy may stand; 0: to the broker's own."""

    setting = "kafka_brokers"
    first_port = 9150
    patience_s = 90
    ending = signal.SIGTERM

    def __init__(self, advertised_port: int = 0) -> None:
        self.advertised_port = advertised_port

    def install(self, programs: Path) -> None:
        """46 jars, 43 MB."""
        java_home()
        if (programs / f"kafka-{_VERSION}").exists():
            return
        fetched = programs / "kafka-fetching"
        fetched.mkdir(exist_ok=True)
        (fetched / "pom.xml").write_text(_POM, encoding="utf-8")
        goal = ["dependency:copy-dependencies", "-DoutputDirectory=lib"]
        from_maven(goal, f"Kafka {_VERSION} from Maven Central", cwd=fetched)
        (fetched / "lib").rename(programs / f"kafka-{_VERSION}")
        shutil.rmtree(fetched)

    def prepare(self, place: Place) -> None:
        """The configuration, and a formatted log where there is none."""
        folders.give_to(place.data, place.account)
        (place.data / "server.properties").write_text(
            _CONFIGURATION.format(
                port=place.port,
                advertised=self.advertised_port or place.port,
                controller=place.inner_port,
                data=place.data,
            ),
            encoding="utf-8",
        )
        if not (place.data / "log" / "meta.properties").exists():
            command = ["kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(place.data / "server.properties")]
            done = subprocess.run(
                _java(place, "-Xmx256m", *command),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=120,
                check=False,
            )
            if done.returncode:
                raise NotToBeHad(f"its log cannot be formatted: {(done.stderr or done.stdout).strip()[-300:]}")
        folders.give_to(place.data, place.account)

    def command(self, place: Place) -> tuple[list[str], dict[str, str]]:
        """The broker."""
        return _java(place, "-Xmx512m", "-Xms256m", "kafka.Kafka", str(place.data / "server.properties")), {}

    def version(self, place: Place) -> str:
        """A broker and a controller in its metadata: before that it takes no work. The version is the jars'."""
        header = struct.pack(">hhih", _METADATA, _METADATA_VERSION, 1, -1)
        # No topics (an empty array), and none made.
        request = header + struct.pack(">ib", 0, 0)
        with socket.create_connection(("127.0.0.1", place.port), _ANSWER_S) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as answer:
                (size,) = struct.unpack(">i", _exactly(answer.read(4), 4))
                if not 12 <= size <= 1 << 20:
                    raise ValueError("it answers, and not as Kafka does")
                body = _exactly(answer.read(size), size)
        # Correlation id, throttle time, then the array of brokers.
        (brokers,) = struct.unpack_from(">i", body, 8)
        if brokers < 1:
            raise ValueError("its broker is not registered yet")
        return _VERSION

    def finish(self, place: Place) -> None:
        """Nothing is left to do."""

    def address(self, port: int) -> str:
        """Host and port of the first broker."""
        return f"127.0.0.1:{port}"


def _java(place: Place, *arguments: str) -> list[str]:
    libraries = str(place.programs / f"kafka-{_VERSION}" / "*")
    return [str(java_home() / "bin" / "java"), "-cp", libraries, *arguments]


def _exactly(found: bytes, size: int) -> bytes:
    if len(found) != size:
        raise ValueError("it ends the connection without an answer")
    return found
