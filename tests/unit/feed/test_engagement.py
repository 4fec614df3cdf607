from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backends.event_log_lmdb import LmdbEventLog
from feed.actions import ActionKind
from feed.engagement import LOOK_BACK_MS, Restored, restore
from streams import schemas
from streams.erasures import Erasures, digest_of
from streams.feed_events import FeedActionTaken, FeedPageServed, PersonErased
from tests.feed_builders import HOUR_MS, NOW_MS, SESSION, TENANT, Feed, a_post, ids


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LmdbEventLog]:
    opened = LmdbEventLog(tmp_path, map_size_bytes=1 << 24)
    yield opened
    opened.close()


def a_page(*numbers: int) -> bytes:
    count = len(numbers)
    page = FeedPageServed(
        NOW_MS, TENANT, "page", SESSION, "", tuple(ids(numbers)), (0.0,) * count, ("newest",) * count, (1.0,) * count
    )
    return schemas.encode(page)


def an_action(kind: int, subject_id: str, at_ms: int = NOW_MS) -> bytes:
    return schemas.encode(FeedActionTaken(at_ms, TENANT, SESSION, "", kind, subject_id, "a"))


def test_views_and_heat_are_as_they_were_before_the_restart(log: LmdbEventLog) -> None:
    before, after = Feed([a_post(1), a_post(2)]), Feed([a_post(1, likes=1), a_post(2)])
    before.shelf.count_views(np.array([0, 1], np.int32))
    before.shelf.count_action(0, 2.0, NOW_MS - HOUR_MS, likes=1)
    before.shelf.count_action(1, 1.0, NOW_MS)
    log.append("feed_pages", [a_page(1, 2)], NOW_MS)
    log.append("feed_actions", [an_action(1, ids([1])[0], NOW_MS - HOUR_MS), an_action(3, ids([2])[0])], NOW_MS)

    assert restore(after.index, log, NOW_MS) == Restored(1, 2)

    for name in ("impressions", "value"):
        assert getattr(after.shelf, name).tolist() == getattr(before.shelf, name).tolist()
    assert np.allclose(after.shelf.heat(NOW_MS), before.shelf.heat(NOW_MS))
    assert after.shelf.likes(0) == before.shelf.likes(0) == 1


def test_old_records_unknown_posts_and_broken_records_are_passed_over(log: LmdbEventLog) -> None:
    feed = Feed([a_post(1)])
    log.append("feed_pages", [a_page(1)], NOW_MS - LOOK_BACK_MS - 1)
    log.append("feed_pages", [a_page(1, 99), b"\xff\xff broken"], NOW_MS)
    log.append("feed_actions", [an_action(1, "unknown"), an_action(5, "creator"), an_action(77, "x")], NOW_MS)

    assert restore(feed.index, log, NOW_MS) == Restored(1, 2)
    assert feed.shelf.impressions.tolist() == [1.0]
    assert feed.shelf.heat(NOW_MS).tolist() == [0.0]


def test_an_empty_log_restores_nothing(log: LmdbEventLog) -> None:
    assert restore(Feed([a_post(1)]).index, log, NOW_MS) == Restored(0, 0)


def test_what_was_taken_back_leaves_nothing_behind_and_what_was_done_again_stands(log: LmdbEventLog) -> None:
    feed, post = Feed([a_post(1, likes=1)]), ids([1])[0]
    like, unlike = int(ActionKind.LIKE), int(ActionKind.UNLIKE)
    actions = [an_action(kind, post) for kind in (like, unlike, int(ActionKind.HIDE), int(ActionKind.UNHIDE), like)]
    log.append("feed_actions", [an_action(unlike, post), *actions], NOW_MS)

    assert restore(feed.index, log, NOW_MS) == Restored(0, 1)
    assert feed.shelf.value.tolist() == [2.0]


def test_what_was_done_by_somebody_who_was_erased_since_is_passed_over(log: LmdbEventLog) -> None:
    feed, post = Feed([a_post(1)]), ids([1])[0]
    for visitor_id in ("ann", "bob"):
        event = FeedActionTaken(NOW_MS, TENANT, SESSION, visitor_id, 3, post, visitor_id)
        log.append("feed_actions", [schemas.encode(event)], NOW_MS)
    erasures = Erasures()
    erasures.add(PersonErased(NOW_MS + 1, TENANT, digest_of(TENANT, "ann")))

    assert restore(feed.index, log, NOW_MS, erasures) == Restored(0, 1)
    assert feed.shelf.value.tolist() == [1.0]
