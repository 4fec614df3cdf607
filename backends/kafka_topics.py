"""How does a topic of the catalogue look on Kafka? Its name with the prefix, and what is set of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from streams.topics import CARRIED, DEAD_LETTERS, Topic

_DAY_MS: Final = 86_400_000
# A record is a batch of auctions: 1,024 page views take about 1 MiB, more when they are told at length.
MAX_RECORD_BYTES: Final = 32 << 20
# Many records, of many auctions each, become one batch: what is shipped is there already, so waiting costs nothing.
BATCH_BYTES: Final = 1 << 20
LINGER_MS: Final = 20
FETCH_BYTES: Final = 4 << 20

REQUEST_TIMEOUT_MS: Final = 5_000
# After this an attempt is over, and all of it is sent again.
DELIVERY_TIMEOUT_MS: Final = 10_000
SEND_TIMEOUT_S: Final = 12.0
SESSION_TIMEOUT_MS: Final = 10_000
# A member that is silent for longer has lost its partitions.
MAX_POLL_MS: Final = 60_000

# Neither client says why it was not let in; the doctor's look does.
SILENT: Final = "Kafka does not answer, `haat doctor` tells more"


def full_name(prefix: str, topic: str) -> str:
    """The name on the broker."""
    return f"{prefix}.{topic}"


def own_names(prefix: str) -> dict[str, str]:
    """Names on the broker to names of the catalogue."""
    return {full_name(prefix, topic): topic for topic in CARRIED}


def config_of(topic: Topic) -> Mapping[str, str]:
    """What is set of a topic. A segment holds a day, since only whole segments are dropped.

    Retention counts from when a record came to the broker, so that an outbox that waited for it is not dropped at once.
    """
    return {
        "retention.ms": str(topic.broker_days * _DAY_MS) if topic.broker_days else "-1",
        "segment.ms": str(_DAY_MS),
        "max.message.bytes": str(MAX_RECORD_BYTES),
        "message.timestamp.type": "LogAppendTime",
    }


# What the catalogue sets of a topic.
SET: Final = tuple(config_of(DEAD_LETTERS))
