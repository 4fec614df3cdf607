"""What reports do, over the embedded store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import InvalidInput, NotFound
from feed.moderation.case_values import Origin
from feed.moderation.queue import QueueFilter
from feed.moderation.report_values import Judgement
from feed.moderation.reports import MAX_A_DAY
from feed.reputation.events import WEIGHTS, EventKind, ReputationEvent
from feed.verdict import Outcome
from tests.moderation_desk import OTHER_TENANT, TENANT, Desk

pytestmark = [pytest.mark.on_every_database, pytest.mark.slow]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def practise(desk: Desk, visitor: str, outcome: Outcome, times: int = 6) -> None:
    """The visitor reports posts, which are then removed, or found to be in order."""
    for at in range(times):
        name = f"old-{visitor}-{at}"
        desk.posts.publish(name, author="bad" if outcome else "good")
        desk.report(name, "s", visitor=visitor)
        case = next(
            (c for c in desk.cases.queue(TENANT, QueueFilter()).cases if c.subject.id == name),
            None,
        )
        if case is None:
            case = desk.found(name)
        desk.decide(case, outcome)


def test_a_reporter_counts_once_for_a_subject(desk: Desk) -> None:
    desk.posts.publish("post")

    assert desk.report("post", "s1").taken
    assert not desk.report("post", "s1").taken
    assert desk.report("post", "s1", visitor="v").taken
    assert not desk.report("post", "another session", visitor="v").taken


def test_reporters_are_kept_as_digests_that_name_nobody(desk: Desk) -> None:
    desk.posts.publish("post")
    desk.report("post", "session-of-ann")
    desk.report("post", "s", visitor="ann-herself")

    with desk.engine.connect() as connection:
        rows = str(connection.exec_driver_sql("SELECT * FROM moderation_reports").all())

    assert "ann" not in rows


def test_two_unproven_reporters_make_a_case_and_limit_nothing(desk: Desk) -> None:
    desk.posts.publish("post")

    first, second = desk.report("post", "s1"), desk.report("post", "s2")

    assert not first.case_made
    assert second.case_made
    assert not second.limited
    assert desk.posts.outcome("post") is Outcome.CLEAN
    [case] = desk.cases.queue(TENANT, QueueFilter(origin=Origin.REPORTS)).cases
    assert case.reports == 2


@pytest.mark.slow
def test_a_brigade_of_a_hundred_fresh_accounts_limits_nothing(desk: Desk) -> None:
    desk.posts.publish("post")

    for at in range(100):
        assert not desk.report("post", f"s{at}", visitor=f"v{at}").limited

    assert desk.posts.outcome("post") is Outcome.CLEAN


def test_reporters_who_were_right_before_limit_reach_at_once_and_never_more(desk: Desk) -> None:
    for visitor in ("ann", "bob", "eve"):
        practise(desk, visitor, Outcome.REMOVED)
    desk.posts.publish("scam", author="newcomer")

    limited = [desk.report("scam", "s", visitor=visitor).limited for visitor in ("ann", "bob", "eve")]

    assert limited == [False, False, True]
    assert desk.posts.outcome("scam") is Outcome.LIMITED
    assert desk.posts.decided[-1] == ("scam", Outcome.LIMITED, "reports")


def test_reporters_who_were_wrong_before_make_no_case(desk: Desk) -> None:
    practise(desk, "liar", Outcome.CLEAN, times=12)
    desk.posts.publish("post")

    assert not desk.report("post", "s", visitor="liar").case_made


def test_the_better_the_author_the_more_it_takes(desk: Desk) -> None:
    for visitor in ("ann", "bob", "eve"):
        practise(desk, visitor, Outcome.REMOVED)
    desk.posts.publish("post", author="star")
    now_ms = desk.clock.now_ms()
    desk.reputations.record(
        [ReputationEvent(TENANT, f"e{at}", "star", EventKind.POST_STOOD, now_ms) for at in range(60)]
    )
    desk.reputations.refresh()

    assert [desk.report("post", "s", visitor=visitor).limited for visitor in ("ann", "bob", "eve")] == [False] * 3


def test_what_is_removed_already_is_not_made_milder_by_reports(desk: Desk) -> None:
    for visitor in ("ann", "bob", "eve"):
        practise(desk, visitor, Outcome.REMOVED)
    desk.posts.publish("held", outcome=Outcome.HELD)

    assert [desk.report("held", "s", visitor=v).limited for v in ("ann", "bob", "eve")] == [False] * 3
    assert desk.posts.outcome("held") is Outcome.HELD


def test_decisions_judge_reports_and_an_appeal_judges_them_again(desk: Desk) -> None:
    desk.posts.publish("post")
    desk.report("post", "s1")
    desk.report("post", "s2")
    [case] = desk.cases.queue(TENANT, QueueFilter()).cases

    def judged() -> list[Judgement]:
        return [report.judged for report in desk.report_store.of_subject(TENANT, case.subject, 9)]

    desk.decide(case, Outcome.REMOVED, "ann")
    assert judged() == [Judgement.UPHELD] * 2
    desk.cases.undo(desk.write("ann"), case.case_id)
    assert judged() == [Judgement.OPEN] * 2
    desk.decide(case, Outcome.REMOVED, "ann")
    desk.cases.appeal(desk.write("shop"), case.case_id, "maker", "No.")
    desk.decide(case, Outcome.CLEAN, "bob")
    assert judged() == [Judgement.REJECTED] * 2
    desk.cases.undo(desk.write("bob"), case.case_id)
    assert judged() == [Judgement.UPHELD] * 2


def test_what_was_decided_moves_the_names_of_author_and_reporters_and_undo_moves_them_back(desk: Desk) -> None:
    desk.posts.publish("post", author="maker")
    desk.report("post", "s1")
    desk.report("post", "s2")
    [case] = desk.cases.queue(TENANT, QueueFilter()).cases
    reporters = [report.reporter for report in desk.report_store.of_subject(TENANT, case.subject, 9)]
    now_ms = desk.clock.now_ms()

    desk.decide(case, Outcome.REMOVED)
    assert [track.upheld for track in desk.reputations.tracks(TENANT, reporters, now_ms)] == [1.0, 1.0]
    assert desk.reputations.explain(TENANT, "maker").bad == WEIGHTS[EventKind.POST_REMOVED].bad

    desk.cases.undo(desk.write("bob"), case.case_id)
    assert [track.upheld for track in desk.reputations.tracks(TENANT, reporters, now_ms)] == [0.0, 0.0]
    assert desk.reputations.explain(TENANT, "maker").bad == 0.0


def test_an_appeal_that_was_right_leaves_nothing_of_the_first_decision(desk: Desk) -> None:
    case = desk.found("post", author="maker")
    desk.decide(case, Outcome.REMOVED, "ann")
    desk.cases.appeal(desk.write("shop"), case.case_id, "maker", "No.")
    desk.decide(case, Outcome.CLEAN, "bob")

    explained = desk.reputations.explain(TENANT, "maker")

    assert (explained.good, explained.bad) == (1.0, 0.0)
    assert [one.event.kind for one in explained.events] == [EventKind.POST_CLEARED]


def test_a_reporter_can_do_only_so_much_a_day(desk: Desk) -> None:
    for at in range(MAX_A_DAY + 1):
        desk.posts.publish(f"post-{at}")
        if at < MAX_A_DAY:
            desk.report(f"post-{at}", "s", visitor="v")

    with pytest.raises(InvalidInput, match="tomorrow"):
        desk.report(f"post-{MAX_A_DAY}", "s", visitor="v")


def test_what_is_not_there_cannot_be_reported(desk: Desk) -> None:
    desk.posts.publish("theirs", tenant=OTHER_TENANT)

    for name in ("nothing", "theirs"):
        with pytest.raises(NotFound):
            desk.report(name, "s")
    with pytest.raises(InvalidInput, match="session_id"):
        desk.report("nothing", "")


def test_an_erased_visitor_leaves_no_report(desk: Desk) -> None:
    desk.posts.publish("post")
    desk.report("post", "s", visitor="ann")
    desk.report("post", "s", visitor="bob")

    assert desk.erasure.erase(TENANT, "ann")["reports"] == 1
    assert desk.erasure.erase(TENANT, "ann")["reports"] == 0
