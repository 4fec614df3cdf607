"""How is Kafka? Reachable, how many brokers, and whether haat's topics are there."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from backends.kafka_access import KafkaAccess
from backends.probing import ANSWER_S, Finding

_NOT_LET_IN = (KafkaError._AUTHENTICATION, KafkaError._SSL)
_SILENT = logging.Logger("kafka_probe", logging.CRITICAL)


def probe(brokers: str, topics: Sequence[str], access: KafkaAccess | None = None) -> list[Finding]:
    """Look at the cluster behind the brokers; `topics` are those that haat writes to."""
    refused: list[KafkaError] = []
    # What the library says on stderr is said here.
    settings: dict[str, Any] = (access or KafkaAccess()).for_librdkafka()
    client = AdminClient(
        settings
        | {
            "bootstrap.servers": brokers,
            "socket.timeout.ms": int(ANSWER_S * 1000),
            "log_level": 0,
            "error_cb": refused.append,
        },
        logger=_SILENT,
    )
    try:
        metadata = client.list_topics(timeout=ANSWER_S)
    except KafkaException as error:
        # Who is not let in hears only that nobody answered; why is told beside it.
        client.poll(0)
        for told in refused:
            if told.code() in _NOT_LET_IN:
                remedy = "see kafka_security, kafka_ca_file, kafka_user and kafka_password"
                return [Finding("Kafka", "missing", f"does not let haat in ({told.str()})"[:300], remedy)]
        says = f"does not answer ({error.args[0].str() if error.args else error})"
        return [Finding("Kafka", "missing", says[:300], "start it, or set kafka_brokers")]
    found = [Finding("Kafka", "ok", f"{len(metadata.brokers)} brokers, {len(metadata.topics)} topics")]
    absent = sorted(set(topics) - set(metadata.topics))
    if absent:
        found.append(Finding("topics", "note", f"not there: {', '.join(absent)}", "the next start of haat makes them"))
    else:
        found.append(Finding("topics", "ok", f"all {len(topics)} are there"))
    return found
