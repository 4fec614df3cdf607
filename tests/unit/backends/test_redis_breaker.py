"""Does a breaker keep everybody from asking what does not answer, and how far apart are the looks?"""

from __future__ import annotations

import threading
from random import Random

import pytest

from backends.redis_addresses import redis_address
from backends.redis_breaker import LONGEST_PAUSE_MS, Breaker, pause_ms
from backends.redis_connection import RedisConnection
from common.errors import BackendUnavailable
from tests.redis_servers import until


def test_looks_come_further_and_further_apart_up_to_a_bound() -> None:
    assert [pause_ms(failures, 1.0) for failures in range(8)] == [100, 200, 400, 800, 1600, 3200, 5000, 5000]
    assert [pause_ms(failures, 0.0) for failures in (0, 100)] == [50, LONGEST_PAUSE_MS // 2]


def test_it_opens_once_and_closes_when_a_look_succeeds() -> None:
    answers = False

    def look() -> None:
        if not answers:
            raise BackendUnavailable("still away")

    breaker = Breaker("it", look, Random(1), watch=False)
    breaker.failed(TimeoutError())
    breaker.failed(TimeoutError())
    assert (breaker.closed, breaker.opened) == (False, 1)
    assert not breaker.look_now()
    answers = True
    assert breaker.look_now()
    assert breaker.closed


def test_a_thread_looks_until_it_answers_and_again_after_the_next_failure() -> None:
    answers = iter([False, False, False, True, False, True])
    looked = threading.Semaphore(0)

    def look() -> None:
        answered = next(answers)
        looked.release()
        if not answered:
            raise BackendUnavailable("still away")

    breaker = Breaker("it", look, Random(1))
    for looks in (4, 2):
        breaker.failed(TimeoutError())
        for _ in range(looks):
            assert looked.acquire(timeout=30)
        until(lambda: breaker.closed)

    assert breaker.opened == 2
    assert next(answers, None) is None
    breaker.end()


def test_a_redis_that_is_not_there_is_asked_once() -> None:
    connection = RedisConnection(redis_address("redis://127.0.0.1:1"), "x", watch=False)
    for _ in range(100):
        with pytest.raises(BackendUnavailable, match="does not answer"):
            connection.ask([("GET", "x")])
    assert (connection.counts["asked"], connection.counts["skipped"]) == (1, 99)
    connection.close()
