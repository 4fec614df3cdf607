"""What can be set of nodes and real engines, beside what one process needs? app/settings.py reads all of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from app import setting_engines as engines
from app import setting_values as values
from app.setting_list import Is, SettingsOfOne
from common.nodes import DEFAULT_NODE


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(SettingsOfOne):
    """All settings, checked. Made by `load`; tests may make one directly."""

    node: Annotated[
        str, Is(values.node, "name of this node among those that share a database; it holds leases by it")
    ] = DEFAULT_NODE
    database_url: Annotated[
        str, Is(engines.database, "PostgreSQL that keeps campaigns, posts and money; empty: SQLite in the data folder")
    ] = field(default="", repr=False)
    database_password: Annotated[
        str, Is(values.secret, "password of the user in database_url; empty: as the URL says", secret=True)
    ] = field(default="", repr=False)
    database_password_file: Annotated[
        Path | None, Is(values.optional_file, "file that holds database_password in its stead")
    ] = None
    database_sslmode: Annotated[
        str,
        Is(
            values.choice("url", "disable", "prefer", "require", "verify-ca", "verify-full"),
            "TLS to PostgreSQL, as libpq names it; url: as the URL says, verify-full where an authority is named",
        ),
    ] = "url"
    database_ca_file: Annotated[
        Path | None, Is(values.optional_file, "PEM file of the authorities that PostgreSQL's certificate may be of")
    ] = None
    database_pool: Annotated[int, Is(values.whole(1, 500), "most connections to PostgreSQL at once")] = 24
    database_connect_timeout_s: Annotated[
        int, Is(values.seconds(1, 60), "how long a connection to PostgreSQL, or waiting for a free one, may take")
    ] = 3
    database_statement_timeout_ms: Annotated[
        int, Is(values.milliseconds(100, 600_000), "how long PostgreSQL works on one statement before it gives up")
    ] = 10_000
    database_lock_timeout_ms: Annotated[
        int, Is(values.milliseconds(100, 600_000), "how long a statement waits for rows that others are writing")
    ] = 5_000
    elasticsearch_url: Annotated[
        str, Is(engines.elasticsearch, "Elasticsearch of line items and search, several with commas; empty: embedded")
    ] = field(default="", repr=False)
    elasticsearch_ca_file: Annotated[
        Path | None,
        Is(values.optional_file, "PEM file of Elasticsearch's authorities; empty: those of public sites"),
    ] = None
    elasticsearch_api_key: Annotated[
        str, Is(values.secret, "API key for Elasticsearch, in its encoded form; empty: the URL's user", secret=True)
    ] = field(default="", repr=False)
    elasticsearch_api_key_file: Annotated[
        Path | None, Is(values.optional_file, "file that holds elasticsearch_api_key in its stead")
    ] = None
    elasticsearch_password: Annotated[
        str, Is(values.secret, "password of the user in elasticsearch_url; empty: as the URL says", secret=True)
    ] = field(default="", repr=False)
    elasticsearch_password_file: Annotated[
        Path | None, Is(values.optional_file, "file that holds elasticsearch_password in its stead")
    ] = None
    elasticsearch_prefix: Annotated[str, Is(engines.name, "what names of indices in Elasticsearch begin with")] = "haat"
    inventory: Annotated[
        str,
        Is(
            values.choice("snapshot", "direct"),
            "snapshot: all line items are in memory; direct: Elasticsearch is asked which of them a page view wants",
        ),
    ] = "snapshot"
    inventory_wait_ms: Annotated[
        int,
        Is(
            values.milliseconds(1, 5_000),
            "how long a page view waits for near products and, with direct, for line items",
        ),
    ] = 25
    inventory_candidates: Annotated[
        int, Is(values.whole(8, 1_000), "direct: most line items that are found for one placement, the dearest first")
    ] = 64
    inventory_line_items: Annotated[
        int,
        Is(values.whole(100, 5_000_000), "direct: most line items that are kept in memory of those that were found"),
    ] = 20_000
    recommender_neighbours: Annotated[
        str,
        Is(
            values.choice("local", "elasticsearch"),
            "who finds what is near a visitor's taste for the feed's recommender: the process itself, or the kNN of "
            "Elasticsearch, where that has an address",
        ),
    ] = "local"
    recommender_wait_ms: Annotated[
        int,
        Is(
            values.milliseconds(1, 5_000),
            "elasticsearch: how long a feed page waits for them before the recommender does without",
        ),
    ] = 25
    redis_url: Annotated[str, Is(engines.redis, "Redis of profiles, sessions, rates, budgets; empty: embedded")] = (
        field(default="", repr=False)
    )
    redis_ca_file: Annotated[
        Path | None,
        Is(values.optional_file, "PEM file of Redis' authorities, for rediss://; empty: those of this machine"),
    ] = None
    redis_password: Annotated[
        str, Is(values.secret, "password of Redis, of the user in redis_url; empty: as the URL says", secret=True)
    ] = field(default="", repr=False)
    redis_password_file: Annotated[
        Path | None, Is(values.optional_file, "file that holds redis_password in its stead")
    ] = None
    redis_prefix: Annotated[str, Is(engines.name, "what keys in Redis begin with")] = "haat"
    redis_wait_ms: Annotated[
        int, Is(values.milliseconds(1, 1_000), "how long page views wait for Redis before they do without")
    ] = 5
    kafka_brokers: Annotated[
        str, Is(engines.brokers, "Kafka that events go to: host:port, several with commas; empty: the local log alone")
    ] = ""
    kafka_security: Annotated[
        str,
        Is(
            values.choice("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"),
            "how brokers are entered, as Kafka names it: ssl is TLS, sasl a user with a password",
        ),
    ] = "plaintext"
    kafka_ca_file: Annotated[
        Path | None,
        Is(values.optional_file, "PEM file of the brokers' authorities; empty: those of this machine"),
    ] = None
    kafka_mechanism: Annotated[
        str, Is(values.choice("scram-sha-512", "scram-sha-256", "plain"), "how the user's password is shown to Kafka")
    ] = "scram-sha-512"
    kafka_user: Annotated[str, Is(values.secret, "user at Kafka, for sasl; empty: none")] = ""
    kafka_password: Annotated[str, Is(values.secret, "password of kafka_user; empty: none", secret=True)] = field(
        default="", repr=False
    )
    kafka_password_file: Annotated[
        Path | None, Is(values.optional_file, "file that holds kafka_password in its stead")
    ] = None
    kafka_prefix: Annotated[str, Is(engines.name, "what names of topics and groups in Kafka begin with")] = "haat"
    kafka_client: Annotated[
        str, Is(values.choice("kafka-python", "confluent"), "library that speaks to Kafka: pure Python, or librdkafka")
    ] = "kafka-python"
    kafka_outbox_mib: Annotated[
        int,
        Is(
            values.whole(1, 16_777_216),
            "most that may wait for Kafka, in MiB; beyond it the oldest telemetry is dropped, never what is of money",
        ),
    ] = 16_384
    node_address: Annotated[
        str,
        Is(values.optional_address, "where other nodes reach this one's gRPC, host:port; empty: grpc_host:grpc_port"),
    ] = ""
    node_alone_s: Annotated[
        int,
        Is(
            values.seconds(10, 604_800),
            "how long a node that does not reach the database goes on selling what it has leased",
        ),
    ] = 3600
    shared_dir: Annotated[
        Path | None,
        Is(
            values.optional_file,
            "folder that all nodes have in common, for signing keys and floors; empty: data_dir, for one node alone",
        ),
    ] = None

    @property
    def keys_dir(self) -> Path:
        """Where what all nodes must have alike lies in files."""
        return self.shared_dir or self.data_dir
