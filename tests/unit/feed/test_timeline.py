from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from common.consent import Permission
from feed import features, timeline
from feed.actions import ActionKind
from feed.cursor import Chain
from feed.exploration import SHORTLIST
from feed.page import Page, PageRecord
from feed.post import PostState
from feed.stages import Source
from feed.timeline import Timeline
from feed.view import View
from tests.feed_builders import HOUR_MS, NOW_MS, TENANT, Feed, a_post, a_product, ids, shown

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
    assert feed.timeline.watch.failures == {"broken": 1}
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
        "excluded": 2, "hidden": 1, "moderation": 0, "served": 0, "blocked": 0, "bought": 0, "muted": 0, "stock": 20,
        "region": 0,
    }  # fmt: skip
    assert told.kept == 60 - 2 - 1 - 20
    assert told.picks == page.picks
    assert set(told.scores[page.picks[0].post_id]) == {
        "taste", "recommended", "companions", "affinity", "context", "engagement", "freshness", "reach",
    }  # fmt: skip
    assert sum(told.scores[page.picks[0].post_id].values()) == pytest.approx(page.picks[0].score)
    assert np.array_equal(feed.shelf.impressions - impressions, np.isin(np.arange(60), [p.row for p in page.picks]))


def test_without_consent_neither_session_nor_visitor_move_the_page_and_what_was_asked_for_holds() -> None:
    nobody = a_shop_of_posts().page(permissions=Permission.NONE)
    feed = a_shop_of_posts()
    feed.visitors.weights["ana"] = {"bag": 9.0}
    feed.act(ActionKind.LIKE, ids([3])[0])
    hidden = nobody.picks[0].post_id
    feed.act(ActionKind.HIDE, hidden)
    feed.act(ActionKind.FOLLOW, "creator-7")
    # What people did shows in what is popular, for everybody alike.
    for row in range(60):
        feed.shelf.value[row] = feed.shelf.heat(NOW_MS)[row] * 0

    told = feed.timeline.explain(feed.query(permissions=Permission.NONE, visitor_id="ana"))

    assert told.offered["similar"] == told.offered["affinity"] == told.offered["companions"] == 0
    assert told.offered["followed"] == 6
    assert feed.visitors.read == []
    assert hidden not in {pick.post_id for pick in told.picks}
    assert all(parts["taste"] == parts["affinity"] == 0 for parts in told.scores.values())


def test_what_several_sessions_engage_with_together_is_offered_as_companions() -> None:
    feed = a_shop_of_posts()
    for _ in range(3):
        feed.shelf.companions.note(5, [40], NOW_MS)
    feed.act(ActionKind.CLICK, feed.shelf.posts[40].post_id)

    told = feed.timeline.explain(feed.query())

    assert told.offered["companions"] == 1
    (companion,) = [pick for pick in told.picks[:3] if pick.row == 5]
    assert companion.why[0] == "companions: people who liked what you liked look at this"
    assert told.scores[companion.post_id]["companions"] > 0


def test_a_page_shows_the_mix_of_categories_that_the_visitor_likes() -> None:
    kinds = ("shoe", "hat", "bag")
    products = [a_product(f"{kind}-{n}", brand=f"{kind} {n}", category=f"{kind}s") for kind in kinds for n in range(9)]
    posts = [a_post(n, products=[f"{kinds[n % 3]}-{n // 3 % 9}"], published_at_ms=OLD_MS + n) for n in range(1, 301)]
    feed = Feed(posts, products)
    for number in (2, 5, 8):
        feed.act(ActionKind.CLICK, ids([number])[0])

    told = feed.timeline.explain(feed.query(page_size=20))

    categories = Counter(feed.shelf.term_of[feed.shelf.category[pick.row]][1] for pick in told.picks)
    assert told.wanted["bags"] > 0.4
    for name, share in told.wanted.items():
        assert abs(categories[name] / 20 - share) <= 0.15, (categories, told.wanted)


def test_a_poor_reputation_costs_reach_and_a_good_one_gains_it() -> None:
    class Names:
        def reputation(self, tenant_id: str, creator_ids: Sequence[str]) -> NDArray[np.float64]:
            return np.array([{"creator-3": 0.0, "creator-4": 1.5}.get(name, 1.0) for name in creator_ids])

    feed = a_shop_of_posts()
    feed.timeline = Timeline(
        index=feed.index, sessions=feed.sessions, products=feed.shop, profiles=feed.visitors, clock=feed.clock,
        reputation=Names(),
    )  # fmt: skip

    page = feed.page(page_size=50)

    creators = [feed.shelf.posts[pick.row].creator_id for pick in page.picks]
    assert creators[0] == "creator-4"
    assert any("reach: " in why for why in page.picks[0].why)
    assert "creator-3" not in creators[:40]


def test_limited_posts_reach_followers_and_are_on_no_other_page() -> None:
    limited = a_post(99, creator_id="ana", state=PostState.LIMITED, published_at_ms=NOW_MS)
    stranger, follower = a_shop_of_posts(), a_shop_of_posts()
    for feed in (stranger, follower):
        feed.index.put(limited)
    follower.act(ActionKind.FOLLOW, "ana")

    assert 99 not in {number for page in scroll(stranger) for number in shown(page)}
    pages = scroll(follower)
    (where,) = [pick for page in pages for pick in page.picks if int(pick.post_id, 16) == 99]
    assert (where.source, where.propensity) == ("followed", 1.0)
    assert follower.timeline.still_published(pages[0], TENANT) == pages[0]


def test_a_deleted_creators_posts_leave_a_page_that_was_decided_and_the_ones_after_it() -> None:
    feed = a_shop_of_posts()
    first = feed.page()
    creator = feed.shelf.posts[first.picks[0].row].creator_id
    for post in list(feed.shelf.posts):
        if post.creator_id == creator:
            feed.index.put(replace(post, state=PostState.REMOVED, revision=2))

    left = feed.timeline.still_published(first, TENANT)
    pages = [left, *scroll(feed)[1:]]

    creators = {feed.shelf.posts[pick.row].creator_id for page in pages for pick in page.picks}
    assert creator not in creators
    assert left.next_chain == first.next_chain
    assert len(left.picks) < len(first.picks)


def test_a_slow_source_rests_and_the_backfill_is_asked_however_late_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = a_shop_of_posts()

    def slow(view: View, limit: int) -> list[int]:
        feed.clock.step(20)
        return view.shelf.newest(3)

    sources = (Source("slow", slow, 10, "slow"), Source("other", slow, 10, "other"), timeline.CANDIDATE_SOURCES[-1])
    monkeypatch.setattr(timeline, "CANDIDATE_SOURCES", sources)

    told = feed.timeline.explain(feed.query())
    assert told.skipped == ("other",)
    assert told.offered == {"slow": 3, "other": 0, "newest": 60}

    for _ in range(2):
        feed.timeline.explain(feed.query())
    rested = feed.timeline.explain(feed.query())
    assert rested.skipped == ("slow",)
    troubles = feed.timeline.watch.troubles()
    assert (troubles["slow", "slow"], troubles["other", "skipped"], troubles["slow", "skipped"]) == (3, 3, 1)

    feed.clock.step(10_000)
    assert "slow" not in feed.timeline.explain(feed.query()).skipped


def test_a_score_does_not_depend_on_the_other_candidates() -> None:
    feed = a_shop_of_posts()
    feed.act(ActionKind.LIKE, ids([3])[0])
    all_of_them = feed.timeline.explain(feed.query(page_size=50))
    fewer = feed.timeline.explain(feed.query(page_size=50, exclude=frozenset(ids(range(1, 31)))))

    common = set(all_of_them.scores) & set(fewer.scores)
    assert len(common) > 10
    assert {post: all_of_them.scores[post] for post in common} == {post: fewer.scores[post] for post in common}


def test_features_are_recorded_with_consent_and_are_those_of_the_moment() -> None:
    feed = a_shop_of_posts(40)
    for number in range(41, 81):
        feed.index.put(a_post(number, creator_id=f"new-{number}", published_at_ms=NOW_MS - HOUR_MS))

    silent = feed.page(permissions=Permission.NONE, session_id="silent", chain=Chain(4), page_size=16)
    page = feed.page(page_size=16, chain=Chain(5))

    assert silent.record == PageRecord()
    assert page.record is not None
    names = features.names(timeline.SCORERS)
    table = np.array(page.record.features).reshape(16, len(names))
    assert np.allclose(table[:, names.index("hand_weighted")], [pick.score for pick in page.picks], atol=1e-5)
    explored = [place for place, pick in enumerate(page.picks) if pick.source == "exploration"]
    assert len(explored) == 2
    beside = Counter(one.place for one in page.record.alternatives)
    assert beside == dict.fromkeys(explored, SHORTLIST - 1)
    assert not {one.post_id for one in page.record.alternatives} & {page.picks[place].post_id for place in explored}
    kept = feed.page(page_size=16, chain=Chain(5))
    assert kept.replayed
    assert kept.record is None


def test_an_empty_catalogue_leaves_the_posts_that_show_nothing_to_buy() -> None:
    feed = Feed([a_post(1, products=["shoe"]), a_post(2), a_post(3, products=["shoe", "hat"])])

    told = feed.timeline.explain(feed.query())
    page = feed.page()

    assert shown(page) == [2]
    assert page.next_chain is None
    assert len(told.removed["stock"]) == 2


def test_a_recommender_that_is_still_training_offers_nothing_and_nobody_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed = a_shop_of_posts()

    def training(view: View, limit: int) -> list[int]:
        return []

    sources = (Source("collaborative", training, 100, "others like it"), *timeline.CANDIDATE_SOURCES)
    monkeypatch.setattr(timeline, "CANDIDATE_SOURCES", sources)

    told = feed.timeline.explain(feed.query())

    assert told.offered["collaborative"] == 0
    assert (told.failed, told.skipped) == ((), ())
    assert len(told.picks) == 12


_FINGERPRINT = """
from feed.cursor import Chain
from feed.index import FeedIndex
from feed.ports import Relation
from feed.sessions import Session
from feed.timeline import _fingerprint
from feed.view import FeedQuery, gather
relation = Relation(frozenset("uvwxyz"), ("word",), ("creator-1",))
query = FeedQuery("t", "s", 0, Chain(5), exclude=frozenset("abcdefgh"), relation=relation, keywords=("red",))
print(_fingerprint(gather(query, FeedIndex(products=None).shelf("t"), Session(), None)))
"""


def test_what_a_page_is_made_from_has_one_name_in_every_process() -> None:
    # Python's own hashes differ from process to process.
    told = {
        subprocess.run(
            [sys.executable, "-c", _FINGERPRINT], env={**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(told) == 1
    assert int(told.pop()) > 0
