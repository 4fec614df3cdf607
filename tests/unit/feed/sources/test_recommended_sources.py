from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from common.consent import Permission
from feed import wanted
from feed.actions import ActionKind
from feed.recommender.feedback import Kind
from feed.recommender.ports import History, Recommended
from feed.scorers import recommended
from feed.source_watch import SourceWatch
from feed.sources import collaborative, copurchase
from feed.view import View
from feed.visitor_history import history_of, touched
from tests.feed_builders import NOW_MS, Feed, a_post, a_product, ids
from tests.recommender_builders import trained

PERSONALISED = Permission.REMEMBER | Permission.PERSONALISE_CONTENT


class Fixed:
    """A Recommender that says the same to everybody, and remembers what it was asked."""

    def __init__(self, *item_ids: str) -> None:
        self._said = [Recommended(item_id, 2.0 - at) for at, item_id in enumerate(item_ids)]
        self.asked: list[object] = []
        self.recommended = 0

    def scores(
        self, histories: Sequence[History], candidates: Sequence[Sequence[str]], now_ms: int
    ) -> list[NDArray[np.float64]]:
        raise AssertionError("sources ask for items")

    def recommend(
        self, histories: Sequence[History], limit: int, now_ms: int, *, unseen: bool = False
    ) -> list[list[Recommended]]:
        self.asked += histories
        self.recommended += 1
        return [self._said[:limit] for _ in histories]

    def alongside(self, item_ids: Sequence[str], limit: int) -> list[Recommended]:
        self.asked.append(list(item_ids))
        return [one for one in self._said if one.item_id not in item_ids][:limit]


def a_feed() -> Feed:
    products = [a_product(name) for name in ("shoe", "boot", "hat")]
    return Feed(
        [a_post(1, products=["shoe"]), a_post(2, products=["boot", "hat"]), a_post(3, products=["hat"])], products
    )


def numbers(view: View, rows: list[int]) -> list[int]:
    return [int(view.shelf.posts[row].post_id, 16) for row in rows]


def seen_by(feed: Feed, recommender: Fixed | None, **query: object) -> View:
    return wanted.ask(replace(feed.view(**query), recommender=recommender), SourceWatch(feed.clock))


def test_both_offer_nothing_while_no_recommender_is_trained() -> None:
    feed = a_feed()
    feed.act(ActionKind.LIKE, ids([1])[0])

    assert collaborative.offer(feed.view(), 10) == []
    assert copurchase.offer(feed.view(product_id="shoe"), 10) == []


def test_collaborative_offers_posts_of_recommended_products_the_likeliest_first() -> None:
    feed = a_feed()
    feed.act(ActionKind.CLICK, ids([1])[0])
    view = seen_by(feed, Fixed("hat", "boot", "unknown"))

    assert numbers(view, collaborative.offer(view, 10)) == [2, 3]
    assert len(collaborative.offer(view, 1)) == 1
    scores = recommended.score(view, np.arange(3, dtype=np.int32))
    assert scores[1] > scores[2] > scores[0] == 0.0


def test_collaborative_has_nothing_to_say_to_a_stranger() -> None:
    view = seen_by(a_feed(), recommender := Fixed("hat"))

    assert collaborative.offer(view, 10) == []
    assert recommender.asked == []


def test_a_history_is_what_the_session_did_and_hides_speak_against() -> None:
    feed = a_feed()
    feed.act(ActionKind.CLICK, ids([1])[0])
    feed.act(ActionKind.HIDE, ids([3])[0])
    feed.act(ActionKind.SAVE, ids([2])[0])

    done = {(happened.item_id, happened.kind) for happened in history_of(feed.view())}

    assert done == {("shoe", Kind.CLICK), ("hat", Kind.HIDE), ("boot", Kind.SAVE), ("hat", Kind.SAVE)}


def test_affinities_are_read_with_consent_alone_and_lie_before_the_session() -> None:
    feed = a_feed()
    feed.act(ActionKind.CLICK, ids([1])[0])
    asked = {"visitor_id": "visitor", "affinities": (("boot", 3.0), ("hat", -2.0))}

    with_consent = history_of(feed.view(permissions=PERSONALISED, **asked))
    without = history_of(feed.view(permissions=Permission.NONE, **asked))

    assert [happened.item_id for happened in with_consent][-1] == "shoe"
    assert {(h.item_id, h.kind) for h in with_consent[:-1]} == {("boot", Kind.LIKE), ("hat", Kind.HIDE)}
    assert with_consent[-1].at_ms == NOW_MS
    assert without == []


def test_where_nothing_may_be_learned_nothing_is_read_of_the_session() -> None:
    feed = a_feed()
    feed.act(ActionKind.LIKE, ids([1])[0])

    assert history_of(feed.view(learn=False)) == []
    assert touched(feed.view(learn=False, product_id="hat")) == ["hat"]


def test_copurchase_offers_companions_of_the_page_and_of_the_session_and_not_the_products_themselves() -> None:
    feed = a_feed()
    feed.act(ActionKind.CLICK, ids([1])[0])
    recommender = Fixed("shoe", "hat")
    view = seen_by(feed, recommender, product_id="boot")

    assert numbers(view, copurchase.offer(view, 10)) == [2, 3]
    assert recommender.asked[-1] == ["boot", "shoe"]


def test_a_trained_recommender_serves_both_sources() -> None:
    products = [a_product(f"{kind}-{n}", category=kind) for kind in ("mug", "lamp") for n in range(6)]
    posts = [a_post(n + 1, products=[product.product_id]) for n, product in enumerate(products)]
    feed = Feed(posts, products)
    feed.act(ActionKind.SAVE, ids([1])[0])
    view = wanted.ask(replace(feed.view(), recommender=trained()), SourceWatch(feed.clock))

    for rows in (collaborative.offer(view, 5), copurchase.offer(view, 5)):
        assert rows
        assert all(view.shelf.posts[row].product_tags[0].product_id.startswith("mug") for row in rows)


def test_the_recommender_is_asked_once_for_a_page_and_not_again_for_the_same_one() -> None:
    feed = a_feed()
    feed.act(ActionKind.CLICK, ids([1])[0])
    feed.timeline = feed.timeline_with(recommender := Fixed("hat"))

    first, again = feed.page(), feed.page()

    assert again.replayed
    assert first.picks
    assert recommender.recommended == 1


def test_a_recommender_that_fails_costs_the_page_nothing_else() -> None:
    class Broken(Fixed):
        def recommend(
            self, histories: Sequence[History], limit: int, now_ms: int, *, unseen: bool = False
        ) -> list[list[Recommended]]:
            raise ValueError("broken")

    feed = a_feed()
    feed.act(ActionKind.CLICK, ids([1])[0])
    feed.timeline = feed.timeline_with(Broken())

    assert len(feed.page().picks) == 3
    assert feed.timeline.watch.troubles()["recommender", "failed"] == 1


def test_a_recommender_that_is_too_slow_rests_a_while() -> None:
    feed = a_feed()
    feed.act(ActionKind.CLICK, ids([1])[0])

    class Slow(Fixed):
        def recommend(
            self, histories: Sequence[History], limit: int, now_ms: int, *, unseen: bool = False
        ) -> list[list[Recommended]]:
            feed.clock.step(20)
            return super().recommend(histories, limit, now_ms, unseen=unseen)

    watch, view = SourceWatch(feed.clock), replace(feed.view(), recommender=(slow := Slow("hat")))

    answers = [bool(wanted.ask(view, watch).wanted) for _ in range(5)]

    assert answers == [True, True, True, False, False]
    assert slow.recommended == 3
