"""Do all rate limits keep the promises of common.rate_limits.RateLimits?"""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.rate_limits_redis import RedisRateLimits
from backends.redis_connection import RedisConnection
from common.rate_limits import MemoryRateLimits, RateLimits, Use
from tests.redis_worlds import redis_at

NOW_US = 1_700_000_000_000_000
HOUR_US = 3_600_000_000

# Another one over the same buckets: of another node, where the backend is shared.
Open = Callable[[], RateLimits]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
def another(request: pytest.FixtureRequest) -> Open:
    if request.param == "redis":
        redis: RedisConnection = request.getfixturevalue("redis")
        return lambda: RedisRateLimits(redis)
    one = MemoryRateLimits()
    return lambda: one


def an_hours(times: int = 1, *, cost_us: int = HOUR_US // 10, subject: str = "ann", what: str = "posts") -> Use:
    """Ten an hour."""
    return Use(subject, what, HOUR_US, cost_us, times)


def test_what_fits_in_is_admitted_on_all_nodes_together(another: Open) -> None:
    here, there = another(), another()

    assert here.admit([an_hours(4)], NOW_US) == [4]
    assert there.admit([an_hours(4)], NOW_US) == [4]
    assert here.admit([an_hours(4)], NOW_US) == [2]
    assert there.admit([an_hours(4)], NOW_US) == [0]
    # A tenth of the hour later there is room for one.
    assert here.admit([an_hours(4)], NOW_US + HOUR_US // 10 - 1) == [0]
    assert here.admit([an_hours(4)], NOW_US + HOUR_US // 10) == [1]
    assert there.admit([an_hours(40)], NOW_US + 9 * HOUR_US) == [10]


def test_what_is_done_anyway_is_told_how_full_it_makes_the_measure_and_fills_it_no_further(another: Open) -> None:
    here, there = another(), another()

    assert here.fill([an_hours(9)], NOW_US) == [9 * HOUR_US // 10]
    assert there.fill([an_hours(20)], NOW_US) == [29 * HOUR_US // 10]
    assert here.fill([an_hours()], NOW_US + HOUR_US // 2) == [6 * HOUR_US // 10]


def test_subjects_and_what_they_do_are_counted_apart_and_a_batch_is_answered_in_its_order(another: Open) -> None:
    limits = another()
    uses = [an_hours(3), an_hours(2, subject="bob"), an_hours(1, what="links"), an_hours(4)]

    assert limits.fill(uses, NOW_US) == [3 * HOUR_US // 10, 2 * HOUR_US // 10, HOUR_US // 10, 7 * HOUR_US // 10]
    assert limits.admit([], NOW_US) == []


def test_a_clock_that_was_set_back_gives_nothing_and_takes_nothing_away(another: Open) -> None:
    limits = another()
    assert limits.admit([an_hours(10)], NOW_US) == [10]
    assert limits.admit([an_hours()], NOW_US - 9 * HOUR_US) == [0]
    assert limits.admit([an_hours(10)], NOW_US + HOUR_US) == [10]


def test_many_that_ask_at_once_are_never_admitted_more_than_there_is(another: Open) -> None:
    admitted: list[int] = []

    def ask(limits: RateLimits) -> None:
        for _ in range(30):
            admitted.extend(limits.admit([an_hours(3, cost_us=HOUR_US // 100)], NOW_US))

    threads = [threading.Thread(target=ask, args=(another(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(admitted) == 100


STEPS = st.lists(
    st.tuples(
        st.booleans(),
        st.integers(-HOUR_US, 2 * HOUR_US),
        st.lists(
            st.builds(
                Use,
                st.sampled_from(["ann", "bob"]),
                st.sampled_from(["posts", "links"]),
                st.sampled_from([HOUR_US, 24 * HOUR_US]),
                st.integers(1, HOUR_US),
                st.integers(1, 10_000),
            ),
            max_size=4,
        ),
    ),
    max_size=8,
)


@pytest.mark.services
@given(steps=STEPS)
def test_redis_counts_to_the_microsecond_as_memory_does(
    redis_url: str, steps: list[tuple[bool, int, list[Use]]]
) -> None:
    with redis_at(redis_url) as connection:
        in_redis, in_memory = RedisRateLimits(connection), MemoryRateLimits()
        now_us = NOW_US
        for admits, passed_us, uses in steps:
            now_us += passed_us
            if admits:
                assert in_redis.admit(uses, now_us) == in_memory.admit(uses, now_us)
            else:
                assert in_redis.fill(uses, now_us) == in_memory.fill(uses, now_us)
