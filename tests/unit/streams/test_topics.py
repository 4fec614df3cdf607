from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pool

from exchange.consumed import ReportProjection, StatisticsProjection
from protos import catalogue_pb2, events_pb2
from streams.schemas import SCHEMA_VERSION
from streams.topics import TOPICS, Topic, declared

GOOD: dict[str, Any] = {
    "name": "returns",
    "owner": "feed",
    "personal_data": False,
    "retention_days": 30,
    "key": "id",
    "message": "haat.events.v1.PostChanged",
    "money": False,
}


def test_every_topic_is_a_message_that_is_there() -> None:
    known = {
        f"{file.package}.{name}"
        for file in (events_pb2.DESCRIPTOR, catalogue_pb2.DESCRIPTOR)
        for name in file.message_types_by_name
    }

    assert {topic.message for topic in TOPICS.values()} <= known
    assert set(SCHEMA_VERSION) == set(TOPICS)


def test_notices_are_money_and_nothing_else_is() -> None:
    assert [topic.name for topic in TOPICS.values() if topic.money] == ["notices", "forwarded_notices"]


def test_no_group_counts_what_stands_in_every_nodes_log() -> None:
    told_everywhere = {topic.name for topic in TOPICS.values() if topic.everywhere}
    counted = {*ReportProjection.topics, *StatisticsProjection.topics}

    assert told_everywhere >= {"campaign_changes", "posts", "products", "alerts", "moderation", "creator_tiers"}
    assert counted.isdisjoint(told_everywhere)


def test_only_telemetry_gives_way_when_the_disk_is_full() -> None:
    assert {topic.name for topic in TOPICS.values() if topic.droppable} == {"feed_pages", "feed_actions"}


def test_what_may_hold_a_visitor_is_declared_as_personal_data() -> None:
    def holds_a_visitor(message: str) -> bool:
        seen, todo = set(), [descriptor_pool.Default().FindMessageTypeByName(message)]
        while todo:
            found = todo.pop()
            seen.add(found.full_name)
            names = {field.name for field in found.fields}
            if names & {"visitor_id", "session_id", "page_view"}:
                return True
            todo += [f.message_type for f in found.fields if f.message_type and f.message_type.full_name not in seen]
        return False

    for topic in TOPICS.values():
        assert topic.personal_data or not holds_a_visitor(topic.message), topic.name


def test_a_name_cannot_be_declared_twice() -> None:
    with pytest.raises(ValueError, match="'returns' is declared twice: by feed and exchange"):
        declared(Topic(**GOOD), Topic(**GOOD | {"owner": "exchange"}))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"owner": ""}, "has no owner"),
        ({"owner": "  "}, "has no owner"),
        ({"name": ""}, "lower-case letters"),
        ({"name": "Re-turns"}, "lower-case letters"),
        ({"message": ""}, "needs a key and the name of its message"),
        ({"retention_days": -1}, "kept -1 days"),
        ({"personal_data": True, "retention_days": 0}, "cannot be kept for ever"),
        ({"money": True, "droppable": True}, "cannot be dropped"),
        ({"partitions": 0}, "has 0 partitions"),
        ({"partitions": 1001}, "has 1001 partitions"),
    ],
)
def test_a_topic_with_a_promise_missing_cannot_be_declared(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Topic(**GOOD | change)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TOPICS["more"] = Topic(**GOOD)  # type: ignore[index]
