"""Do real engines let haat in by TLS and passwords, and does haat refuse those whose certificate is not theirs?"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._scram import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from app.doctor import examine, looks
from app.engine_access import database_url_of, elasticsearch_access_of, redis_address_of
from app.settings import Settings
from app.wiring_kafka import broker_of
from backends.elasticsearch_client import open_client, translated
from backends.probing import Finding
from backends.redis_connection import RedisConnection
from backends.sql import engine_of, reading
from common.errors import BackendUnavailable
from services.engine import Place
from services.postgresql import PostgreSQL
from streams.broker_ports import Parcel
from streams.broker_ports import Place as At
from streams.topics import DEAD_LETTERS
from tests.redis_servers import Servers, redis_servers
from tests.services.certificates import ADDRESS, Certificates, make_certificates
from tests.services.engines import own_engine
from tests.services.kafka import CUTS_CONNECTIONS, Listener, WithListeners, a_prefix, client, collected, free_port
from tests.services.proxy import Proxy, proxy_before

__all__ = ["client", "collected"]

pytestmark = [*CUTS_CONNECTIONS, pytest.mark.slow]

USER, PASSWORD = "keeper", "open-sesame-1"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "haat")


def found_by_doctor(settings: Settings, engine: str) -> Finding:
    """What `haat doctor` says first of an engine; no password stands in any of it."""
    found = examine({engine: looks(settings)[engine]}, 60)
    assert PASSWORD not in repr(found)
    assert "wrong" not in repr(found)
    return found[0]


_TLS = {"ssl.keystore.type": "PEM", "ssl.keystore.location": "{data}/server.pem"}
_SASL = {
    "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
    "plain.sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule required "
    f'user_{USER}="{PASSWORD}";',
    "scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
}


@pytest.fixture(scope="module")
def kafka(certificates: Certificates) -> Iterator[dict[str, str]]:
    """Addresses of one broker by how it is entered."""
    ports = {name: free_port() for name in ("ssl", "sasl_ssl", "sasl_plaintext")}
    ways = {"ssl": _TLS, "sasl_ssl": _TLS | _SASL, "sasl_plaintext": _SASL}
    listeners = [Listener(name.replace("_", ""), port, port, name.upper(), ways[name]) for name, port in ports.items()]
    broker = WithListeners(*listeners, files={"server.pem": certificates.key_and_chain()})
    with own_engine("kafka", broker) as engine:
        admin = AdminClient({"bootstrap.servers": engine.address})
        scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        upsertion = UserScramCredentialUpsertion(USER, scram, PASSWORD.encode())
        for made in admin.alter_user_scram_credentials([upsertion]).values():
            made.result()
        yield {name: f"{ADDRESS}:{port}" for name, port in ports.items()}


@pytest.mark.parametrize(
    ("security", "mechanism"),
    [("ssl", "plain"), ("sasl_ssl", "plain"), ("sasl_ssl", "scram-sha-512"), ("sasl_plaintext", "scram-sha-512")],
)
def test_kafka_is_entered(
    kafka: dict[str, str], certificates: Certificates, settings: Settings, client: str, security: str, mechanism: str
) -> None:
    entered = replace(
        settings,
        kafka_brokers=kafka[security],
        kafka_client=client,
        kafka_prefix=a_prefix(),
        kafka_security=security,
        kafka_mechanism=mechanism,
        kafka_ca_file=certificates.authority if security.endswith("ssl") else None,
        kafka_user=USER if security.startswith("sasl") else "",
        kafka_password=PASSWORD if security.startswith("sasl") else "",
    )
    broker = broker_of(entered)

    broker.create([DEAD_LETTERS], -1)
    producer = broker.producer()
    producer.send([Parcel(At(DEAD_LETTERS.name, 0), b"", b"a letter", ())])
    producer.close()

    assert [one.value for one in broker.read_all(DEAD_LETTERS.name)] == [b"a letter"]
    assert found_by_doctor(entered, "Kafka").state == "ok"
    broker.delete([DEAD_LETTERS.name])
    broker.close()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"kafka_password": "wrong-sesame"}, "(?i)authentication"),
        ({"kafka_ca_file": "stranger"}, "(?i)certificate"),
        ({"kafka_brokers": "localhost"}, "(?i)certificate|hostname"),
    ],
)
def test_kafka_is_not_entered(
    kafka: dict[str, str],
    certificates: Certificates,
    settings: Settings,
    client: str,
    changed: dict[str, str],
    says: str,
) -> None:
    refused = replace(
        settings,
        kafka_brokers=kafka["sasl_ssl"].replace(ADDRESS, changed.get("kafka_brokers", ADDRESS)),
        kafka_client=client,
        kafka_security="sasl_ssl",
        kafka_mechanism="plain",
        kafka_ca_file=certificates.stranger if "kafka_ca_file" in changed else certificates.authority,
        kafka_user=USER,
        kafka_password=changed.get("kafka_password", PASSWORD),
    )

    with pytest.raises(BackendUnavailable, match="`haat doctor` tells more") as raised:
        broker_of(refused).topics()
    assert "sesame" not in str(raised.value)
    finding = found_by_doctor(refused, "Kafka")
    assert finding.state == "missing"
    assert re.search(says, finding.says)
    assert "kafka_password" in finding.remedy


@pytest.fixture
def redis_port(certificates: Certificates) -> Iterator[int]:
    with redis_servers() as servers:
        yield _secured(servers, certificates)


def _secured(servers: Servers, certificates: Certificates) -> int:
    port = free_port()
    servers.start(
        *("--tls-port", str(port), "--tls-cert-file", str(certificates.server)),
        *("--tls-key-file", str(certificates.key), "--tls-ca-cert-file", str(certificates.authority)),
        *("--tls-auth-clients", "no", "--user", USER, "on", f">{PASSWORD}", "~*", "+@all"),
    )
    return port


def test_redis_is_entered_by_tls_and_password(redis_port: int, certificates: Certificates, settings: Settings) -> None:
    entered = replace(
        settings,
        redis_url=f"rediss://{USER}@{ADDRESS}:{redis_port}/0",
        redis_password=PASSWORD,
        redis_ca_file=certificates.authority,
    )
    connection = RedisConnection(redis_address_of(entered), "secured", wait_ms=5_000, watch=False)

    assert connection.ask([("ACL", "WHOAMI")]) == [USER.encode()]
    assert found_by_doctor(entered, "Redis").state == "ok"
    connection.close()


@pytest.mark.parametrize(
    ("changed", "says", "remedy"),
    [
        ({"redis_password": "wrong-sesame"}, "(?i)password", "redis_password"),
        ({"redis_ca_file": "stranger"}, "(?i)certificate", "redis_ca_file"),
        ({"host": "localhost"}, "(?i)certificate", "redis_ca_file"),
    ],
)
def test_redis_is_not_entered(
    redis_port: int, certificates: Certificates, settings: Settings, changed: dict[str, str], says: str, remedy: str
) -> None:
    refused = replace(
        settings,
        redis_url=f"rediss://{USER}@{changed.get('host', ADDRESS)}:{redis_port}/0",
        redis_password=changed.get("redis_password", PASSWORD),
        redis_ca_file=certificates.stranger if "redis_ca_file" in changed else certificates.authority,
    )
    connection = RedisConnection(redis_address_of(refused), "secured", wait_ms=5_000, watch=False)

    with pytest.raises(BackendUnavailable, match=says) as raised:
        connection.ask([("PING", "x")])
    assert "sesame" not in str(raised.value)
    finding = found_by_doctor(refused, "Redis")
    assert finding.state == "missing"
    assert remedy in finding.remedy
    connection.close()


@pytest.fixture
def elasticsearch(elasticsearch_url: str, certificates: Certificates) -> Iterator[Proxy]:
    """Its tests' distribution has no TLS of its own, so a proxy ends it, as before many clusters."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.key)
    with proxy_before(elasticsearch_url, context) as proxy:
        yield proxy


def test_elasticsearch_is_asked_through_tls_and_only_where_its_certificate_is_its_own(
    elasticsearch: Proxy, certificates: Certificates, settings: Settings
) -> None:
    entered = replace(
        settings,
        elasticsearch_url=f"https://{elasticsearch.address}",
        elasticsearch_ca_file=certificates.authority,
        elasticsearch_api_key=PASSWORD,
    )
    client = open_client(entered.elasticsearch_url, elasticsearch_access_of(entered))
    assert client.cluster.health()["number_of_nodes"] == 1
    assert found_by_doctor(entered, "Elasticsearch").state == "ok"
    client.close()
    for refused in (
        replace(entered, elasticsearch_ca_file=certificates.stranger),
        replace(entered, elasticsearch_ca_file=None),
        replace(entered, elasticsearch_url=entered.elasticsearch_url.replace(ADDRESS, "localhost")),
    ):
        client = open_client(refused.elasticsearch_url, elasticsearch_access_of(refused))
        with pytest.raises(BackendUnavailable, match="does not answer"), translated("asking"):
            client.cluster.health()
        client.close()
        finding = found_by_doctor(refused, "Elasticsearch")
        assert (finding.state, "elasticsearch_ca_file" in finding.remedy) == ("missing", True)


class SecuredPostgreSQL(PostgreSQL):
    """Lets one role in by TLS and password alone; its owner, who starts it, as ever."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates

    def prepare(self, place: Place) -> None:
        super().prepare(place)
        for name, source in (("server.crt", self._certificates.server), ("server.key", self._certificates.key)):
            (place.data / name).write_bytes(source.read_bytes())
            (place.data / name).chmod(0o600)
        with (place.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("ssl = on\n")
        rules = place.data / "pg_hba.conf"
        ours = f"hostssl all {USER} 127.0.0.1/32 scram-sha-256\nhost all {USER} 127.0.0.1/32 reject\n"
        rules.write_text(ours + rules.read_text(encoding="utf-8"), encoding="utf-8")
        # Files that were written after it are the server's too.
        super().prepare(place)


def test_postgresql_is_entered_by_tls_and_password_alone(certificates: Certificates, settings: Settings) -> None:
    with own_engine("postgresql", SecuredPostgreSQL(certificates)) as engine:
        with psycopg.connect(engine.address, autocommit=True) as owner:
            owner.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
            owner.execute(f"GRANT CREATE ON SCHEMA public TO {USER}")
        entered = replace(
            settings,
            database_url=engine.address.replace("haat@", f"{USER}@"),
            database_password=PASSWORD,
            database_ca_file=certificates.authority,
        )
        opened = engine_of(database_url_of(entered))
        with reading(opened) as connection:
            used = connection.exec_driver_sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").scalar_one()
        opened.dispose()
        assert used is True
        assert found_by_doctor(entered, "PostgreSQL").state == "ok"
        for refused, says in (
            (replace(entered, database_password="wrong-sesame"), "password authentication failed"),
            (replace(entered, database_ca_file=certificates.stranger), "certificate verify failed"),
            (replace(entered, database_url=entered.database_url.replace(ADDRESS, "localhost")), "does not match host"),
            (replace(entered, database_ca_file=None, database_sslmode="disable"), "pg_hba.conf rejects"),
        ):
            finding = found_by_doctor(refused, "PostgreSQL")
            assert finding.state == "missing"
            assert says in finding.says
