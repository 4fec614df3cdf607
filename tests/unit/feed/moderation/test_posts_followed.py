"""How posts become cases, over the topic that tells of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backends.event_log_lmdb import LmdbEventLog
from backends.follower_offsets_sql import SqlFollowerOffsets
from common.errors import Conflict, NotFound
from feed.moderation.case_effects import CaseEffects
from feed.moderation.case_intake import CaseIntake
from feed.moderation.case_values import CaseState, Origin
from feed.moderation.cases import Cases
from feed.moderation.post_follower import PostFollower
from feed.moderation.post_keeper import PostKeeper
from feed.moderation.queue import QueueFilter
from feed.moderation.subjects import SubjectKind
from feed.post import PostState
from feed.verdict import Outcome, Verdict
from streams import schemas
from streams.feed_events import PostChanged
from streams.topics import POSTS
from tests.moderation_desk import TENANT, Desk, SomeReach, a_verdict

STATE_OF = {
    Outcome.CLEAN: PostState.CLEAN, Outcome.LIMITED: PostState.LIMITED, Outcome.HELD: PostState.CHECKING,
    Outcome.REMOVED: PostState.REMOVED,
}  # fmt: skip


class JudgedDesk:
    """Posts as their use cases show them, and moderation that follows them."""

    def __init__(self, folder: Path) -> None:
        self.desk = Desk(folder)
        self.log = LmdbEventLog(folder / "log", map_size_bytes=1 << 24)
        self.by_id: dict[str, Any] = {}
        keeper = PostKeeper(self)
        desk = self.desk
        effects = CaseEffects(
            store=desk.store,
            reports=desk.report_store,
            moderated={SubjectKind.POST: keeper},
            consequences=desk.reputations,
            clock=desk.clock,
        )
        intake = CaseIntake(store=desk.store, reach=SomeReach({}), effects=effects, clock=desk.clock)
        self.cases = Cases(
            store=desk.store, reports=desk.report_store, effects=effects, reach=SomeReach({}), clock=desk.clock
        )
        self.follower = PostFollower(
            posts=self,
            intake=intake,
            offsets=SqlFollowerOffsets(desk.engine, "moderation"),
        )

    def put(self, post_id: str, state: PostState, verdict: Verdict | None, **changes: Any) -> None:
        """A post is changed, and told of."""
        before = self.by_id.get(post_id)
        facts: dict[str, Any] = {
            "creator_id": "maker", "caption": "look", "state": state, "verdict": verdict, "decided_by": "checker",
            "appeal": "", "media": (), "revision": before.revision + 1 if before else 1,
        }  # fmt: skip
        self.by_id[post_id] = SimpleNamespace(**facts | changes)
        event = PostChanged(1, TENANT, post_id, "maker", int(state), self.by_id[post_id].revision)
        self.log.append(POSTS.name, [schemas.encode(event)], 1)

    def get(self, tenant_id: str, post_id: str, /) -> Any:
        if post_id not in self.by_id:
            raise NotFound("no such post")
        return self.by_id[post_id]

    def decide(
        self, tenant_id: str, post_id: str, outcome: Outcome, verdict: Verdict, actor: str, expected_revision: int, /
    ) -> Any:
        post = self.get(tenant_id, post_id)
        if post.revision != expected_revision:
            raise Conflict("changed")
        self.put(post_id, STATE_OF[outcome], verdict, decided_by=actor, appeal=post.appeal)
        return self.by_id[post_id]

    def take_back(
        self, tenant_id: str, post_id: str, state: PostState, verdict: Verdict | None, decided_by: str, actor: str,
        expected_revision: int, /,
    ) -> Any:  # fmt: skip
        post = self.get(tenant_id, post_id)
        if post.revision != expected_revision:
            raise Conflict("changed")
        self.put(post_id, state, verdict, decided_by=decided_by, appeal=post.appeal)
        return self.by_id[post_id]

    def follow(self) -> int:
        return self.follower.count_once(self.log)

    def waiting(self) -> list[str]:
        return [case.subject.id for case in self.cases.queue(TENANT, QueueFilter()).cases]


@pytest.fixture
def posts(tmp_path: Path) -> Iterator[JudgedDesk]:
    made = JudgedDesk(tmp_path)
    yield made
    made.log.close()
    made.desk.close()


def test_what_the_checker_held_is_a_case_and_what_is_clean_is_none(posts: JudgedDesk) -> None:
    posts.put("held", PostState.CHECKING, a_verdict(Outcome.HELD))
    posts.put("clean", PostState.CLEAN, a_verdict(Outcome.CLEAN))
    posts.put("unchecked", PostState.CHECKING, None)
    posts.put("draft", PostState.DRAFT, None)

    assert posts.follow() == 4
    assert posts.follow() == 0
    assert posts.waiting() == ["held"]


def test_an_event_that_is_read_twice_changes_nothing(posts: JudgedDesk) -> None:
    posts.put("held", PostState.CHECKING, a_verdict(Outcome.HELD))
    posts.follow()
    trail = posts.cases.trail(TENANT)

    posts.follower.changed(TENANT, "held")

    assert posts.cases.trail(TENANT) == trail


def test_a_post_that_was_mended_or_withdrawn_waits_for_nobody(posts: JudgedDesk) -> None:
    for name in ("mended", "withdrawn", "erased"):
        posts.put(name, PostState.CHECKING, a_verdict(Outcome.HELD))
    posts.follow()
    posts.put("mended", PostState.CLEAN, a_verdict(Outcome.CLEAN))
    posts.put("withdrawn", PostState.WITHDRAWN, a_verdict(Outcome.HELD))
    posts.put("erased", PostState.WITHDRAWN, a_verdict(Outcome.HELD))
    del posts.by_id["erased"]

    posts.follow()

    assert posts.waiting() == []


def test_a_moderators_word_makes_no_new_case_of_the_post_it_was_about(posts: JudgedDesk) -> None:
    posts.put("post", PostState.CHECKING, a_verdict(Outcome.HELD))
    posts.follow()
    [case] = posts.cases.queue(TENANT, QueueFilter()).cases
    posts.desk.cases = posts.cases

    posts.desk.decide(case, Outcome.REMOVED)
    posts.follow()

    assert posts.by_id["post"].state is PostState.REMOVED
    assert posts.waiting() == []


def test_what_a_person_had_limited_and_is_held_after_an_edit_waits_for_a_person_again(posts: JudgedDesk) -> None:
    posts.put("post", PostState.CHECKING, a_verdict(Outcome.HELD))
    posts.follow()
    [case] = posts.cases.queue(TENANT, QueueFilter()).cases
    posts.desk.cases = posts.cases
    posts.desk.decide(case, Outcome.LIMITED)
    posts.put("post", PostState.CHECKING, a_verdict(Outcome.HELD), decided_by="ann")

    posts.follow()

    assert posts.waiting() == ["post"]


def test_an_appeal_that_was_made_where_the_post_is_kept_goes_to_somebody_else(posts: JudgedDesk) -> None:
    posts.put("post", PostState.CHECKING, a_verdict(Outcome.HELD))
    posts.follow()
    [case] = posts.cases.queue(TENANT, QueueFilter()).cases
    posts.desk.cases = posts.cases
    posts.desk.decide(case, Outcome.REMOVED, "ann")
    removed = posts.by_id["post"]
    verdict = Verdict(Outcome.REMOVED, removed.verdict.risk, removed.verdict.findings)
    posts.put("post", PostState.APPEALED, verdict, decided_by="ann", appeal="It is mine.")

    posts.follow()
    posts.follower.changed(TENANT, "post")

    [appealed] = posts.cases.queue(TENANT, QueueFilter(origin=Origin.APPEAL)).cases
    assert appealed.state is CaseState.APPEALED
    assert appealed.appeal is not None
    assert appealed.appeal.text == "It is mine."
    # Also where the second one says the same, the post is no longer appealed.
    posts.desk.decide(appealed, Outcome.REMOVED, "bob")
    assert posts.by_id["post"].state is PostState.REMOVED
