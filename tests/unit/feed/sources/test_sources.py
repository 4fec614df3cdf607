from __future__ import annotations

import numpy as np

from common.consent import Permission
from feed.actions import ActionKind
from feed.ports import Relation
from feed.sources import affinity, contextual, followed, fresh, newest, similar, trending
from feed.view import View
from tests.feed_builders import HOUR_MS, NOW_MS, Feed, a_post, a_product, ids

PERSONALISED = Permission.REMEMBER | Permission.PERSONALISE_CONTENT


def numbers(view: View, rows: list[int]) -> list[int]:
    return [int(view.shelf.posts[row].post_id, 16) for row in rows]


def test_followed_offers_posts_of_followed_creators_newest_first() -> None:
    feed = Feed([
        a_post(1, creator_id="ana", published_at_ms=NOW_MS - 3),
        a_post(2, creator_id="ana", published_at_ms=NOW_MS - 1),
        a_post(3, creator_id="bob"),
    ])  # fmt: skip
    feed.act(ActionKind.FOLLOW, "ana")

    assert numbers(feed.view(), followed.offer(feed.view(), 10)) == [2, 1]
    assert numbers(feed.view(), followed.offer(feed.view(), 1)) == [2]


def test_followed_offers_posts_of_creators_whom_the_visitor_follows_from_before() -> None:
    feed = Feed([a_post(1), a_post(2)])
    view = feed.view(relation=Relation(follows=("creator-2", "nobody")))

    assert numbers(view, followed.offer(view, 10)) == [2]


def test_similar_offers_posts_that_share_a_term_with_what_was_liked_the_closest_first() -> None:
    feed = Feed(
        [
            a_post(1, products=["shoe"], hashtags=("red",)),
            a_post(2, products=["shoe"], hashtags=("red",)),
            a_post(3, products=["boot"]),
            a_post(4, hashtags=("red",)),
            a_post(5, products=["hat"]),
        ],
        [a_product("shoe"), a_product("boot", brand="other"), a_product("hat", brand="other", category="hats")],
    )
    feed.act(ActionKind.LIKE, ids([1])[0])

    offered = numbers(feed.view(), similar.offer(feed.view(), 10))

    assert offered[:2] == [1, 2]
    assert set(offered) == {1, 2, 3, 4}


def test_similar_offers_nothing_that_only_resembles_a_hidden_post() -> None:
    feed = Feed([a_post(1, products=["shoe"]), a_post(2, products=["shoe"])], [a_product("shoe")])
    feed.act(ActionKind.HIDE, ids([1])[0])

    assert similar.offer(feed.view(), 10) == []


def test_affinity_offers_the_product_first_then_its_brand_and_category() -> None:
    feed = Feed(
        [a_post(1, products=["hat"]), a_post(2, products=["boot"]), a_post(3, products=["shoe"])],
        [a_product("shoe"), a_product("boot", brand="other"), a_product("hat", brand="other", category="hats")],
    )
    view = feed.view(permissions=PERSONALISED, affinities=(("shoe", 2.0),))

    assert numbers(view, affinity.offer(view, 10)) == [3, 2]


def test_affinity_offers_nothing_without_consent() -> None:
    feed = Feed([a_post(1, products=["shoe"])], [a_product("shoe")])
    feed.visitors.weights["visitor"] = {"shoe": 9.0}
    view = feed.view(permissions=Permission.REMEMBER, visitor_id="visitor", affinities=(("shoe", 2.0),))

    assert affinity.offer(view, 10) == []
    assert feed.visitors.read == []


def test_contextual_offers_posts_about_the_page_and_uses_nothing_of_the_visitor() -> None:
    feed = Feed(
        [a_post(1, products=["shoe"]), a_post(2, hashtags=("winter",)), a_post(3)],
        [a_product("shoe")],
    )
    view = feed.view(categories=("shoes",), keywords=("winter",))

    assert numbers(view, contextual.offer(view, 10)) == [1, 2]


def test_contextual_knows_the_category_of_the_product_that_the_page_is_about() -> None:
    feed = Feed([a_post(1, products=["boot"]), a_post(2, products=["shoe"])], [a_product("shoe"), a_product("boot")])
    view = feed.view(product_id="shoe")

    assert numbers(view, contextual.offer(view, 10)) == [2, 1]


def test_trending_prefers_what_was_engaged_with_lately_to_what_was_long_ago() -> None:
    feed = Feed([a_post(1), a_post(2), a_post(3)])
    feed.shelf.count_action(0, 3.0, NOW_MS - 48 * HOUR_MS)
    feed.shelf.count_action(1, 1.0, NOW_MS)

    assert numbers(feed.view(), trending.offer(feed.view(), 10)) == [2, 1]
    assert numbers(feed.view(), trending.offer(feed.view(), 1)) == [2]


def test_heat_is_the_same_in_whichever_order_actions_are_counted() -> None:
    early_first, late_first = Feed([a_post(1)]).shelf, Feed([a_post(1)]).shelf
    for shelf, hours in ((early_first, (5, 1)), (late_first, (1, 5))):
        for hours_ago in hours:
            shelf.count_action(0, 2.0, NOW_MS - hours_ago * HOUR_MS)

    assert np.allclose(early_first.heat(NOW_MS), late_first.heat(NOW_MS))


def test_fresh_offers_young_posts_with_few_impressions_only() -> None:
    feed = Feed([
        a_post(1, published_at_ms=NOW_MS - 80 * HOUR_MS),
        a_post(2, published_at_ms=NOW_MS - 2 * HOUR_MS),
        a_post(3, published_at_ms=NOW_MS - 1 * HOUR_MS),
    ])  # fmt: skip
    seen = feed.shelf.row_of[ids([3])[0]]
    for _ in range(fresh.FEW_IMPRESSIONS):
        feed.shelf.count_views(np.array([seen], np.int32))

    assert numbers(feed.view(), fresh.offer(feed.view(), 10)) == [2]


def test_places_for_fresh_posts_are_an_eighth_of_the_page_on_average() -> None:
    assert fresh.places(16, 1 / 8, 0.99) == 2
    for size in (1, 5, 12):
        mean = sum(fresh.places(size, 1 / 8, chance) for chance in np.arange(0, 1, 1 / 1024)) / 1024
        assert mean == size / 8


def test_newest_offers_all_live_posts_newest_first() -> None:
    feed = Feed([a_post(1, published_at_ms=3), a_post(2, published_at_ms=1), a_post(3, published_at_ms=2)])

    assert numbers(feed.view(), newest.offer(feed.view(), 10)) == [1, 3, 2]
    assert numbers(feed.view(), newest.offer(feed.view(), 2)) == [1, 3]
