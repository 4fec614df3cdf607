from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from feed import stages
from feed.actions import ActionKind
from feed.cursor import Chain
from feed.filters import blocked, bought, excluded, hidden, moderation, muted, region, served, stock
from feed.index import Rows, key_of
from feed.ports import Done, Relation
from feed.post import PostMedia, PostState
from feed.view import View
from tests.feed_builders import NOW_MS, SESSION, TENANT, Feed, a_post, a_product, ids

DAY_MS = 86_400_000


def all_rows(view: View) -> Rows:
    return np.arange(len(view.shelf), dtype=np.int32)


def split(one: stages.Filter, view: View) -> tuple[list[int], list[int]]:
    kept, removed = one.split(view, all_rows(view))
    return kept.tolist(), removed.tolist()


def test_excluded_takes_out_what_the_request_names() -> None:
    view = Feed([a_post(1), a_post(2)]).view(exclude=frozenset([*ids([2]), "no such post"]))

    assert split(stages.Filter("excluded", excluded.split), view) == ([0], [1])


def test_hidden_takes_out_a_hidden_post_and_leaves_its_creator_after_one_hide() -> None:
    feed = Feed([a_post(1, creator_id="ana"), a_post(2, creator_id="ana"), a_post(3)])
    feed.act(ActionKind.HIDE, ids([1])[0])

    assert split(stages.Filter("hidden", hidden.split), feed.view()) == ([1, 2], [0])


def test_creators_whom_the_visitor_blocked_or_muted_are_hidden_and_unknown_ones_hide_nothing() -> None:
    feed = Feed([a_post(1), a_post(2)])
    view = feed.view(relation=Relation(blocked=frozenset({"creator-2", "nobody"})))

    assert split(stages.Filter("blocked", blocked.split), view) == ([0], [1])
    feed.act(ActionKind.MUTE, "creator-1")
    assert split(stages.Filter("hidden", hidden.split), feed.view()) == ([1], [0])
    feed.act(ActionKind.UNMUTE, "creator-1")
    assert split(stages.Filter("hidden", hidden.split), feed.view()) == ([0, 1], [])


def test_two_hidden_posts_of_a_creator_hide_the_creator_until_followed() -> None:
    feed = Feed([a_post(n, creator_id="ana") for n in (1, 2, 3)] + [a_post(4)])
    for post_id in ids([1, 2]):
        feed.act(ActionKind.HIDE, post_id)

    assert split(stages.Filter("hidden", hidden.split), feed.view()) == ([3], [0, 1, 2])

    feed.act(ActionKind.FOLLOW, "ana")

    assert split(stages.Filter("hidden", hidden.split), feed.view()) == ([2, 3], [0, 1])


def test_what_was_hidden_in_an_earlier_session_stays_hidden_and_hides_its_creator_for_a_month() -> None:
    feed = Feed([a_post(n, creator_id="ana") for n in (1, 2, 3)] + [a_post(4)])

    def left(*done: Done, **relation: Any) -> list[int]:
        view = feed.view(relation=Relation(hidden=done, **relation))
        return split(stages.Filter("hidden", hidden.split), view)[0]

    one, two = (Done(post_id, NOW_MS - 29 * DAY_MS) for post_id in ids([1, 2]))
    assert left(one, Done("gone", NOW_MS)) == [1, 2, 3]
    assert left(one, two) == [3]
    assert left(one, two._replace(at_ms=NOW_MS - 31 * DAY_MS)) == [2, 3]
    assert left(one, two, follows=("ana",)) == [2, 3]

    feed.act(ActionKind.HIDE, ids([2])[0])
    assert left(two) == [0, 2, 3], "the same hide as this session's own"
    assert left(one) == [3]


def test_what_was_bought_in_an_earlier_session_is_not_offered_for_three_months() -> None:
    feed = Feed([a_post(n, products=["shoe"]) for n in (1, 2)] + [a_post(3)], [a_product("shoe")])

    def left(days: int) -> list[int]:
        view = feed.view(relation=Relation(bought=(Done(ids([1])[0], NOW_MS - days * DAY_MS),)))
        return split(stages.Filter("bought", bought.split), view)[0]

    assert left(89) == [2]
    assert left(91) == [0, 1, 2]


def test_hiding_one_post_twice_is_hiding_it_once() -> None:
    feed = Feed([a_post(n, creator_id="ana") for n in (1, 2)])
    feed.act(ActionKind.HIDE, ids([1])[0], "first")
    feed.act(ActionKind.HIDE, ids([1])[0], "second")

    assert split(stages.Filter("hidden", hidden.split), feed.view()) == ([1], [0])


def test_served_takes_out_what_the_chain_and_the_session_have_shown() -> None:
    feed = Feed([a_post(n) for n in (1, 2, 3)])
    session = feed.session
    session.served[ids([2])[0]] = None
    feed.sessions.keep(TENANT, SESSION, session, feed.clock.now_ms())
    view = feed.view(chain=Chain(1, 1, (key_of(ids([1])[0]),)))

    assert split(stages.Filter("served", served.split), view) == ([2], [0, 1])


@pytest.mark.parametrize("state", [state for state in PostState if state is not PostState.CLEAN])
def test_only_clean_posts_are_recommended(state: PostState) -> None:
    feed = Feed([a_post(1), a_post(2)])
    feed.index.put(replace(a_post(1), state=state, revision=2))

    assert split(stages.Filter("moderation", moderation.split), feed.view()) == ([1], [0])


def test_limited_posts_are_for_those_who_follow_their_creator() -> None:
    limited = a_post(1, creator_id="ana", state=PostState.LIMITED)
    held = a_post(2, creator_id="ana", state=PostState.CHECKING)
    feed = Feed([limited, held, a_post(3, state=PostState.LIMITED), a_post(4)])
    feed.act(ActionKind.FOLLOW, "ana")

    assert split(stages.Filter("moderation", moderation.split), feed.view()) == ([0, 3], [1, 2])


def test_blocked_takes_out_creators_whichever_side_blocked() -> None:
    feed = Feed([a_post(1, creator_id="ana"), a_post(2), a_post(3, creator_id="ana")])
    view = feed.view(relation=Relation(blocked=frozenset({"ana", "brand.example", "nobody"})))

    assert split(stages.Filter("blocked", blocked.split), view) == ([1], [0, 2])


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        (("diet",), [0, 1]),
        (("#DIET",), [0, 1]),
        (("weight loss",), [2, 4]),
        # As people write it and as it is kept are one.
        (("Weight-Loss",), [2, 4]),
        (("don't",), [4]),
        (("don t",), [4]),
        (("keto",), [4]),
        (("slimco",), [4]),
        (("diet", "weight loss"), [0, 1, 2, 4]),
        (("die",), []),
        ((" ", "#"), []),
        ((r"d.et", "(", "[a-z]+"), []),
        (("ﬁt",), [3]),
    ],
)
def test_muted_takes_out_words_of_their_own_and_nothing_else(words: tuple[str, ...], gone: list[int]) -> None:
    posts = [
        a_post(1, caption="My Diet, week 3"), a_post(2, hashtags=("diet",)), a_post(3, caption="WEIGHT \n loss"),
        a_post(4, caption="fit and dietary"),
        a_post(5, caption="weight-loss, don’t", media=(PostMedia(alt_text="Keto bars"),), partner="Slimco"),
    ]  # fmt: skip
    view = Feed(posts).view(relation=Relation(muted_words=words))

    assert split(stages.Filter("muted", muted.split), view)[1] == gone


def test_an_edited_caption_is_read_again() -> None:
    feed = Feed([a_post(1, caption="diet")])
    view = feed.view(relation=Relation(muted_words=("diet",)))
    assert split(stages.Filter("muted", muted.split), view) == ([], [0])

    feed.index.put(replace(a_post(1), caption="dinner", revision=2))

    assert split(stages.Filter("muted", muted.split), view) == ([0], [])


def test_bought_takes_out_the_post_and_others_of_its_only_product() -> None:
    products = [a_product("shoe"), a_product("hat")]
    posts = [a_post(1, products=["shoe"]), a_post(2, products=["shoe"]), a_post(3, products=["shoe", "hat"]), a_post(4)]
    feed = Feed(posts, products)
    feed.act(ActionKind.PURCHASE, ids([1])[0])

    assert split(stages.Filter("bought", bought.split), feed.view()) == ([2, 3], [0, 1])


def test_of_a_look_that_was_bought_from_only_the_look_itself_goes() -> None:
    feed = Feed(
        [a_post(1, products=["shoe", "hat"]), a_post(2, products=["shoe"])], [a_product("shoe"), a_product("hat")]
    )
    feed.act(ActionKind.PURCHASE, ids([1])[0])

    assert split(stages.Filter("bought", bought.split), feed.view()) == ([1], [0])


@pytest.mark.parametrize(("country", "gone"), [("DE", []), ("fr", [0]), ("", [])])
def test_region_takes_out_what_is_sold_elsewhere_only(country: str, gone: list[int]) -> None:
    products = [a_product("there", attributes={"sold_in": "de AT"}), a_product("everywhere")]
    posts = [a_post(1, products=["there"]), a_post(2, products=["there", "everywhere"]), a_post(3)]
    feed = Feed(posts, products)
    view = feed.view(country=country)
    view = stages.hydrate(view, all_rows(view), feed.shop)

    assert split(stages.Filter("region", region.split), view)[1] == gone


@pytest.mark.parametrize(
    ("tagged", "stays"),
    [(["shoe"], True), (["gone"], False), (["unknown"], False), (["gone", "unknown"], False), (["gone", "shoe"], True),
     ([], True)],
)  # fmt: skip
def test_stock_takes_out_posts_of_which_nothing_can_be_bought(tagged: list[str], stays: bool) -> None:
    products = [a_product("shoe"), a_product("gone", in_stock=False)]
    feed = Feed([a_post(1, products=tagged), a_post(2)], products)
    view = stages.hydrate(feed.view(), all_rows(feed.view()), feed.shop)

    kept, removed = stock.split(view, all_rows(view))

    assert kept.tolist() == ([0, 1] if stays else [1])
    assert removed.tolist() == ([] if stays else [0])


def test_sift_names_each_filter_with_what_it_took() -> None:
    feed = Feed([a_post(n) for n in (1, 2, 3)])
    feed.act(ActionKind.HIDE, ids([1])[0])
    view = feed.view(exclude=frozenset(ids([1, 2])))
    filters = [stages.Filter("excluded", excluded.split), stages.Filter("hidden", hidden.split)]

    kept, removed = stages.sift(view, filters, all_rows(view))

    assert kept.tolist() == [2]
    assert {name: rows.tolist() for name, rows in removed.items()} == {"excluded": [0, 1], "hidden": []}
