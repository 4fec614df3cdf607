from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from feed import stages
from feed.actions import ActionKind
from feed.cursor import Chain
from feed.filters import excluded, hidden, served, stock, withdrawn
from feed.index import Rows, key_of
from feed.post import PostState
from feed.view import View
from tests.feed_builders import SESSION, TENANT, Feed, a_post, a_product, ids


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


def test_two_hidden_posts_of_a_creator_hide_the_creator_until_followed() -> None:
    feed = Feed([a_post(n, creator_id="ana") for n in (1, 2, 3)] + [a_post(4)])
    for post_id in ids([1, 2]):
        feed.act(ActionKind.HIDE, post_id)

    assert split(stages.Filter("hidden", hidden.split), feed.view()) == ([3], [0, 1, 2])

    feed.act(ActionKind.FOLLOW, "ana")

    assert split(stages.Filter("hidden", hidden.split), feed.view()) == ([2, 3], [0, 1])


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


def test_withdrawn_takes_out_what_its_creator_took_back() -> None:
    feed = Feed([a_post(1), a_post(2)])
    feed.index.put(replace(a_post(1), state=PostState.WITHDRAWN, revision=2))

    assert split(stages.Filter("withdrawn", withdrawn.split), feed.view()) == ([1], [0])


@pytest.mark.parametrize(
    ("tagged", "stays"),
    [(["shoe"], True), (["gone"], False), (["unknown"], False), (["gone", "unknown"], False), (["gone", "shoe"], True),
     ([], True)],
)  # fmt: skip
def test_stock_takes_out_posts_of_which_nothing_can_be_bought(tagged: list[str], stays: bool) -> None:
    products = [a_product("shoe"), a_product("gone", in_stock=False)]
    feed = Feed([a_post(1, products=tagged), a_post(2)], products)
    view = stages.look_up(feed.view(), all_rows(feed.view()), feed.shop)

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
