from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.event_log_lmdb import LmdbEventLog
from common.clock import SteppedClock
from common.errors import BackendUnavailable
from streams.publisher import Publisher
from streams.topics import TOPICS

# More than the map of the small log holds.
TOO_MUCH = [b"x" * 400_000] * 4


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LmdbEventLog]:
    log = LmdbEventLog(tmp_path, map_size_bytes=1 << 20)
    yield log
    log.close()


def test_what_is_published_is_in_the_log_at_the_time_of_the_clock(log: LmdbEventLog) -> None:
    clock = SteppedClock(5_000)
    publisher = Publisher(log, clock)

    assert publisher.publish("notices", [b"a", b"b"]) == 0
    clock.step(10)
    assert publisher.publish("notices", [b"c"], durable=True) == 2

    assert [record.appended_at_ms for record in log.read("notices", 0)] == [5_000, 5_000, 5_010]
    assert publisher.published == dict.fromkeys(TOPICS, 0) | {"notices": 3}
    assert publisher.dropped == dict.fromkeys(TOPICS, 0)


@pytest.mark.parametrize("topic", [topic.name for topic in TOPICS.values() if topic.droppable])
def test_telemetry_gives_way_and_is_counted_when_the_log_is_full(log: LmdbEventLog, topic: str) -> None:
    publisher = Publisher(log, SteppedClock())

    assert publisher.publish(topic, TOO_MUCH) is None

    assert publisher.dropped[topic] == 4
    assert publisher.published[topic] == 0
    assert log.end(topic) == 0
    assert publisher.publish(topic, [b"small"]) == 0


@pytest.mark.parametrize("topic", [topic.name for topic in TOPICS.values() if not topic.droppable])
def test_everything_else_is_told_to_the_caller_when_the_log_is_full(log: LmdbEventLog, topic: str) -> None:
    publisher = Publisher(log, SteppedClock())

    with pytest.raises(BackendUnavailable):
        publisher.publish(topic, TOO_MUCH)

    assert publisher.dropped[topic] == publisher.published[topic] == 0


def test_telemetry_that_was_to_be_durable_is_not_dropped_silently(log: LmdbEventLog) -> None:
    with pytest.raises(BackendUnavailable):
        Publisher(log, SteppedClock()).publish("feed_actions", TOO_MUCH, durable=True)


def test_an_undeclared_topic_is_our_own_bug(log: LmdbEventLog) -> None:
    with pytest.raises(ValueError, match="not declared"):
        Publisher(log, SteppedClock()).publish("returns", [b"a"])
