"""What authors are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import NotFound
from feed.moderation.queue import QueueFilter
from feed.moderation.reasons import REASON_OF_LABEL, REASONS, Ground
from feed.moderation.subjects import Subject, SubjectKind
from feed.verdict import Label, Outcome
from tests.moderation_desk import TENANT, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def test_every_label_of_the_checker_has_a_reason_and_every_reason_its_ground() -> None:
    assert set(REASON_OF_LABEL) == set(Label)
    assert set(REASON_OF_LABEL.values()) <= set(REASONS)
    assert all(reason.rule for reason in REASONS.values() if reason.ground is not Ground.NONE)


def test_a_program_says_that_it_was_a_program_and_how_to_appeal(desk: Desk) -> None:
    case = desk.found("post", outcome=Outcome.HELD)

    said = desk.cases.statement(TENANT, case.case_id, "maker")

    assert "Your post post is held back" in said.what
    assert "decided by programs" in said.automated
    assert "You alone see it" in said.scope
    assert "“buy now”" in said.facts
    assert "breaks the terms: no spam" in said.ground
    assert "appeal to us without charge" in said.redress
    assert "out of court, or to a court" in said.redress
    assert said.appeal_until_ms > desk.clock.now_ms()
    for part in (said.what, said.scope, said.duration, said.facts, said.automated, said.ground, said.redress):
        assert part in said.text


def test_a_person_says_so_and_names_law_where_it_is_law(desk: Desk) -> None:
    case = desk.found("post")
    desk.decide(case, Outcome.REMOVED, "ann", reason="illegal_fraud")

    said = desk.cases.statement(TENANT, case.case_id, "maker")

    assert "a person decided" in said.automated
    assert "take it to be illegal" in said.ground
    assert "the law against fraud" in said.ground
    assert "ann" not in said.text.replace("cannot", "")


def test_neither_reporters_nor_moderators_nor_their_notes_are_named(desk: Desk) -> None:
    desk.posts.publish("post")
    desk.report("post", "session-of-xenia")
    desk.report("post", "s", visitor="visitor-bob")
    [case] = desk.cases.queue(TENANT, QueueFilter()).cases
    desk.decide(case, Outcome.LIMITED, "moderator-ann")

    said = desk.cases.statement(TENANT, case.case_id, "maker")

    assert "People reported it." in said.facts
    reporters = [report.reporter for report in desk.report_store.of_subject(TENANT, case.subject, 9)]
    for secret in ("xenia", "visitor-bob", "moderator-ann", "looked at it", *reporters):
        assert secret not in str(said)


def test_after_an_appeal_only_bodies_outside_are_left(desk: Desk) -> None:
    case = desk.found("post")
    desk.decide(case, Outcome.REMOVED, "ann")
    desk.cases.appeal(desk.write("shop"), case.case_id, "maker", "No.")
    assert "You have appealed" in desk.cases.statement(TENANT, case.case_id, "maker").redress

    desk.decide(case, Outcome.REMOVED, "bob")

    said = desk.cases.statement(TENANT, case.case_id, "maker")
    assert "at its end" in said.redress
    assert "out of court" in said.redress
    assert said.appeal_until_ms == 0
    assert "your appeal was read" in said.facts


def test_a_statement_is_for_the_author_alone_and_found_by_the_post_too(desk: Desk) -> None:
    case = desk.found("post")
    subject = Subject(SubjectKind.POST, "post")

    by_case = desk.cases.statement(TENANT, case.case_id, "maker")

    assert desk.cases.statement_about(TENANT, subject, "maker") == by_case
    for author in ("", "somebody"):
        with pytest.raises(NotFound):
            desk.cases.statement(TENANT, case.case_id, author)
        with pytest.raises(NotFound):
            desk.cases.statement_about(TENANT, subject, author)
