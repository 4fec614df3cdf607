"""Does everything that keeps the ads of pages keep the promises of feed.ports.PageAds?"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backends.page_ads_redis import RedisPageAds
from backends.redis_connection import RedisConnection
from feed.cursor import Chain
from feed.kept_ads import KeptAds, key_of
from feed.ports import FeedAd, PageAds
from tests.feed_builders import NOW_MS

PAGE = key_of("t", "s", Chain(1 << 62, 2), 3)
ADS = {
    0: FeedAd(0, "auction", "impression", markup="<b>é</b>", price_micros=1 << 40),
    2: FeedAd(2, "auction", "impression-2", product_id="shoe", currency="EUR", bidder="own"),
}
TTL_MS = 60_000

# Another one over the same pages: of another node, where the backend is shared.
Open = Callable[[], PageAds]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
def another(request: pytest.FixtureRequest) -> Open:
    if request.param == "redis":
        redis: RedisConnection = request.getfixturevalue("redis")
        return lambda: RedisPageAds(redis, ttl_ms=TTL_MS)
    one = KeptAds(ttl_ms=TTL_MS)
    return lambda: one


def test_a_page_keeps_what_was_sold_for_it_until_its_time_is_over(another: Open) -> None:
    here, there = another(), another()
    here.keep(PAGE, ADS, NOW_MS)

    for kept in (here, there):
        assert kept.recall(PAGE, NOW_MS + TTL_MS - 1) == ADS
        assert kept.recall(PAGE, NOW_MS + TTL_MS) is None


def test_another_page_session_tenant_or_number_of_slots_is_another_sale(another: Open) -> None:
    another().keep(PAGE, ADS, NOW_MS)

    for other in (("t2", "s", Chain(1 << 62, 2), 3), ("t", "s2", Chain(1 << 62, 2), 3), ("t", "s", Chain(9, 2), 3),
                  ("t", "s", Chain(1 << 62, 3), 3), ("t", "s", Chain(1 << 62, 2), 2)):  # fmt: skip
        assert another().recall(key_of(*other), NOW_MS) is None


def test_a_page_of_which_nothing_was_sold_is_offered_again(another: Open) -> None:
    another().keep(PAGE, {}, NOW_MS)

    assert another().recall(PAGE, NOW_MS) is None
