"""Does every event log keep the promises of streams.ports.EventLog?"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends.event_log_lmdb import LmdbEventLog
from streams.ports import EventLog

Open = Callable[[Path], EventLog]

EVENT_LOGS: dict[str, Open] = {"lmdb": LmdbEventLog}


@pytest.fixture(params=EVENT_LOGS.values(), ids=list(EVENT_LOGS))
def open_log(request: pytest.FixtureRequest) -> Open:
    opener: Open = request.param
    return opener


@pytest.fixture
def log(open_log: Open, tmp_path: Path) -> Iterator[EventLog]:
    log = open_log(tmp_path / "log")
    yield log
    log.close()


def test_offsets_are_dense_and_in_append_order(log: EventLog) -> None:
    firsts = [log.append("notices", [b"a", b"b"], 10), log.append("notices", [b"c"], 11)]

    assert firsts == [0, 2]
    assert [(record.offset, record.payload) for record in log.read("notices", 0)] == [(0, b"a"), (1, b"b"), (2, b"c")]
    assert log.end("notices") == 3


def test_topics_count_for_themselves(log: EventLog) -> None:
    log.append("notices", [b"a", b"b"], 10)

    assert log.append("auctions", [b"x"], 10) == 0
    assert [record.payload for record in log.read("auctions", 0)] == [b"x"]
    assert log.end("notices") == 2


def test_an_unknown_topic_is_empty(log: EventLog) -> None:
    assert log.end("posts") == 0
    assert log.read("posts", 0) == []
    assert log.first_offset_at("posts", 0) == 0


def test_appending_nothing_moves_nothing(log: EventLog) -> None:
    log.append("notices", [b"a"], 10)

    assert log.append("notices", [], 11) == 1
    assert log.end("notices") == 1


def test_reads_start_where_told_and_stop_at_the_limit(log: EventLog) -> None:
    log.append("auctions", [b"%d" % number for number in range(50)], 10)

    assert [record.offset for record in log.read("auctions", 20, limit=3)] == [20, 21, 22]
    assert [record.offset for record in log.read("auctions", 48, limit=10)] == [48, 49]
    assert log.read("auctions", 50) == []
    assert log.read("auctions", 0, limit=0) == []


def test_a_record_comes_back_byte_for_byte(log: EventLog) -> None:
    payloads = [b"", b"\0" * 100, os.urandom(300_000)]

    log.append("auctions", payloads, 10)

    assert [record.payload for record in log.read("auctions", 0)] == payloads


def test_the_first_offset_at_a_time_is_found(log: EventLog) -> None:
    for at_ms in (100, 100, 200, 300):
        log.append("auctions", [b"a", b"b"], at_ms)

    found = [log.first_offset_at("auctions", at_ms) for at_ms in (0, 100, 101, 200, 300, 301)]

    assert found == [0, 0, 4, 4, 6, 8]


def test_time_never_goes_back_within_a_topic(log: EventLog) -> None:
    log.append("auctions", [b"a"], 200)
    log.append("auctions", [b"b"], 150)
    log.append("auctions", [b"c"], 250)

    assert [record.appended_at_ms for record in log.read("auctions", 0)] == [200, 200, 250]


def test_a_closed_log_is_the_same_when_it_is_opened_again(open_log: Open, tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.append("notices", [b"a", b"b"], 10)
    log.close()
    log.close()

    log = open_log(tmp_path)

    assert log.append("notices", [b"c"], 5) == 2
    assert [record.appended_at_ms for record in log.read("notices", 0)] == [10, 10, 10]
    log.close()


def test_what_append_returned_for_survives_kill_9(open_log: Open, tmp_path: Path) -> None:
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            log = open_log(tmp_path)
            for number in range(1_000_000):
                log.append("notices", [b"%d" % number, b"x" * (number % 9000)], number)
                os.write(tell, number.to_bytes(8, "big"))
        finally:
            os._exit(1)
    os.close(tell)
    with open(told, "rb") as pipe:
        acknowledged = [pipe.read(8) for _ in range(300)]
        os.kill(child, signal.SIGKILL)
        acknowledged += iter(lambda: pipe.read(8), b"")
    _, status = os.waitpid(child, 0)

    log = open_log(tmp_path)
    numbers = [record.payload for record in log.read("notices", 0, limit=10_000_000)[::2]]
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert len(acknowledged) >= 300
    assert numbers[: len(acknowledged)] == [b"%d" % int.from_bytes(number, "big") for number in acknowledged]
    # One more may have been written and not yet acknowledged; a half one never.
    assert log.end("notices") in (2 * len(acknowledged), 2 * len(acknowledged) + 2)
    assert log.append("notices", [b"next"], 0) == 2 * len(numbers)
    log.close()


def test_syncing_changes_nothing_that_can_be_read(log: EventLog) -> None:
    log.append("notices", [b"a"], 10)

    log.sync()
    log.sync()

    assert [record.payload for record in log.read("notices", 0)] == [b"a"]
