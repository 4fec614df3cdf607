"""What moderators and authors can do, over the embedded store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from common.errors import BackendUnavailable, Conflict, InvalidInput, NotFound, PermissionDenied
from feed.moderation.case_asking import DecisionAsked
from feed.moderation.case_rules import APPEAL_WITHIN_MS, LEASE_MS
from feed.moderation.case_values import CaseState, Instance, Origin
from feed.moderation.queue import QueueFilter
from feed.verdict import Label, Outcome
from tests.moderation_desk import OTHER_TENANT, TENANT, Desk, a_verdict

pytestmark = pytest.mark.on_every_database


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def names(desk: Desk, wanted: QueueFilter | None = None) -> list[str]:
    return [case.subject.id for case in desk.cases.queue(TENANT, wanted or QueueFilter()).cases]


def test_what_is_held_or_limited_becomes_a_case_with_the_statement_of_the_program(desk: Desk) -> None:
    case = desk.found("post", outcome=Outcome.LIMITED, label=Label.CLICKBAIT)

    assert case.state is CaseState.OPEN
    assert case.origins == Origin.CHECKER
    assert [(d.instance, d.outcome, d.reason) for d in case.decisions] == [
        (Instance.AUTOMATED, Outcome.LIMITED, "terms_clickbait")
    ]
    assert [event["instance"] for event in desk.told("moderation")] == [0]


def test_a_clean_post_makes_no_case(desk: Desk) -> None:
    subject = desk.posts.publish("post")
    facts = desk.posts.facts(TENANT, subject)
    assert facts is not None

    assert desk.intake.checked(TENANT, subject, facts, a_verdict(Outcome.CLEAN)) is None
    assert names(desk) == []


def test_a_subject_that_is_checked_again_stays_one_case(desk: Desk) -> None:
    first = desk.found("post", risk=0.3)
    desk.posts.edit("post")
    facts = desk.posts.facts(TENANT, first.subject)
    assert facts is not None

    again = desk.intake.checked(TENANT, first.subject, facts, a_verdict(risk=0.9, label=Label.HATE))

    assert again is not None
    assert again.case_id == first.case_id
    assert (again.verdict.risk, again.subject_revision, again.revision) == (0.9, 2, 2)
    assert names(desk) == ["post"]


def test_what_its_author_has_mended_waits_for_nobody(desk: Desk) -> None:
    first = desk.found("post")
    desk.posts.edit("post")
    facts = desk.posts.facts(TENANT, first.subject)
    assert facts is not None

    mended = desk.intake.checked(TENANT, first.subject, facts, a_verdict(Outcome.CLEAN))

    assert mended is not None
    assert mended.state is CaseState.DECIDED
    assert mended.standing is not None
    assert mended.standing.reason == "mended"


def test_the_queue_is_ordered_by_risk_times_reach(desk: Desk) -> None:
    desk.found("likely-and-unseen", risk=0.9, views=10)
    desk.found("doubtful-and-seen", risk=0.2, views=1_000)
    desk.found("neither", risk=0.1, views=5)

    assert names(desk) == ["doubtful-and-seen", "likely-and-unseen", "neither"]


def test_the_order_follows_the_reach_of_now(desk: Desk) -> None:
    desk.found("quiet", risk=0.5, views=1)
    desk.found("loud", risk=0.5, views=100)
    desk.views["quiet"] = 5_000

    assert desk.cases.refresh_reach() == 1
    assert names(desk) == ["quiet", "loud"]


def test_pages_are_not_shifted_by_new_cases_and_by_decided_ones(desk: Desk) -> None:
    cases = [desk.found(f"post-{at}", risk=0.5, views=100 - at) for at in range(7)]
    first = desk.cases.queue(TENANT, QueueFilter(), 3)
    desk.found("newest", risk=1.0, views=10_000)
    desk.decide(cases[0], Outcome.REMOVED)

    second = desk.cases.queue(TENANT, QueueFilter(), 3, first.next_page_token)
    third = desk.cases.queue(TENANT, QueueFilter(), 3, second.next_page_token)

    shown = [case.subject.id for page in (first, second, third) for case in page.cases]
    assert shown == [f"post-{at}" for at in range(7)]
    assert third.next_page_token == ""


def test_a_page_token_is_good_for_its_filter_alone(desk: Desk) -> None:
    for at in range(3):
        desk.found(f"post-{at}")
    token = desk.cases.queue(TENANT, QueueFilter(), 1).next_page_token

    for wanted, given in ((QueueFilter(min_risk=0.4), token), (QueueFilter(), "x" * 300), (QueueFilter(), "é")):
        with pytest.raises(InvalidInput, match="page_token"):
            desk.cases.queue(TENANT, wanted, 1, given)


def test_filters_choose_by_label_origin_risk_author_and_state(desk: Desk) -> None:
    spam = desk.found("spam", label=Label.SPAM, risk=0.9, author="one")
    desk.found("hate", label=Label.HATE, risk=0.2, author="two")
    desk.decide(spam, Outcome.REMOVED)

    assert names(desk) == ["hate"]
    assert names(desk, QueueFilter(states=(CaseState.DECIDED,))) == ["spam"]
    both = (CaseState.OPEN, CaseState.DECIDED)
    assert names(desk, QueueFilter(states=both, label=Label.SPAM)) == ["spam"]
    assert names(desk, QueueFilter(states=both, min_risk=0.5)) == ["spam"]
    assert names(desk, QueueFilter(states=both, author_id="two")) == ["hate"]
    assert names(desk, QueueFilter(states=both, origin=Origin.REPORTS)) == []


def test_two_moderators_never_get_the_same_case_until_its_time_is_over(desk: Desk) -> None:
    for at in range(4):
        desk.found(f"post-{at}", views=100 - at)

    ann = [case.subject.id for case in desk.cases.claim(desk.write("ann"), QueueFilter(), 2)]
    bob = [case.subject.id for case in desk.cases.claim(desk.write("bob"), QueueFilter(), 9)]
    desk.clock.step(LEASE_MS)
    eve = [case.subject.id for case in desk.cases.claim(desk.write("eve"), QueueFilter(), 9)]

    assert ann == ["post-0", "post-1"]
    assert bob == ["post-2", "post-3"]
    assert eve == ["post-0", "post-1", "post-2", "post-3"]


def test_what_another_works_on_can_be_neither_claimed_nor_decided(desk: Desk) -> None:
    case = desk.found("post")
    desk.cases.claim_case(desk.write("ann"), case.case_id)

    with pytest.raises(Conflict, match="another moderator"):
        desk.cases.claim_case(desk.write("bob"), case.case_id)
    with pytest.raises(Conflict, match="another moderator"):
        desk.decide(case, Outcome.REMOVED, "bob")

    desk.cases.release(desk.write("ann"), case.case_id)
    assert desk.decide(case, Outcome.REMOVED, "bob").state is CaseState.DECIDED


def test_a_decision_reaches_the_post_and_is_told(desk: Desk) -> None:
    case = desk.found("post")

    decided = desk.decide(case, Outcome.REMOVED)

    assert desk.posts.outcome("post") is Outcome.REMOVED
    assert desk.posts.decided == [("post", Outcome.REMOVED, "ann")]
    assert (decided.state, decided.effect, decided.claimed_by) == (CaseState.DECIDED, None, "")
    told = desk.told("moderation")[-1]
    assert (told["reason"], told["instance"], told["outcome"], told["undone"]) == ("terms_spam", 1, 3, False)


def test_the_same_key_decides_once(desk: Desk) -> None:
    case = desk.found("post")

    first = desk.decide(case, Outcome.REMOVED, key="same")
    again = desk.decide(case, Outcome.REMOVED, key="same")

    assert again == first
    assert len(desk.posts.decided) == 1
    with pytest.raises(Conflict, match="another request"):
        desk.decide(case, Outcome.CLEAN, key="same")


def test_a_case_that_changed_since_it_was_looked_at_is_not_decided(desk: Desk) -> None:
    case = desk.found("post")
    desk.cases.claim_case(desk.write("ann"), case.case_id)

    with pytest.raises(Conflict, match="revision 2 and not 1"):
        desk.decide(case, Outcome.REMOVED, revision=1)

    assert desk.posts.decided == []


def test_a_post_that_was_edited_since_is_not_decided_and_waits_as_it_is_now(desk: Desk) -> None:
    case = desk.found("post")
    desk.posts.edit("post")

    with pytest.raises(Conflict, match="changed since"):
        desk.decide(case, Outcome.REMOVED)

    waits = desk.cases.case(TENANT, case.case_id)
    assert desk.posts.outcome("post") is Outcome.HELD
    assert (waits.state, waits.subject_revision, waits.excerpt) == (CaseState.OPEN, 2, "edited")
    assert [d.instance for d in waits.decisions] == [Instance.AUTOMATED]
    assert [entry.action for entry in desk.cases.trail(TENANT)] == ["checked", "decided", "dropped"]
    assert desk.decide(waits, Outcome.REMOVED).outcome is Outcome.REMOVED


def test_a_decision_about_a_post_that_is_gone_closes_the_case(desk: Desk) -> None:
    case = desk.found("post")
    del desk.posts.by_id[TENANT, "post"]

    decided = desk.decide(case, Outcome.REMOVED)

    assert decided.state is CaseState.DECIDED
    assert decided.standing is not None
    assert decided.standing.gone
    assert desk.cases.undo(desk.write("ann"), case.case_id).state is CaseState.OPEN


def test_what_was_decided_before_a_crash_is_carried_out_after_it(desk: Desk) -> None:
    case = desk.found("post")
    desk.posts.broken = True
    with pytest.raises(RuntimeError):
        desk.decide(case, Outcome.REMOVED, key="same")
    desk.posts.broken = False
    assert desk.posts.outcome("post") is Outcome.HELD

    assert desk.effects.carry_out_unfinished() == 1

    assert desk.posts.outcome("post") is Outcome.REMOVED
    assert desk.cases.case(TENANT, case.case_id).effect is None
    assert desk.decide(case, Outcome.REMOVED, key="same").state is CaseState.DECIDED
    assert len(desk.posts.decided) == 1


def test_a_crash_after_the_post_was_changed_does_not_change_it_again(desk: Desk) -> None:
    case = desk.found("post")
    desk.posts.broken = True
    with pytest.raises(RuntimeError):
        desk.decide(case, Outcome.REMOVED)
    desk.posts.broken = False
    desk.posts.decide(TENANT, case.subject, Outcome.REMOVED, case.verdict, "ann", 1)

    desk.effects.carry_out_unfinished()

    assert len(desk.posts.decided) == 1
    carried_out = desk.cases.case(TENANT, case.case_id)
    assert carried_out.standing is not None
    assert carried_out.standing.revision_after == 2


def test_undo_restores_what_held_before_and_asks_for_somebody_anew(desk: Desk) -> None:
    case = desk.found("post", outcome=Outcome.LIMITED)
    desk.decide(case, Outcome.REMOVED)

    undone = desk.cases.undo(desk.write("bob"), case.case_id, "wrong post")

    assert desk.posts.outcome("post") is Outcome.LIMITED
    assert (undone.state, undone.outcome) == (CaseState.OPEN, Outcome.LIMITED)
    assert names(desk) == ["post"]
    assert desk.told("moderation")[-1]["undone"] is True
    with pytest.raises(Conflict, match="waits"):
        desk.cases.undo(desk.write("bob"), case.case_id)


def test_undo_leaves_a_post_alone_that_was_edited_since(desk: Desk) -> None:
    case = desk.found("post")
    desk.decide(case, Outcome.LIMITED)
    desk.posts.edit("post")

    with pytest.raises(Conflict, match="changed since"):
        desk.cases.undo(desk.write("bob"), case.case_id)

    stands = desk.cases.case(TENANT, case.case_id)
    assert (stands.state, stands.outcome) == (CaseState.DECIDED, Outcome.LIMITED)


def test_an_appeal_is_never_decided_by_who_decided_first(desk: Desk) -> None:
    case = desk.found("post")
    desk.decide(case, Outcome.REMOVED, "ann")
    desk.cases.appeal(desk.write("shop"), case.case_id, "maker", "It is my own picture.")

    with pytest.raises(PermissionDenied, match="somebody else"):
        desk.decide(case, Outcome.REMOVED, "ann")
    with pytest.raises(PermissionDenied, match="somebody else"):
        desk.cases.claim_case(desk.write("ann"), case.case_id)
    assert desk.cases.claim(desk.write("ann"), QueueFilter(), 5) == []

    final = desk.decide(case, Outcome.CLEAN, "bob")
    assert final.state is CaseState.FINAL
    assert desk.posts.outcome("post") is Outcome.CLEAN
    with pytest.raises(PermissionDenied, match="somebody else"):
        desk.cases.undo(desk.write("ann"), case.case_id)
    figures = desk.cases.figures(TENANT)
    assert (figures.decided, figures.appeals_decided, figures.overturned) == (1, 1, 1)


def test_who_decided_and_took_it_back_decides_no_appeal_either(desk: Desk) -> None:
    case = desk.found("post")
    desk.decide(case, Outcome.REMOVED, "ann")
    desk.cases.undo(desk.write("ann"), case.case_id)
    desk.decide(case, Outcome.REMOVED, "bob")
    desk.cases.appeal(desk.write("shop"), case.case_id, "maker", "No.")

    for who in ("ann", "bob"):
        with pytest.raises(PermissionDenied):
            desk.decide(case, Outcome.CLEAN, who)
    assert desk.decide(case, Outcome.CLEAN, "eve").state is CaseState.FINAL


def test_an_appeal_comes_once_in_time_and_from_its_author(desk: Desk) -> None:
    case = desk.found("post")
    desk.decide(case, Outcome.REMOVED)

    with pytest.raises(NotFound):
        desk.cases.appeal(desk.write("shop"), case.case_id, "somebody", "No.")
    with pytest.raises(InvalidInput, match="text"):
        desk.cases.appeal(desk.write("shop"), case.case_id, "maker", "  ")
    desk.cases.appeal(desk.write("shop"), case.case_id, "maker", "No.")
    with pytest.raises(Conflict, match="appealed before"):
        desk.cases.appeal(desk.write("shop"), case.case_id, "maker", "No!")

    late = desk.found("late")
    desk.decide(late, Outcome.REMOVED)
    desk.clock.step(APPEAL_WITHIN_MS + 1)
    with pytest.raises(Conflict, match="older than"):
        desk.cases.appeal(desk.write("shop"), late.case_id, "maker", "No.")


def test_what_a_program_removed_can_be_appealed_before_any_person(desk: Desk) -> None:
    case = desk.found("post", outcome=Outcome.REMOVED, label=Label.BANNED_IMAGE)
    assert case.state is CaseState.DECIDED

    appealed = desk.cases.appeal(desk.write("shop"), case.case_id, "maker", "It is another picture.")

    assert appealed.state is CaseState.OPEN
    assert names(desk) == ["post"]
    assert desk.decide(case, Outcome.CLEAN, "ann").state is CaseState.DECIDED


def test_each_wrong_field_of_a_decision_is_named(desk: Desk) -> None:
    case = desk.found("post")

    for outcome, reason, field in (
        (Outcome.HELD, "terms_spam", "outcome"),
        (Outcome.REMOVED, "because", "reason"),
        (Outcome.REMOVED, "no_violation", "reason"),
        (Outcome.CLEAN, "terms_spam", "reason"),
    ):
        with pytest.raises(InvalidInput) as refused:
            desk.decide(case, outcome, reason=reason)
        assert [error.field for error in refused.value.errors] == [field]
    with pytest.raises(InvalidInput, match="note"):
        desk.cases.decide(desk.write(), DecisionAsked(case.case_id, Outcome.CLEAN, "no_violation", "x\u202ey"))
    with pytest.raises(InvalidInput, match="idempotency_key"):
        desk.decide(case, Outcome.CLEAN, key=" ")


def test_many_are_decided_each_for_itself_and_a_dry_run_writes_nothing(desk: Desk) -> None:
    cases = [desk.found(f"post-{at}") for at in range(3)]
    desk.cases.claim_case(desk.write("bob"), cases[1].case_id)
    asked = [DecisionAsked(case.case_id, Outcome.REMOVED, "terms_spam") for case in cases]
    asked.append(DecisionAsked("f" * 32, Outcome.REMOVED, "terms_spam"))
    trail = desk.cases.trail(TENANT)

    dry = desk.cases.decide_many(desk.write("ann"), asked, dry_run=True)

    assert [bool(result.case) for result in dry] == [True, False, True, False]
    assert desk.cases.trail(TENANT) == trail
    assert desk.posts.decided == []

    write = desk.write("ann")
    done = desk.cases.decide_many(write, asked)
    again = desk.cases.decide_many(write, asked)
    assert [bool(result.case) for result in done] == [True, False, True, False]
    assert "another moderator" in done[1].error
    assert [bool(result.case) for result in again] == [True, False, True, False]
    assert [name for name, _, _ in desk.posts.decided] == ["post-0", "post-2"]


def test_another_tenants_case_is_not_found(desk: Desk) -> None:
    case = desk.found("post", tenant=OTHER_TENANT)

    for attempt in (
        lambda: desk.cases.case(TENANT, case.case_id),
        lambda: desk.decide(case, Outcome.REMOVED),
        lambda: desk.cases.undo(desk.write(), case.case_id),
        lambda: desk.cases.claim_case(desk.write(), case.case_id),
        lambda: desk.cases.statement(TENANT, case.case_id, "maker"),
        lambda: desk.cases.trail(TENANT, case.case_id),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert names(desk) == []
    assert desk.cases.trail(TENANT) == []
    assert desk.cases.figures(TENANT).waiting == 0


def test_the_trail_tells_who_did_what_and_cannot_be_changed(desk: Desk) -> None:
    case = desk.found("post")
    desk.cases.claim_case(desk.write("ann"), case.case_id)
    desk.decide(case, Outcome.REMOVED, "ann")
    desk.cases.undo(desk.write("bob"), case.case_id, "wrong post")

    entries = desk.cases.trail(TENANT, case.case_id)

    assert [(entry.actor, entry.action) for entry in entries] == [
        ("checker", "checked"), ("ann", "claimed"), ("ann", "decided"), ("ann", "carried_out"), ("bob", "undone"),
        ("bob", "carried_out"),
    ]  # fmt: skip
    assert [entry.position for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert (entries[2].reason, entries[2].note) == ("terms_spam", "looked at it")
    assert '"outcome":"held"' in entries[2].before
    assert '"outcome":"removed"' in entries[2].after
    assert desk.cases.first_break(TENANT) == 0
    for statement in ("UPDATE moderation_trail SET actor = 'eve'", "DELETE FROM moderation_trail"):
        with pytest.raises(Exception, match="only grows"), desk.engine.begin() as connection:
            connection.execute(text(statement))


def test_a_trail_that_was_changed_behind_our_back_is_seen(desk: Desk, database: str) -> None:
    for at in range(5):
        desk.found(f"post-{at}")
    with desk.engine.begin() as connection:
        trigger = {"sqlite": "no_update", "postgresql": "no_change ON moderation_trail"}[database]
        connection.execute(text(f"DROP TRIGGER moderation_trail_{trigger}"))
        connection.execute(text("UPDATE moderation_trail SET actor = 'eve' WHERE position = 3"))

    assert desk.cases.first_break(TENANT) == 3


def test_figures_tell_length_age_and_claims(desk: Desk) -> None:
    first = desk.found("first")
    desk.clock.step(5_000)
    desk.found("second")
    desk.cases.claim_case(desk.write("ann"), first.case_id)

    figures = desk.cases.figures(TENANT)

    assert (figures.waiting, figures.claimed, figures.appeals) == (2, 1, 0)
    assert desk.clock.now_ms() - figures.oldest_at_ms == 5_000


def test_an_erased_author_leaves_cases_that_name_nobody(desk: Desk) -> None:
    case = desk.found("post")
    desk.decide(case, Outcome.REMOVED)
    waits = desk.found("other")
    desk.report("other", "s1")

    assert desk.erasure.erase(TENANT, "maker")["moderation cases"] == 2

    for case_id in (case.case_id, waits.case_id):
        kept = desk.cases.case(TENANT, case_id)
        assert (kept.author_id, kept.excerpt, kept.subject.id) == ("", "", f"erased-{case_id}")
        assert {finding.evidence for finding in kept.verdict.findings} == {""}
        assert {decision.note for decision in kept.decisions} == {""}
        assert not kept.waits
    kept = desk.cases.case(TENANT, case.case_id)
    assert kept.standing is not None
    assert kept.standing.reason == "terms_spam"
    assert desk.report_store.of_subject(TENANT, waits.subject, 10) == []
    assert desk.cases.first_break(TENANT) == 0
    with desk.engine.connect() as connection:
        left = connection.execute(text("SELECT * FROM moderation_trail")).all()
    assert "maker" not in str(left)


def test_a_store_that_is_gone_says_so(desk: Desk, tmp_path: Path) -> None:
    desk.found("post")
    with desk.engine.begin() as connection:
        connection.execute(text("DROP TABLE moderation_cases"))

    with pytest.raises(BackendUnavailable):
        desk.cases.queue(TENANT, QueueFilter())
