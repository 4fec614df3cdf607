from __future__ import annotations

import numpy as np
import pytest

from common.consent import Permission
from feed.actions import ActionKind
from feed.index import Rows
from feed.scorers import affinity, context, engagement, freshness, taste
from feed.timeline import SCORERS
from tests.feed_builders import HOUR_MS, NOW_MS, Feed, a_post, a_product, ids, rows_of

PERSONALISED = Permission.REMEMBER | Permission.PERSONALISE_CONTENT


def rows(*numbers: int) -> Rows:
    return np.array(numbers, np.int32)


def test_engagement_of_an_unseen_post_is_that_of_an_average_one() -> None:
    feed = Feed([a_post(n) for n in (1, 2, 3)])
    good, bad = rows_of(feed.view(), [2, 3])
    for row, value in ((good, 30.0), (bad, 0.0)):
        feed.shelf.count_views(np.full(1, row, np.int32))
        feed.shelf.count_action(row, value, NOW_MS)
    for _ in range(200):
        feed.shelf.count_views(rows(good, bad))

    unseen, well, badly = engagement.score(feed.view(), rows(0, good, bad))

    assert badly < unseen < well
    assert engagement.reason(feed.view(), good)
    assert engagement.reason(feed.view(), bad) is None


def test_engagement_of_a_post_that_is_only_hidden_is_nought() -> None:
    feed = Feed([a_post(1)])
    feed.shelf.count_action(0, -400.0, NOW_MS)

    assert engagement.score(feed.view(), rows(0)).tolist() == [0.0]


def test_taste_is_above_zero_for_what_was_liked_and_below_for_what_was_hidden() -> None:
    feed = Feed([a_post(n, hashtags=(tag,)) for n, tag in ((1, "red"), (2, "red"), (3, "blue"), (4, "blue"), (5, "x"))])
    feed.act(ActionKind.SAVE, ids([1])[0])
    feed.act(ActionKind.HIDE, ids([3])[0])

    red, blue, neither = taste.score(feed.view(), rows(1, 3, 4))

    assert blue < neither == 0 < red
    assert taste.reason(feed.view(), 1) == "you looked at #red"


def test_taste_keeps_out_of_pages_for_children() -> None:
    feed = Feed([a_post(1)])
    feed.act(ActionKind.LIKE, ids([1])[0])

    assert taste.score(feed.view(), rows(0))[0] > 0
    assert taste.score(feed.view(learn=False), rows(0))[0] == 0


def test_affinity_counts_what_the_request_and_the_profile_know_with_consent() -> None:
    feed = Feed([a_post(1, products=["shoe"]), a_post(2)], [a_product("shoe")])
    feed.visitors.weights["visitor"] = {"shoe": 2.0}
    known = feed.view(permissions=PERSONALISED, visitor_id="visitor")
    told = feed.view(permissions=PERSONALISED, affinities=(("shoe", 2.0),))

    assert affinity.score(known, rows(0, 1)).tolist() == affinity.score(told, rows(0, 1)).tolist()
    assert affinity.score(known, rows(0, 1))[0] > 0 == affinity.score(known, rows(0, 1))[1]
    assert affinity.reason(known, 0) == "you liked product shoe before"


def test_context_scores_posts_about_the_page() -> None:
    feed = Feed([a_post(1, hashtags=("winter",)), a_post(2)])
    view = feed.view(keywords=("winter",))

    assert context.score(view, rows(0))[0] > 0 == context.score(view, rows(1))[0]
    assert context.reason(view, 0) == "this page is about #winter"


def test_freshness_halves_in_two_days() -> None:
    feed = Feed([a_post(1, published_at_ms=NOW_MS), a_post(2, published_at_ms=NOW_MS - 48 * HOUR_MS)])
    new, old = rows_of(feed.view(), [1, 2])

    assert freshness.score(feed.view(), rows(new, old)).tolist() == [1.0, 0.5]
    assert freshness.reason(feed.view(), old) is None


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: scorer.name)
def test_a_score_does_not_depend_on_the_other_candidates(scorer: object) -> None:
    feed = Feed([a_post(n, products=["shoe"] if n % 2 else [], hashtags=(f"t{n % 3}",)) for n in range(1, 30)],
                [a_product("shoe")])  # fmt: skip
    feed.act(ActionKind.LIKE, ids([1])[0])
    view = feed.view(permissions=PERSONALISED, affinities=(("shoe", 1.0),), keywords=("t1",))
    score = next(one for one in SCORERS if one is scorer).score

    together = score(view, np.arange(29, dtype=np.int32))

    assert together.tolist() == [float(score(view, rows(row))[0]) for row in range(29)]
    assert score(view, rows()).shape == (0,)
