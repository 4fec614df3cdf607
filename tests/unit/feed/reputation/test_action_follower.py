"""How likes, saves and follows vouch for creators."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.event_log_lmdb import LmdbEventLog
from backends.follower_offsets_sql import SqlFollowerOffsets
from backends.sales_sql import SqlSaleStore
from feed.actions import ActionKind
from feed.reputation.action_follower import STANDS_AFTER_MS, ActionFollower
from feed.reputation.events import EventKind
from feed.reputation.sales import Sales
from feed.reputation.trust import EdgeKind
from streams import schemas
from streams.feed_events import FeedActionTaken
from streams.topics import FEED_ACTIONS
from tests.feed_builders import HOUR_MS, NOW_MS, Feed, a_post, ids
from tests.moderation_desk import TENANT, Desk


class Follow:
    def __init__(self, folder: Path) -> None:
        self.desk = Desk(folder)
        self.feed = Feed([a_post(1), a_post(2)])
        self.log = LmdbEventLog(folder / "log", map_size_bytes=1 << 24)
        self.sales = Sales(
            store=SqlSaleStore(self.desk.engine),
            reputations=self.desk.reputations,
            clock=self.desk.clock,
            returns_ms=14 * DAY_MS,
        )
        self.follower = self.opened()

    def opened(self) -> ActionFollower:
        return ActionFollower(
            index=self.feed.index,
            reputations=self.desk.reputations,
            sales=self.sales,
            reports=self.desk.reports,
            offsets=SqlFollowerOffsets(self.desk.engine, "reputation"),
        )

    def did(self, kind: int, subject: str, visitor: str = "ann", action: str = "a", detail: str = "") -> None:
        now_ms = self.desk.clock.now_ms()
        event = FeedActionTaken(now_ms, TENANT, "session", visitor, kind, subject, action, detail)
        self.log.append(FEED_ACTIONS.name, [schemas.encode(event)], NOW_MS)

    def links(self) -> list[tuple[str, EdgeKind, int]]:
        return [(link.target_id, link.kind, link.count) for link in self.desk.reputation_store.links(TENANT)]


DAY_MS = 86_400_000


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Follow]:
    made = Follow(tmp_path)
    yield made
    made.log.close()
    made.desk.close()


def test_a_like_a_save_and_a_follow_vouch_once_each(follow: Follow) -> None:
    first = ids([1])[0]
    follow.did(ActionKind.LIKE, first)
    follow.did(ActionKind.LIKE, first, action="in another session")
    follow.did(ActionKind.SAVE, first)
    follow.did(ActionKind.FOLLOW, "creator-1")

    assert follow.follower.count_once(follow.log) == 4

    assert sorted(follow.links()) == [
        ("creator-1", EdgeKind.FOLLOW, 1), ("creator-1", EdgeKind.SAVE, 1), ("creator-1", EdgeKind.LIKE, 1),
    ]  # fmt: skip


def test_who_did_not_agree_to_be_remembered_and_other_actions_vouch_for_nobody(follow: Follow) -> None:
    first = ids([1])[0]
    follow.did(ActionKind.LIKE, first, visitor="")
    follow.did(ActionKind.HIDE, first)
    follow.did(99, first)
    follow.did(ActionKind.LIKE, "no such post")

    assert follow.follower.count_once(follow.log) == 4
    assert follow.links() == []


def test_visitors_are_kept_as_digests(follow: Follow) -> None:
    follow.did(ActionKind.FOLLOW, "creator-1", visitor="ann-herself")
    follow.follower.count_once(follow.log)

    with follow.desk.engine.connect() as connection:
        assert "ann" not in str(connection.exec_driver_sql("SELECT * FROM reputation_edges").all())


def test_a_restart_goes_on_where_it_was(follow: Follow) -> None:
    follow.did(ActionKind.FOLLOW, "creator-1")
    follow.follower.count_once(follow.log)
    follow.did(ActionKind.FOLLOW, "creator-2")

    assert follow.opened().count_once(follow.log) == 1
    assert len(follow.links()) == 2


def test_a_post_that_stood_for_a_week_speaks_for_its_creator_once(follow: Follow) -> None:
    assert follow.follower.posts_stood(NOW_MS) == []
    later = NOW_MS - HOUR_MS + STANDS_AFTER_MS

    events = follow.follower.posts_stood(later)

    assert {(event.person_id, event.kind) for event in events} == {
        ("creator-1", EventKind.POST_STOOD), ("creator-2", EventKind.POST_STOOD),
    }  # fmt: skip
    assert follow.desk.reputations.record(events) == 2
    assert follow.desk.reputations.record(follow.follower.posts_stood(later + HOUR_MS)) == 0
    assert follow.follower.posts_stood(later + 3 * 24 * HOUR_MS) == []


def events(follow: Follow) -> list[str]:
    explained = follow.desk.reputations.explain(TENANT, "creator-1")
    return [one.event.kind.value for one in explained.events]


def test_a_purchase_vouches_once_the_time_for_returns_is_over(follow: Follow) -> None:
    first = ids([1])[0]
    follow.did(ActionKind.PURCHASE, first, detail="shoe")
    follow.follower.count_once(follow.log)
    assert (follow.sales.count_kept(), follow.links(), events(follow)) == (0, [], [])

    follow.desk.clock.step(14 * DAY_MS)

    assert (follow.sales.count_kept(), follow.sales.count_kept()) == (1, 0)
    assert follow.links() == [("creator-1", EdgeKind.PURCHASE, 1)]
    assert events(follow) == ["sale_kept"]


def test_what_came_back_vouches_for_nobody_and_speaks_against_its_creator(follow: Follow) -> None:
    first = ids([1])[0]
    follow.did(ActionKind.PURCHASE, first, action="1", detail="shoe")
    follow.did(ActionKind.PURCHASE, first, action="2", detail="hat")
    follow.did(ActionKind.RETURN, first, action="3", detail="hat")
    follow.did(ActionKind.RETURN, first, action="4", detail="hat")
    follow.did(ActionKind.RETURN, first, visitor="bob", action="5", detail="shoe")
    follow.follower.count_once(follow.log)
    follow.desk.clock.step(14 * DAY_MS)
    follow.sales.count_kept()

    assert sorted(events(follow)) == ["sale_kept", "sale_returned"]
    assert follow.links() == [("creator-1", EdgeKind.PURCHASE, 1)]


def test_read_again_after_a_crash_a_purchase_counts_once(follow: Follow) -> None:
    follow.did(ActionKind.PURCHASE, ids([1])[0])
    follow.follower.count_once(follow.log)
    follow.desk.clock.step(14 * DAY_MS)
    sale = follow.sales._store.before(follow.desk.clock.now_ms(), 1)[0]
    follow.sales.count_kept()
    # It died before the sale was taken out.
    follow.sales._store.add(sale)
    follow.sales.count_kept()

    assert events(follow) == ["sale_kept"]
    assert follow.links() == [("creator-1", EdgeKind.PURCHASE, 1)]


def test_without_consent_a_purchase_counts_as_a_sale_and_vouches_for_nobody(follow: Follow) -> None:
    follow.did(ActionKind.PURCHASE, ids([1])[0], visitor="")
    follow.follower.count_once(follow.log)
    follow.desk.clock.step(14 * DAY_MS)
    follow.sales.count_kept()

    assert (events(follow), follow.links()) == (["sale_kept"], [])


def test_nobody_vouches_for_themselves(follow: Follow) -> None:
    first = ids([1])[0]
    for kind in (ActionKind.PURCHASE, ActionKind.LIKE, ActionKind.SAVE):
        follow.did(kind, first, visitor="creator-1", action=kind.name)
    follow.did(ActionKind.FOLLOW, "creator-1", visitor="creator-1")
    follow.follower.count_once(follow.log)
    follow.desk.clock.step(14 * DAY_MS)

    assert (follow.sales.count_kept(), follow.links(), events(follow)) == (0, [], [])
