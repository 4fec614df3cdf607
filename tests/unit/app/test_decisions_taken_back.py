"""A moderator's decision is taken back: over the real use cases and stores, all is as it was before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from common.errors import Conflict
from feed.moderation.case_values import Case, CaseState
from feed.moderation.subjects import SubjectKind
from feed.post import Post, PostState
from feed.post_states import CHECKER
from feed.posts import TAKEN_BACK
from feed.verdict import Outcome, Verdict
from tests.databases import database_url
from tests.whole_haat import WholeHaat, whole_haat

pytestmark = [pytest.mark.slow, pytest.mark.on_every_database]

HELD = "Boots: https://bit.ly/3xYz12"
PICTURES = ["https://img.example/1.jpg"]
ON_APPEAL = [Outcome.CLEAN, Outcome.LIMITED, Outcome.REMOVED]


@pytest.fixture
def desk(tmp_path: Path, database: str) -> Iterator[WholeHaat]:
    url = "" if database == "sqlite" else database_url(tmp_path)
    with whole_haat(tmp_path, database_url=url) as opened:
        opened.join("ana", "ben")
        yield opened


def stored(desk: WholeHaat, post_id: str) -> Post:
    return desk.haat.feed_server.posts.posts.get(desk.tenant, post_id)


def appealed(desk: WholeHaat, first: Outcome) -> tuple[str, Case]:
    """A post that ann decided on first, and whose author has appealed."""
    post_id = desk.post("ana", HELD, image_urls=PICTURES)
    desk.decide(desk.case_of(SubjectKind.POST, post_id), first)
    desk.settle()
    desk.clock.step(1_000)
    desk.ask("POST", f"/v1/posts/{post_id}/appeal", {"creator_id": "ana", "text": "It is my own shop."})
    desk.settle()
    desk.clock.step(1_000)
    return post_id, desk.case_of(SubjectKind.POST, post_id)


def told(desk: WholeHaat) -> list[tuple[str, str, str]]:
    """What the author was told, newest first."""
    listed = desk.call("ListNotifications", person_id="ana").notifications
    return [(one.kind.name, one.subject_id, one.text) for one in listed]


def everything(desk: WholeHaat, post_id: str, case: Case) -> dict[str, Any]:
    """What a decision moves, but for numbers of revisions."""
    desk.settle()
    desk.moderation.reputations.refresh()
    now = desk.moderation.cases.case(desk.tenant, case.case_id)
    reputation = desk.moderation.reputations.explain(desk.tenant, "ana")
    listed = desk.ask("GET", "/v1/posts", creator_id="ana", viewer_creator_id="ben")
    return {
        "post": replace(stored(desk, post_id), revision=0),
        "case": (now.state, now.outcome, now.standing, now.priority, now.effect),
        "followers": [one["post_id"] for one in listed["posts"]],
        "author": desk.view(post_id, "ana")["state"],
        "everybody": desk.feed(desk.fresh()),
        "statement": desk.moderation.cases.statement(desk.tenant, case.case_id, "ana").text,
        "reputation": ([one.event for one in reputation.events], round(reputation.good, 9), round(reputation.bad, 9)),
        "notifications": told(desk),
    }


@pytest.mark.parametrize("on_appeal", ON_APPEAL)
@pytest.mark.parametrize("first", [Outcome.LIMITED, Outcome.REMOVED])
def test_an_appeals_decision_that_is_taken_back_leaves_all_as_it_was_before(
    desk: WholeHaat, first: Outcome, on_appeal: Outcome
) -> None:
    post_id, case = appealed(desk, first)
    before = everything(desk, post_id, case)
    desk.decide(case, on_appeal, "bob")
    assert everything(desk, post_id, case) != before
    assert told(desk)[0][0] == "APPEAL_DECIDED"

    desk.moderation.cases.undo(desk.write("eve"), case.case_id, "the wrong post")

    assert everything(desk, post_id, case) == before
    assert stored(desk, post_id).state is PostState.APPEALED
    assert desk.moderation.cases.case(desk.tenant, case.case_id).state is CaseState.APPEALED
    trail = desk.moderation.cases.trail(desk.tenant, case.case_id)
    assert [(entry.actor, entry.action, entry.note) for entry in trail][-2:] == [
        ("eve", "undone", "the wrong post"), ("eve", "carried_out", ""),
    ]  # fmt: skip
    assert desk.moderation.cases.first_break(desk.tenant) == 0
    assert desk.told("moderation")[-1].undone
    # The appeal waits, and whoever decides it anew is heard.
    desk.decide(case, Outcome.CLEAN, "eve")
    desk.settle()
    assert told(desk)[0][0] == "APPEAL_DECIDED"
    assert stored(desk, post_id).state is PostState.CLEAN


def test_a_first_decision_that_is_taken_back_is_no_persons_word_any_more(desk: WholeHaat) -> None:
    post_id = desk.post("ana", HELD, image_urls=PICTURES)
    case, before = desk.case_of(SubjectKind.POST, post_id), stored(desk, post_id)
    assert (before.state, before.decided_by) == (PostState.CHECKING, CHECKER)
    desk.decide(case, Outcome.LIMITED)

    desk.moderation.cases.undo(desk.write("bob"), case.case_id)
    desk.settle()

    back = stored(desk, post_id)
    assert replace(back, revision=before.revision) == before
    # What no person has limited is cleared by an edit that mends it.
    assert edit(desk, back, "Just boots")["state"] == "clean"
    desk.settle()
    assert not desk.case_of(SubjectKind.POST, post_id).waits


def edit(desk: WholeHaat, post: Post, caption: str) -> Any:
    return desk.ask(
        "PUT", f"/v1/posts/{post.post_id}",
        {"creator_id": "ana", "caption": caption, "image_urls": PICTURES, "expected_revision": post.revision},
    )  # fmt: skip


@pytest.mark.parametrize("followed", [False, True], ids=["at once", "after its case was made"])
@pytest.mark.parametrize("on_appeal", [Outcome.CLEAN, Outcome.LIMITED])
def test_a_decision_on_a_post_that_was_edited_since_is_not_taken_back(
    desk: WholeHaat, on_appeal: Outcome, followed: bool
) -> None:
    post_id, case = appealed(desk, Outcome.REMOVED)
    decided = desk.decide(case, on_appeal, "bob")
    edit(desk, stored(desk, post_id), f"More {HELD}")
    if followed:
        desk.settle()
    edited = stored(desk, post_id)

    with pytest.raises(Conflict, match="the decision stands: it changed since"):
        desk.moderation.cases.undo(desk.write("eve"), case.case_id)

    assert stored(desk, post_id) == edited
    now = desk.moderation.cases.case(desk.tenant, case.case_id)
    assert (now.state, now.decisions) == (CaseState.FINAL, decided.decisions)
    desk.settle()
    assert desk.case_of(SubjectKind.POST, post_id).waits


def test_what_was_taken_back_before_a_crash_is_not_taken_back_twice(desk: WholeHaat) -> None:
    post_id, case = appealed(desk, Outcome.REMOVED)
    before = stored(desk, post_id)
    desk.decide(case, Outcome.CLEAN, "bob")
    posts, revision = desk.haat.feed_server.posts.posts, before.revision + 1
    asked = (desk.tenant, post_id, PostState.APPEALED, before.verdict, before.decided_by, "eve", revision)
    back = posts.take_back(*asked)

    assert posts.take_back(*asked) == back
    desk.moderation.cases.undo(desk.write("eve"), case.case_id)

    assert stored(desk, post_id) == back
    [(_, newest), *_] = posts.history(desk.tenant, post_id, "ana", 0, 9)
    assert (newest.by, newest.why) == ("eve", TAKEN_BACK)
    with pytest.raises(Conflict):
        posts.decide(desk.tenant, post_id, Outcome.CLEAN, Verdict(Outcome.CLEAN, 0), "eve", revision)
