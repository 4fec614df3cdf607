"""How far posts are expected to go."""

from __future__ import annotations

import numpy as np

from feed.moderation.reach import NEWCOMER_VIEWS, IndexReach
from feed.moderation.subjects import Subject, SubjectKind
from tests.feed_builders import HOUR_MS, NOW_MS, TENANT, Feed, a_post, ids


def views(feed: Feed, *numbers: int) -> list[float]:
    subjects = [Subject(SubjectKind.POST, post_id) for post_id in ids(numbers)]
    return IndexReach(feed.index, feed.clock).views(TENANT, subjects)


def test_what_is_seen_goes_on_being_seen_and_fades() -> None:
    old = NOW_MS - 30 * 24 * HOUR_MS
    feed = Feed([a_post(1), a_post(2), a_post(3, published_at_ms=old)])
    feed.shelf.count_views(np.repeat(np.array([0, 2], np.int32), 500))
    for _ in range(200):
        feed.shelf.count_views(np.array([0, 2], np.int32))

    seen, unseen, long_ago = views(feed, 1, 2, 3)

    assert seen > 1_000 > unseen
    assert seen > 100 * long_ago


def test_a_new_post_is_expected_to_do_as_its_creators_others_did() -> None:
    feed = Feed(
        [
            a_post(1, creator_id="star", published_at_ms=NOW_MS - 5 * 24 * HOUR_MS),
            a_post(2, creator_id="star", published_at_ms=NOW_MS),
            a_post(3, creator_id="nobody", published_at_ms=NOW_MS),
        ]
    )
    for _ in range(3_000):
        feed.shelf.count_views(np.array([0], np.int32))

    assert views(feed, 2)[0] > 10 * views(feed, 3)[0]


def test_what_is_not_in_the_index_is_taken_for_a_newcomers_and_other_kinds_are_not_known() -> None:
    feed = Feed([a_post(1, creator_id="star")])
    reach = IndexReach(feed.index, feed.clock)

    assert views(feed, 9) == [NEWCOMER_VIEWS]
    assert reach.views(TENANT, [Subject(SubjectKind.COMMENT, "c")]) == [0.0]
    assert reach.views(TENANT, [Subject(SubjectKind.PROFILE, "star")])[0] > NEWCOMER_VIEWS
    assert reach.views("other tenant", [Subject(SubjectKind.POST, ids([1])[0])]) == [NEWCOMER_VIEWS]
