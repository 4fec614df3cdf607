from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from msgspec.structs import replace

from common.consent import Permission
from feed import timeline
from feed.actions import ActionKind
from feed.cursor import Chain
from feed.page import Page
from feed.post import PostState
from feed.stages import Source
from feed.view import View
from tests.feed_builders import HOUR_MS, NOW_MS, Feed, a_post, a_product, ids, shown

OLD_MS = NOW_MS - 400 * HOUR_MS


def a_shop_of_posts(count: int = 60) -> Feed:
    """Old posts of 10 creators about shoes, hats and bags: nothing is fresh, nothing is known of anybody."""
    kinds = ("shoe", "hat", "bag")
    products = [a_product(kind, brand=f"brand {kind}", category=f"{kind}s") for kind in kinds]
    posts = [
        a_post(n, creator_id=f"creator-{n % 10}", products=[kinds[n % 3]], published_at_ms=OLD_MS + n)
        for n in range(1, count + 1)
    ]
    return Feed(posts, products)


def scroll(feed: Feed, page_size: int = 12) -> list[Page]:
    pages = [feed.page(page_size=page_size)]
    while (chain := pages[-1].next_chain) is not None:
        pages.append(feed.page(page_size=page_size, chain=chain))
    return pages


def test_a_full_scroll_shows_every_post_once() -> None:
    feed = a_shop_of_posts(400)

    pages = scroll(feed, 50)

    assert sorted(number for page in pages for number in shown(page)) == list(range(1, 401))
    assert [len(page.picks) for page in pages] == [50] * 8


def test_posts_that_are_made_and_liked_during_a_scroll_repeat_nothing() -> None:
    feed = a_shop_of_posts(40)
    first = feed.page()
    for n in range(41, 61):
        feed.index.put(a_post(n, published_at_ms=NOW_MS))
    feed.act(ActionKind.LIKE, first.picks[0].post_id)

    seen = shown(first)
    chain = first.next_chain
    while chain is not None:
        page = feed.page(chain=chain)
        seen += shown(page)
        chain = page.next_chain

    assert len(seen) == len(set(seen)) == 60


def test_the_same_request_at_the_same_place_gives_the_same_page() -> None:
    feed = a_shop_of_posts()
    first = feed.page()
    assert first.next_chain is not None
    second = feed.page(chain=first.next_chain)
    feed.index.put(a_post(99, published_at_ms=NOW_MS))
    feed.clock.step(60_000)

    again = feed.page(chain=first.next_chain)

    assert again.replayed
    assert again.page_id == second.page_id
    assert again.picks == second.picks


def test_a_page_that_is_asked_again_has_lost_what_was_withdrawn_or_sold_out_meanwhile() -> None:
    feed = a_shop_of_posts()
    page = feed.page()
    withdrawn = feed.shelf.posts[page.picks[0].row]
    feed.index.put(replace(withdrawn, state=PostState.WITHDRAWN, revision=2))
    feed.shop.by_id["hat"] = a_product("hat", in_stock=False)

    again = feed.page()

    assert withdrawn.post_id not in {pick.post_id for pick in again.picks}
    assert {feed.shelf.posts[pick.row].product_tags[0].product_id for pick in again.picks} == {"shoe", "bag"}


@pytest.mark.parametrize("kind", [ActionKind.LIKE, ActionKind.CLICK, ActionKind.SAVE])
def test_what_is_liked_clicked_or_saved_leads_the_very_next_page(kind: ActionKind) -> None:
    feed = a_shop_of_posts()
    feed.page(chain=Chain(1))
    feed.act(kind, ids([1])[0])

    best = feed.page(chain=Chain(2)).picks[0]

    assert feed.shelf.posts[best.row].product_tags[0].product_id == "hat", "as on post 1"
    assert best.source == "similar"
    assert best.why[1].startswith("taste: you looked at ")


def test_what_resembles_a_hidden_post_ranks_last_on_the_very_next_page() -> None:
    feed = a_shop_of_posts()
    feed.act(ActionKind.HIDE, ids([1])[0])

    page = feed.page()

    tagged = [feed.shelf.posts[pick.row].product_tags[0].product_id for pick in page.picks]
    assert tagged.index("hat") == 8, "the other brands have four places each"


def test_a_hidden_post_is_gone_from_the_page_that_is_asked_again() -> None:
    feed = a_shop_of_posts()
    hidden = feed.page().picks[3].post_id
    feed.act(ActionKind.HIDE, hidden)

    assert hidden not in {pick.post_id for pick in feed.page().picks}


def test_following_brings_the_creators_posts_to_the_next_page_with_the_reason() -> None:
    feed = a_shop_of_posts(300)
    feed.index.put(a_post(999, creator_id="ana", published_at_ms=1))
    assert 999 not in shown(feed.page(chain=Chain(1)))

    feed.act(ActionKind.FOLLOW, "ana")
    page = feed.page(chain=Chain(2))

    followed = next(pick for pick in page.picks if pick.post_id == ids([999])[0])
    assert followed.source == "followed"
    assert followed.why[0] == "followed: from a creator you follow"


def test_with_consent_affinities_lead_and_without_they_do_nothing() -> None:
    feed = a_shop_of_posts(300)
    feed.visitors.weights["visitor"] = {"bag": 5.0}
    explain = feed.timeline.explain
    asked = feed.query(visitor_id="visitor", affinities=(("bag", 5.0),))

    plain = explain(feed.query())
    refused = explain(replace(asked, permissions=Permission.REMEMBER))
    granted = explain(replace(asked, permissions=Permission.REMEMBER | Permission.PERSONALISE_CONTENT))

    assert refused.picks == plain.picks
    assert feed.shelf.posts[granted.picks[0].row].product_tags[0].product_id == "bag"
    assert any("you liked" in reason for reason in granted.picks[0].why)
    assert feed.visitors.read == ["visitor"], "read with consent only"


def test_every_page_keeps_places_for_fresh_posts_even_where_they_rank_last() -> None:
    feed = a_shop_of_posts(300)
    for row in range(300):
        feed.shelf.count_action(row, 500.0, NOW_MS)
    for n in range(1001, 1021):
        feed.index.put(a_post(n, products=["shoe"], published_at_ms=NOW_MS - 70 * HOUR_MS))

    page = feed.page(page_size=16)

    explored = [pick for pick in page.picks if pick.source == "exploration"]
    assert len(explored) == 2
    assert {pick.propensity for pick in explored} == {2 / 20}
    assert all(pick.propensity == 1.0 for pick in page.picks if pick not in explored)


def test_fresh_posts_get_their_impressions_over_many_sessions() -> None:
    feed = a_shop_of_posts(100)
    for row in range(100):
        feed.shelf.count_action(row, 500.0, NOW_MS)
    for n in range(1001, 1011):
        feed.index.put(a_post(n, products=["shoe"], published_at_ms=NOW_MS - 70 * HOUR_MS))

    served: Counter[int] = Counter()
    for n in range(60):
        served.update(shown(feed.page(session_id=f"s{n}", page_size=16, chain=Chain(n))))

    assert all(served[n] > 0 for n in range(1001, 1011))


def test_caps_hold_on_a_page_where_there_is_choice() -> None:
    feed = a_shop_of_posts(120)
    for row in range(0, 120, 10):
        feed.shelf.count_action(row, 300.0, NOW_MS)

    page = feed.page(page_size=20)

    creators = Counter(feed.shelf.posts[pick.row].creator_id for pick in page.picks)
    assert max(creators.values()) <= 4


def test_a_new_chain_shows_other_posts_first_and_seen_ones_when_nothing_else_is_left() -> None:
    feed = a_shop_of_posts(20)
    first = feed.page(chain=Chain(1))

    second = feed.page(chain=Chain(2))

    assert shown(second)[:8] != shown(first)[:8]
    assert not set(shown(second)[:8]) & set(shown(first))
    again = [pick for pick in second.picks if pick.source == "seen"]
    assert [pick.post_id for pick in again] == [pick.post_id for pick in first.picks[:4]]
    assert second.next_chain is not None
    rest = feed.page(chain=second.next_chain)
    assert sorted(shown(second) + shown(rest)) == list(range(1, 21))
    assert rest.next_chain is None


def test_a_page_is_filled_although_all_that_sources_offer_first_is_sold_out() -> None:
    products = [a_product("gone", in_stock=False), a_product("shoe")]
    posts = [a_post(n, products=["gone"], published_at_ms=NOW_MS - n) for n in range(1, 601)]
    posts += [a_post(n, products=["shoe"], published_at_ms=1) for n in range(1001, 1021)]
    feed = Feed(posts, products)

    assert set(shown(feed.page())) <= set(range(1001, 1021))
    assert len(feed.page().picks) == 12


def test_a_failing_source_costs_its_own_posts_only_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(view: View, limit: int) -> list[int]:
        raise RuntimeError("broken")

    sources = (Source("broken", broken, 10, "-"), *timeline.CANDIDATE_SOURCES)
    monkeypatch.setattr(timeline, "CANDIDATE_SOURCES", sources)
    feed = a_shop_of_posts()

    assert len(feed.page().picks) == 12
    assert feed.timeline.source_failures == {"broken": 1}
    assert feed.timeline.explain(feed.query(chain=Chain(2))).failed == ("broken",)


def test_no_posts_give_an_empty_last_page() -> None:
    page = Feed().page()

    assert page.picks == ()
    assert page.next_chain is None


def test_explain_tells_each_stage_and_changes_nothing() -> None:
    feed = a_shop_of_posts()
    feed.shop.by_id["bag"] = a_product("bag", in_stock=False)
    feed.act(ActionKind.HIDE, ids([1])[0])
    impressions = feed.shelf.impressions.copy()

    told = feed.timeline.explain(feed.query(exclude=frozenset(ids([4, 7]))))
    page = feed.page(exclude=frozenset(ids([4, 7])))

    assert told.candidates == 60
    assert told.offered["newest"] == 60
    assert {name: len(removed) for name, removed in told.removed.items()} == {
        "excluded": 2, "hidden": 1, "withdrawn": 0, "served": 0, "stock": 20,
    }  # fmt: skip
    assert told.kept == 60 - 2 - 1 - 20
    assert told.picks == page.picks
    assert set(told.scores[page.picks[0].post_id]) == {"taste", "affinity", "context", "engagement", "freshness"}
    assert sum(told.scores[page.picks[0].post_id].values()) == pytest.approx(page.picks[0].score)
    assert np.array_equal(feed.shelf.impressions - impressions, np.isin(np.arange(60), [p.row for p in page.picks]))
