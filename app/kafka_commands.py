"""How do `haat topics` and `haat deadletters` run? Ask the broker, compare, print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from typing import Any

import msgspec

from app.bridges import placements_of
from app.databases import open_database
from app.printing import print_json, print_table
from app.settings import Settings
from app.wiring_kafka import broker_of, consumed_stores, make_missing
from backends.kafka_topics import config_of, full_name
from common.errors import BackendUnavailable, FieldError, InvalidInput
from exchange.consumed import ReportProjection, StatisticsProjection
from streams import schema_registry
from streams.broker_ports import Broker, TopicState
from streams.dead_letters import DeadLetter, dead_letters, retry
from streams.topics import CARRIED, Topic

_COLUMNS = ("topic", "owner", "personal data", "kept", "kept on Kafka", "partitions", "key", "message")


def list_topics(settings: Settings, *, as_json: bool) -> None:
    """The catalogue; needs no broker."""
    if as_json:
        print_json([_facts(settings, topic) for topic in CARRIED.values()])
        return
    rows = [
        (
            topic.name,
            topic.owner,
            "yes" if topic.personal_data else "no",
            _days(topic.retention_days),
            _days(topic.broker_days),
            topic.partitions,
            topic.ordered_by or "–",
            topic.message,
        )
        for topic in CARRIED.values()
    ]
    print_table(_COLUMNS, rows)


def create_topics(settings: Settings, *, replicas: int, as_json: bool) -> None:
    """Make what is missing."""
    if replicas != -1 and not 1 <= replicas <= 100:
        raise InvalidInput([FieldError("--replicas", str(replicas), "give 1 to 100, or -1 for the broker's default")])
    with closing(_broker(settings)) as broker:
        made = make_missing(broker, replicas)
    if as_json:
        print_json({"made": made})
    else:
        print("\n".join(f"made {full_name(settings.kafka_prefix, name)}" for name in made) or "all topics are there")


def check_topics(settings: Settings, *, as_json: bool) -> None:
    """What differs; BackendUnavailable when something does."""
    with closing(_broker(settings)) as broker:
        troubles = differences(broker.topics())
    if as_json:
        print_json({"differences": troubles})
    elif not troubles:
        print("all topics are as the catalogue wants them")
    else:
        print("\n".join(troubles))
    if troubles:
        remedy = "`haat topics create` makes what is missing; what differs is changed with Kafka's own tools"
        raise BackendUnavailable(f"{len(troubles)} differences to the catalogue: {remedy}")


def differences(there: Mapping[str, TopicState]) -> list[str]:
    """What of the broker's topics is not as the catalogue wants it, in words. More partitions than asked are none."""
    troubles = []
    for name, topic in CARRIED.items():
        state = there.get(name)
        if state is None:
            troubles.append(f"{name} is missing")
            continue
        if state.partitions < topic.partitions:
            troubles.append(f"{name} has {state.partitions} partitions, not {topic.partitions}")
        troubles += [
            f"{name} has {setting} {state.config.get(setting, 'unset')}, not {value}"
            for setting, value in config_of(topic).items()
            if state.config.get(setting) != value
        ]
    return troubles


def list_dead_letters(settings: Settings, *, as_json: bool) -> None:
    """All that the broker still holds."""
    with closing(_broker(settings)) as broker:
        letters = list(dead_letters(broker))
    if as_json:
        print_json([_shown(letter) for letter in letters])
        return
    shown = [
        (one.group, one.topic, one.partition, one.offset, one.reason, one.detail, one.source, one.bytes)
        for one in letters
    ]
    print_table(("group", "topic", "partition", "offset", "reason", "detail", "from", "bytes"), shown)


def retry_dead_letters(settings: Settings, *, group: str, as_json: bool) -> None:
    """Try them again, into the store of the settings."""
    reports, statistics = ReportProjection(placements_of), StatisticsProjection()
    if group not in ("", reports.name, statistics.name):
        raise InvalidInput([FieldError("--group", group[:40], f"give {reports.name} or {statistics.name}")])
    registry = schema_registry.load()
    engine = open_database(settings)
    outcomes: Counter[tuple[str, str]] = Counter()
    try:
        report_store, statistics_store = consumed_stores(engine)
        into: dict[str, tuple[Any, Any]] = {
            reports.name: (reports, report_store),
            statistics.name: (statistics, statistics_store),
        }
        with closing(_broker(settings)) as broker:
            for letter in dead_letters(broker):
                if letter.group in into and group in ("", letter.group):
                    outcomes[letter.group, retry(letter, *into[letter.group], registry)] += 1
    finally:
        engine.dispose()
    rows = [{"group": of, "outcome": outcome, "letters": count} for (of, outcome), count in sorted(outcomes.items())]
    if as_json:
        print_json(rows)
    else:
        print_table(("group", "outcome", "letters"), [tuple(row.values()) for row in rows])


def _broker(settings: Settings) -> Broker:
    if not settings.kafka_brokers:
        raise InvalidInput(
            [
                FieldError(
                    "kafka_brokers", "is empty", "say where Kafka is, as in --set kafka_brokers=kafka.example:9092"
                )
            ]
        )
    return broker_of(settings)


def _facts(settings: Settings, topic: Topic) -> dict[str, object]:
    return {
        **asdict(topic),
        "on_kafka": full_name(settings.kafka_prefix, topic.name),
        "broker_days": topic.broker_days,
    }


def _days(days: int) -> str:
    return f"{days} days" if days else "for ever"


def _shown(letter: DeadLetter) -> dict[str, object]:
    found = msgspec.structs.asdict(letter)
    # The bytes may hold data of people, and no terminal shows them.
    del found["arrived"]
    return found
