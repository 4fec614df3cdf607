"""Does what remembers sessions' impressions keep the promises of exchange.session_impressions.SessionMemory?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from backends.redis_connection import RedisConnection
from backends.session_impressions_redis import RedisSessionImpressions
from exchange.session_impressions import IMPRESSIONS_AT_MOST, Seen, SessionImpressions, SessionMemory

# Another one over the same sessions: of another node, where the backend is shared.
Open = Callable[[], SessionMemory]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
def another(request: pytest.FixtureRequest) -> Iterator[Open]:
    if request.param == "memory":
        one = SessionImpressions()
        yield lambda: one
        return
    redis: RedisConnection = request.getfixturevalue("redis")
    opened: list[RedisSessionImpressions] = []

    def open_one() -> RedisSessionImpressions:
        opened.append(RedisSessionImpressions(redis, redis))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def test_a_batch_is_answered_in_its_order_on_any_node(another: Open) -> None:
    here, there = another(), another()
    here.remember("shop s", 7, 70, 1_000)
    here.remember("shop t", 8, 80, 1_001)
    here.remember("shop s", 9, 90, 1_002)
    here.flush()

    for memory in (here, there):
        assert not memory.empty
        s, t = Seen([7, 9], [70, 90], [1_000, 1_002]), Seen([8], [80], [1_001])
        assert memory.read(["shop t", "shop u", "shop s", "shop t"]) == [t, None, s, t]
        assert memory.read([]) == []


def test_what_was_noticed_here_counts_at_once(another: Open) -> None:
    here = another()
    for number in range(20):
        here.remember("s", number, 1, 1_000 + number)
        (seen,) = here.read(["s"])
        assert seen is not None
        assert seen.line_items == list(range(number + 1))


def test_nodes_that_notice_at_once_lose_nothing(another: Open) -> None:
    here, there = another(), another()
    for number in range(20):
        here.remember("s", 1, number, 2 * number)
        there.remember("s", 2, number, 2 * number + 1)
    here.flush()
    there.flush()

    for memory in (here, there):
        (seen,) = memory.read(["s"])
        assert seen is not None
        assert sorted(zip(seen.at_ms, seen.line_items, seen.creatives, strict=True)) == sorted(
            [(2 * number, 1, number) for number in range(20)] + [(2 * number + 1, 2, number) for number in range(20)]
        )


def test_a_session_remembers_its_newest_impressions(another: Open) -> None:
    here, there = another(), another()
    for number in range(IMPRESSIONS_AT_MOST + 5):
        here.remember("s", number, number + 1, 1_000 + number)
    here.flush()

    for memory in (here, there):
        (seen,) = memory.read(["s"])
        assert seen is not None
        assert (seen.line_items[0], seen.creatives[0], seen.at_ms[0]) == (5, 6, 1_005)
        assert len(seen.line_items) == len(seen.creatives) == len(seen.at_ms) == IMPRESSIONS_AT_MOST
