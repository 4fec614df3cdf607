"""Do rate limits hold over all nodes, and what do nodes allow while Redis is away?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backends.rate_limits_redis import RedisRateLimits
from backends.redis_connection import RedisConnection
from common.rate_limits import Use
from feed.moderation.velocity import Act, Velocity
from tests.redis_servers import redis_servers, until
from tests.redis_worlds import redis_at
from tests.services.proxy import Proxy, proxy_before

pytestmark = pytest.mark.services

NOW_US = 1_700_000_000_000_000
HOUR_US = 3_600_000_000
NODES = 3
TWELVE_AN_HOUR = Use("ann", "posts", HOUR_US, HOUR_US // 12, 100)


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with proxy_before(redis_url) as proxy:
        yield proxy


@pytest.fixture
def cut_off(redis_url: str, proxy: Proxy, redis: RedisConnection) -> Iterator[RedisConnection]:
    """Waits little, and nobody looks for Redis but the test."""
    with redis_at(proxy.before(redis_url), prefix=redis.prefix, wait_ms=500) as connection:
        yield connection


@pytest.mark.parametrize("fault", ["cut", "stall", "slow"])
def test_while_redis_is_away_each_node_allows_its_part(proxy: Proxy, cut_off: RedisConnection, fault: str) -> None:
    nodes = [RedisRateLimits(cut_off, lambda: NODES) for _ in range(NODES)]
    proxy.slow(60_000) if fault == "slow" else getattr(proxy, fault)()

    admitted = [node.admit([TWELVE_AN_HOUR], NOW_US)[0] for node in nodes for _ in range(10)]

    assert sum(admitted) == 12
    assert [max(admitted[at : at + 10]) for at in (0, 10, 20)] == [4, 4, 4]
    assert cut_off.counts["asked"] == 1
    proxy.heal()
    until(cut_off.breaker.look_now)
    # What was allowed meanwhile Redis has not heard of; one that hung may have taken the question of then.
    assert nodes[0].admit([TWELVE_AN_HOUR], NOW_US) in ([[12]] if fault == "cut" else [[12], [0]])


def test_what_was_done_before_counts_where_it_was_done(proxy: Proxy, cut_off: RedisConnection) -> None:
    node = RedisRateLimits(cut_off, lambda: NODES)
    assert node.fill([Use("ann", "posts", HOUR_US, HOUR_US // 12, 9)], NOW_US) == [9 * HOUR_US // 12]
    assert node.admit([Use("bob", "posts", HOUR_US, HOUR_US // 12, 9)], NOW_US) == [9]
    proxy.cut()

    assert node.admit([TWELVE_AN_HOUR], NOW_US) == [1]
    assert node.admit([Use("bob", "posts", HOUR_US, HOUR_US // 12, 9)], NOW_US) == [1]


def test_who_may_do_little_may_still_do_it_once(proxy: Proxy, cut_off: RedisConnection) -> None:
    node = RedisRateLimits(cut_off, lambda: 1_000)
    proxy.cut()

    assert node.admit([TWELVE_AN_HOUR], NOW_US) == [1]
    assert node.admit([TWELVE_AN_HOUR], NOW_US) == [0]


def test_a_person_who_posts_on_two_nodes_posts_as_much_as_on_one(redis: RedisConnection) -> None:
    nodes = [Velocity(rates=RedisRateLimits(redis)) for _ in range(2)]
    now_ms = NOW_US // 1_000

    exceeded = [nodes[at % 2].take("t", "ann", {Act.POST: 1, Act.LINK: 0}, 0.0, now_ms) for at in range(6)]

    assert [bool(one) for one in exceeded] == [False] * 5 + [True]
    assert exceeded[5][0].act is Act.POST
    assert exceeded[5][0].fullness == pytest.approx(1.2)
    assert [bool(nodes[at % 2].take_post("t", "ann", 3, now_ms)) for at in range(4)] == [False] * 3 + [True]
    words = "the very same words, again and again"
    assert [bool(nodes[at % 2].take_text("t", words, now_ms)) for at in range(6)] == [False] * 5 + [True]
    assert redis.counts["asked"] == 6 + 4 + 6


def test_buckets_are_gone_when_they_are_empty_and_scripts_are_sent_again() -> None:
    with redis_servers() as servers:
        port = servers.start()
        with redis_at(f"redis://127.0.0.1:{port}/0") as connection:
            limits = RedisRateLimits(connection)
            assert limits.admit([TWELVE_AN_HOUR], NOW_US) == [12]
            servers.client(port).script_flush()
            assert limits.admit([Use("ann", "links", 1_000_000, 1_000_000)], NOW_US) == [1]
            assert connection.counts["scripts_sent"] == 2
            (key,) = connection.scan("*")
            (left_ms,) = connection.ask([("PTTL", key)])
            # An hour, though the second bucket is empty sooner.
            assert 3_000_000 < left_ms <= 3_660_000
