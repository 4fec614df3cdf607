"""On which engines does the demo run? Those of the settings, in a database and under prefixes of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from app.engine_access import ACCESS, database_url_of, elasticsearch_access_of, redis_address_of
from app.setting_access import SECRETS
from app.settings import PREFIX, Settings
from app.wiring_kafka import broker_of
from backends.elasticsearch_client import open_client, translated
from backends.elasticsearch_indices import Indices
from backends.redis_connection import RedisConnection
from backends.sql_postgresql import emptied_beside
from common.errors import BackendUnavailable

# What the server is told of engines; the names that it makes there are not those of a haat that works there.
ADDRESSES: Final = ("database_url", "elasticsearch_url", "redis_url", "kafka_brokers")
# In the URL that is made for them already.
_IN_THE_URL: Final = ("database_password", "database_password_file", "database_ca_file")
# Read already: a secret is given itself, and not both.
_FILES: Final = tuple(f"{name}_file" for name in SECRETS if name != "database_password")
_PREFIXES: Final = ("elasticsearch_prefix", "redis_prefix", "kafka_prefix")
_OTHERS: Final = ("database_pool", "kafka_client", "inventory")
_KAFKA_FORGETS_S: Final = 30.0
_KEYS_AT_ONCE: Final = 500


def engine_settings(settings: Settings) -> dict[str, str]:
    """The demo's settings of engines, by name; empties what a demo before has left. BackendUnavailable."""
    own = replace(
        settings,
        elasticsearch_prefix=_own(settings.elasticsearch_prefix),
        redis_prefix=_own(settings.redis_prefix),
        kafka_prefix=_own(settings.kafka_prefix),
    )
    if settings.database_url:
        own = replace(own, database_url=emptied_beside(database_url_of(settings), "demo"))
    if own.elasticsearch_url:
        _empty_elasticsearch(own)
    if own.redis_url:
        _empty_redis(own)
    if own.kafka_brokers:
        _empty_kafka(own)
    named = {name: str(getattr(own, name) or "") for name in (*ADDRESSES, *ACCESS, *_OTHERS, *_PREFIXES)}
    return named | dict.fromkeys((*_IN_THE_URL, *_FILES), "") | {"database_sslmode": "url"}


def as_environment(found: Mapping[str, str]) -> dict[str, str]:
    """As variables, since a command line is read by everybody on the machine."""
    return {PREFIX + name.upper(): value for name, value in found.items()}


def _own(prefix: str) -> str:
    return f"{prefix[:27]}-demo"


def _empty_elasticsearch(own: Settings) -> None:
    client = open_client(own.elasticsearch_url, elasticsearch_access_of(own))
    try:
        with translated("removing what a demo before has left"):
            Indices(client, own.elasticsearch_prefix).remove_all()
    finally:
        client.close()


def _empty_redis(own: Settings) -> None:
    redis = RedisConnection(redis_address_of(own), own.redis_prefix, watch=False)
    try:
        keys = list(set(redis.scan(f"{own.redis_prefix}:*")))
        for at in range(0, len(keys), _KEYS_AT_ONCE):
            redis.ask([("UNLINK", key) for key in keys[at : at + _KEYS_AT_ONCE]])
    finally:
        redis.close()


def _empty_kafka(own: Settings) -> None:
    broker = broker_of(own)
    try:
        broker.delete(list(broker.topics()))
        # A topic that is being deleted cannot be made, and Kafka does not say when it is gone.
        given_up = time.monotonic() + _KAFKA_FORGETS_S
        while left := broker.topics():
            if time.monotonic() > given_up:
                raise BackendUnavailable(f"Kafka still has {', '.join(sorted(left))} after {_KAFKA_FORGETS_S:.0f} s")
            time.sleep(0.2)
    finally:
        broker.close()
