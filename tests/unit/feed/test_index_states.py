"""Does the index follow a post through its states and edits?"""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from feed.filters import moderation
from feed.index import Kind, Shelf
from feed.ports import Relation
from feed.post import PostState
from feed.verdict import Outcome, Verdict
from tests.feed_builders import Feed, a_post, rows_of, shown


def having(shelf: Shelf, kind: Kind, name: str) -> list[int]:
    code = shelf.code((kind, name))
    rows = shelf.having(code, 100) + (shelf.limited_of(code, 100) if kind is Kind.CREATOR else [])
    return [int(shelf.posts[row].post_id, 16) for row in rows]


@pytest.mark.parametrize("state", [state for state in PostState if state is not PostState.CLEAN])
def test_only_what_was_found_clean_is_among_what_everybody_sees(state: PostState) -> None:
    shelf = Feed([a_post(1, state=state, hashtags=("red",)), a_post(2, hashtags=("red",))]).shelf

    assert shelf.live_count == 1
    assert having(shelf, Kind.HASHTAG, "red") == [2]
    assert having(shelf, Kind.CREATOR, "creator-1") == ([1] if state is PostState.LIMITED else [])


def test_a_limited_post_comes_back_when_it_is_cleared_and_an_appeal_changes_nothing() -> None:
    verdict = Verdict(Outcome.LIMITED, 0.5)
    post = a_post(1, hashtags=("red",))
    feed = Feed([post])
    seen = []
    for revision, state in enumerate((PostState.LIMITED, PostState.APPEALED, PostState.CLEAN, PostState.REMOVED), 2):
        feed.index.put(replace(post, state=state, revision=revision, verdict=verdict))
        seen.append((having(feed.shelf, Kind.CREATOR, "creator-1"), having(feed.shelf, Kind.HASHTAG, "red")))

    assert seen == [([1], []), ([1], []), ([1], [1]), ([], [])]
    assert len(feed.shelf) == 1


def test_a_draft_that_is_published_is_found_at_its_new_time() -> None:
    draft = a_post(1, state=PostState.DRAFT, published_at_ms=5)
    feed = Feed([draft, a_post(2, published_at_ms=50)])
    feed.index.put(replace(draft, state=PostState.CLEAN, published_at_ms=100, revision=2))

    assert [int(feed.shelf.posts[row].post_id, 16) for row in feed.shelf.newest(9)] == [1, 2]


def test_an_edited_post_is_found_by_what_it_says_now_and_keeps_what_was_done_with_it() -> None:
    post = a_post(1, hashtags=("old",))
    feed = Feed([post])
    feed.shelf.count_action(0, 3.0, feed.clock.now_ms(), likes=1)
    heat = feed.shelf.heat(feed.clock.now_ms())[0]
    feed.index.put(replace(post, hashtags=("new",), revision=2))
    feed.index.put(post)
    shelf = feed.shelf
    (row,) = rows_of(feed.view(), [1])

    assert having(shelf, Kind.HASHTAG, "old") == []
    assert having(shelf, Kind.HASHTAG, "new") == [1]
    assert (shelf.likes(row), shelf.value[row], shelf.heat(feed.clock.now_ms())[row]) == (1, 3.0, heat)
    assert shelf.live_count == 1
    assert shown(feed.page()) == [1]


def test_an_edit_of_words_alone_keeps_its_row() -> None:
    feed = Feed([a_post(1)])
    feed.index.put(replace(a_post(1), caption="Better", revision=2))

    assert len(feed.shelf) == 1
    assert feed.shelf.posts[0].caption == "Better"


def test_limited_posts_are_for_those_who_follow_their_creator() -> None:
    feed = Feed([a_post(1, state=PostState.LIMITED), a_post(2), a_post(3, state=PostState.LIMITED)])
    view = feed.view()
    kept, gone = moderation.split(view, np.arange(3, dtype=np.int32))
    assert (kept.tolist(), gone.tolist()) == ([1], [0, 2])

    view = feed.view(relation=Relation(follows=("creator-3",)))
    kept, gone = moderation.split(view, np.arange(3, dtype=np.int32))

    assert (kept.tolist(), gone.tolist()) == ([1, 2], [0])
