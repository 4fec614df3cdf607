from __future__ import annotations

from dataclasses import replace

from app.kafka_commands import differences
from backends.kafka_topics import config_of
from streams.broker_ports import TopicState
from streams.topics import CARRIED, NOTICES, TOPICS


def as_wanted() -> dict[str, TopicState]:
    return {name: TopicState(topic.partitions, 3, dict(config_of(topic))) for name, topic in CARRIED.items()}


def test_topics_as_the_catalogue_wants_them_do_not_differ() -> None:
    assert differences(as_wanted()) == []
    more = as_wanted()
    more["notices"] = TopicState(64, 3, more["notices"].config)
    assert differences(more) == []


def test_what_is_missing_or_differs_is_named() -> None:
    there = as_wanted()
    del there["posts"]
    there["notices"] = TopicState(2, 3, {**there["notices"].config, "retention.ms": "-1"})

    assert differences(there) == [
        "notices has 2 partitions, not 6",
        "notices has retention.ms -1, not 2419200000",
        "posts is missing",
    ]


def test_what_names_people_is_gone_from_a_broker_within_a_month() -> None:
    day_ms = 86_400_000
    for topic in CARRIED.values():
        if topic.personal_data:
            # A day's segment more, and the five minutes after which the broker looks.
            assert 0 < int(config_of(topic)["retention.ms"]) <= 29 * day_ms
            assert int(config_of(topic)["segment.ms"]) <= day_ms
    assert config_of(replace(NOTICES, personal_data=False))["retention.ms"] == str(400 * day_ms)
    assert config_of(TOPICS["products"])["retention.ms"] == "-1"
