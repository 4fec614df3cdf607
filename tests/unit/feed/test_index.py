from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from feed.index import NO_CODE, Kind, Shelf
from feed.post import PostState
from tests.feed_builders import NOW_MS, TENANT, Feed, a_post, a_product, ids


def having(shelf: Shelf, kind: Kind, name: str) -> list[int]:
    return [int(shelf.posts[row].post_id, 16) for row in shelf.having(shelf.code((kind, name)), 100)]


def test_a_post_is_found_by_each_of_its_terms() -> None:
    shelf = Feed(
        [a_post(1, creator_id="ana", products=["shoe", "boot"], hashtags=("red",)), a_post(2, products=["boot"])],
        [a_product("shoe"), a_product("boot", brand="alp", category="boots")],
    ).shelf

    assert having(shelf, Kind.CREATOR, "ana") == [1]
    assert having(shelf, Kind.PRODUCT, "boot") == [2, 1]
    assert having(shelf, Kind.BRAND, "alp") == [2, 1]
    assert having(shelf, Kind.CATEGORY, "shoes") == [1]
    assert having(shelf, Kind.HASHTAG, "red") == [1]
    assert having(shelf, Kind.HASHTAG, "unknown") == []
    assert shelf.code((Kind.HASHTAG, "unknown")) == NO_CODE
    assert [shelf.term_of[code] for code in (shelf.brand[0], shelf.category[0])] == [
        (Kind.BRAND, "brand-1"), (Kind.CATEGORY, "shoes"),
    ]  # fmt: skip


def test_lists_are_by_publication_whatever_the_order_of_arrival() -> None:
    posts = [a_post(n, creator_id="ana", published_at_ms=at) for n, at in ((1, 5), (2, 9), (3, 1))]
    shelf = Feed(posts).shelf

    assert having(shelf, Kind.CREATOR, "ana") == [2, 1, 3]
    assert shelf.newest(2) == [1, 0]
    assert shelf.newest(0) == []


def test_a_withdrawn_post_is_in_no_list_and_withdrawing_again_changes_nothing() -> None:
    feed = Feed([a_post(1, hashtags=("red",)), a_post(2, hashtags=("red",))])
    withdrawn = replace(a_post(1, hashtags=("red",)), state=PostState.WITHDRAWN, revision=2)
    feed.index.put(withdrawn)
    feed.index.put(withdrawn)

    assert having(feed.shelf, Kind.HASHTAG, "red") == [2]
    assert feed.shelf.live_count == 1
    assert feed.shelf.newest(10) == [1]

    feed.index.put(a_post(1, hashtags=("red",)))

    assert feed.shelf.live_count == 1, "an older revision must not bring it back"


def test_a_post_that_was_withdrawn_before_the_start_is_in_no_list() -> None:
    shelf = Feed([a_post(1, state=PostState.WITHDRAWN, revision=2)]).shelf

    assert shelf.live_count == 0
    assert not shelf.live[0]


def test_tenants_have_shelves_of_their_own() -> None:
    feed = Feed([a_post(1), a_post(2, tenant_id="b" * 32)])

    assert len(feed.shelf) == 1
    assert feed.index.tenants() == [TENANT, "b" * 32]
    assert len(feed.index.shelf("nobody")) == 0


def test_terms_of_many_rows_come_in_the_order_of_the_rows() -> None:
    shelf = Feed([a_post(n, hashtags=tuple(f"t{k}" for k in range(n))) for n in range(1, 5)]).shelf

    codes, begins = shelf.codes_of(np.array([3, 0], np.int32))

    assert begins.tolist() == [0, 5]
    assert [shelf.term_of[code] for code in codes] == [*shelf.terms(3), *shelf.terms(0)]


def test_stored_likes_and_saves_are_there_after_the_start_and_grow() -> None:
    shelf = Feed([a_post(1, likes=3, saves=2)]).shelf
    shelf.count_action(0, 2.0, NOW_MS, likes=1)

    assert (shelf.likes(0), shelf.saves(0)) == (4, 2)
    assert shelf.row_of[ids([1])[0]] == 0


def test_columns_grow_beyond_their_first_room() -> None:
    shelf = Feed([a_post(n, published_at_ms=n) for n in range(1, 301)]).shelf

    assert shelf.published_at_ms.tolist() == list(range(1, 301))
    assert shelf.newest(300) == list(range(299, -1, -1))


def test_an_edited_post_is_found_by_what_it_says_now_and_keeps_what_was_done_with_it() -> None:
    feed = Feed([a_post(1, products=["shoe"], hashtags=("old",)), a_post(2)], [a_product("shoe"), a_product("hat")])
    feed.shelf.count_views(np.array([0], np.int32))
    feed.shelf.count_action(0, 2.0, NOW_MS, likes=1)

    feed.index.put(a_post(1, products=["hat"], hashtags=("new",), creator_id="creator-1", revision=2))

    shelf = feed.shelf
    assert [
        shelf.having(shelf.code(term), 9)
        for term in (
            (Kind.PRODUCT, "shoe"),
            (Kind.PRODUCT, "hat"),
            (Kind.HASHTAG, "old"),
            (Kind.HASHTAG, "new"),
            (Kind.CREATOR, "creator-1"),
        )
    ] == [[], [0], [], [0], [0]]
    assert (shelf.impressions[0], shelf.likes(0)) == (1, 1)
    assert shelf.codes_of(np.array([0, 1], np.int32))[0].tolist() == [*shelf.term_codes(0), *shelf.term_codes(1)]


def test_a_post_comes_and_goes_with_its_state() -> None:
    feed = Feed([a_post(1, creator_id="ana", state=PostState.CHECKING)])
    shelf = feed.shelf
    ana = shelf.code((Kind.CREATOR, "ana"))
    seen = []
    states = (
        PostState.CLEAN,
        PostState.LIMITED,
        PostState.APPEALED,
        PostState.LIMITED,
        PostState.CLEAN,
        PostState.REMOVED,
    )
    for revision, state in enumerate(states, 2):
        feed.index.put(a_post(1, creator_id="ana", state=state, revision=revision))
        seen.append((shelf.newest(9), shelf.having(ana, 9), shelf.limited_of(ana, 9), shelf.live_count))

    clean: tuple[object, ...]
    limited: tuple[object, ...]
    gone: tuple[object, ...]
    clean, limited, gone = ([0], [0], [], 1), ([], [], [0], 0), ([], [], [], 0)
    assert seen == [clean, limited, gone, limited, clean, gone]
