"""How do settings become what each engine is opened by? Addresses with their passwords, authorities and users."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import make_url

from app.settings import Settings
from backends.elasticsearch_client import ElasticsearchAccess
from backends.kafka_access import KafkaAccess
from backends.redis_addresses import RedisAddress, redis_address

# What beside the address says how engines are entered; what a demo hands on to its processes.
ACCESS: Final = (
    "elasticsearch_ca_file", "elasticsearch_password", "elasticsearch_api_key", "redis_ca_file", "redis_password",
    "kafka_security", "kafka_ca_file", "kafka_mechanism", "kafka_user", "kafka_password",
)  # fmt: skip


def database_url_of(settings: Settings) -> str:
    """The URL with all that libpq is told; empty without one. It holds the password: never show it."""
    if not settings.database_url.startswith("postgresql"):
        return settings.database_url
    url = make_url(settings.database_url)
    if settings.database_password:
        url = url.set(password=settings.database_password)
    more: dict[str, str] = {}
    if settings.database_sslmode != "url":
        more["sslmode"] = settings.database_sslmode
    if settings.database_ca_file is not None:
        more["sslrootcert"] = str(settings.database_ca_file)
        if "sslmode" not in url.query:
            # An authority is named to be asked.
            more.setdefault("sslmode", "verify-full")
    return url.update_query_dict(more).render_as_string(hide_password=False)


def elasticsearch_access_of(settings: Settings) -> ElasticsearchAccess:
    """Authority, key and password beside the address."""
    return ElasticsearchAccess(
        ca_file=str(settings.elasticsearch_ca_file or ""),
        api_key=settings.elasticsearch_api_key,
        password=settings.elasticsearch_password,
    )


def redis_address_of(settings: Settings) -> RedisAddress:
    """Where Redis is, and how it is entered. InvalidInput."""
    address = redis_address(settings.redis_url)
    return msgspec.structs.replace(
        address,
        password=settings.redis_password or address.password,
        ca_file=str(settings.redis_ca_file or ""),
    )


def kafka_access_of(settings: Settings) -> KafkaAccess:
    """How its brokers are entered."""
    return KafkaAccess(
        security=settings.kafka_security,
        mechanism=settings.kafka_mechanism,
        user=settings.kafka_user,
        password=settings.kafka_password,
        ca_file=str(settings.kafka_ca_file or ""),
    )
