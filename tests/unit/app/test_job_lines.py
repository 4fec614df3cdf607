from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.background import following
from app.job_lines import Job, JobLine
from backends.event_log_lmdb import LmdbEventLog
from common.errors import BackendUnavailable
from streams.ports import EventLog

WITHIN_S = 10.0


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    opened = LmdbEventLog(tmp_path / "log")
    yield opened
    opened.close()


def counter(upto: int) -> tuple[Callable[[], None], threading.Event]:
    """(a job, what is set when it was done so often)."""
    done, times = threading.Event(), 0

    def work() -> None:
        nonlocal times
        times += 1
        if times == upto:
            done.set()

    return work, done


def test_jobs_are_done_again_and_again_in_one_thread() -> None:
    threads: set[int] = set()
    first, often = counter(3)
    second, seldom = counter(1)

    def noted() -> None:
        threads.add(threading.get_ident())
        first()

    line = JobLine("line", [Job("often", 0.0, noted), Job("seldom", 3600.0, second)])
    line.start()

    assert often.wait(WITHIN_S)
    assert seldom.wait(WITHIN_S)
    line.stop()
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


@pytest.mark.parametrize("error", [BackendUnavailable("no disk"), ZeroDivisionError("ours")])
def test_a_job_that_fails_is_told_of_once_and_ends_no_other(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    times = 0
    works = threading.Event()
    other, done = counter(4)

    def fails_twice() -> None:
        nonlocal times
        times += 1
        if times <= 2:
            raise error
        if times == 4:
            works.set()

    line = JobLine("line", [Job("the job", 0.0, fails_twice), Job("another", 0.0, other)])
    line.start()

    assert works.wait(WITHIN_S)
    assert done.wait(WITHIN_S)
    line.stop()
    said = [record.getMessage() for record in caplog.records]
    assert [message.split(":")[0] for message in said] == ["the job fails and is tried again", "the job works again"]


def test_the_end_waits_for_the_job_that_is_being_done() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    behind: list[str] = []

    def slow() -> None:
        begun.set()
        assert go_on.wait(WITHIN_S)
        ended.set()

    line = JobLine("line", [Job("slow", 3600.0, slow), Job("behind it", 3600.0, lambda: behind.append("done"))])
    line.start()
    assert begun.wait(WITHIN_S)
    stopping = threading.Thread(target=line.stop)
    stopping.start()
    assert line._ended.wait(WITHIN_S)
    go_on.set()
    stopping.join(WITHIN_S)

    assert not stopping.is_alive()
    assert ended.is_set()
    assert behind == []
    assert not line._thread.is_alive()


def test_what_was_never_begun_can_be_ended() -> None:
    JobLine("line", [Job("a", 1.0, lambda: None)]).stop()


def test_who_follows_a_topic_rests_while_it_says_nothing(log: EventLog) -> None:
    read: list[int] = []

    def count(log: EventLog) -> int:
        new = log.end("posts") - (read[-1] if read else 0)
        read.append(log.end("posts"))
        return new

    catch_up = following(log, count, "posts", "notices")

    catch_up()
    assert len(read) == 1
    catch_up()
    assert len(read) == 1
    log.append("posts", [b"a"], 1)
    catch_up()
    # Once for what is new, and once more to find that nothing is.
    assert read[1:] == [1, 1]
    log.append("notices", [b"a"], 1)
    catch_up()
    assert len(read) == 4


def test_who_could_not_count_looks_again(log: EventLog) -> None:
    times = 0

    def count(log: EventLog) -> int:
        nonlocal times
        times += 1
        raise BackendUnavailable("not now")

    catch_up = following(log, count, "posts")
    for _ in range(2):
        with pytest.raises(BackendUnavailable):
            catch_up()
    assert times == 2
