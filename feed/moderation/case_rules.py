"""What may be done to a case, and what is it then? Pure: a case and a wish in, the case that it becomes out.

A wish that cannot be fulfilled is a Conflict with the remedy, or PermissionDenied where it is for somebody else to do.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from common.errors import Conflict, PermissionDenied
from feed.moderation.case_values import Appeal, Case, CaseState, Decision, Effect, Instance, Origin, Stood
from feed.moderation.queue import priority_of
from feed.moderation.reasons import REASON_OF_LABEL
from feed.moderation.subjects import SubjectFacts
from feed.verdict import Outcome, Verdict

# Long enough to read a post and look at its pictures; a moderator who went home blocks nothing.
LEASE_MS: Final = 10 * 60_000
# Article 20 of the Digital Services Act asks for six months at least.
APPEAL_WITHIN_MS: Final = 184 * 86_400_000
CHECKER: Final = "checker"
REPORTERS: Final = "reports"


def reason_of(verdict: Verdict) -> str:
    """The reason of what a program decides: that of the finding which is most sure beyond its threshold."""
    if not verdict.findings:
        return "terms_velocity" if verdict.outcome is not Outcome.CLEAN else "no_violation"
    surest = max(verdict.findings, key=lambda finding: finding.probability - finding.threshold)
    return REASON_OF_LABEL[surest.label]


def found_by_checker(
    case: Case | None, fresh: Case, facts: SubjectFacts, verdict: Verdict, decision_id: str, now_ms: int
) -> Case:
    """A verdict on a subject, which it has been given already: a new case out of `fresh`, or more in one that waits.

    What the checker removed is decided; its author may appeal. What was mended and is clean now needs nobody, unless
    people reported it or its author appealed.
    """
    before = case or fresh
    automated = Decision(
        decision_id=decision_id,
        instance=Instance.AUTOMATED,
        outcome=verdict.outcome,
        outcome_before=before.outcome if case else Outcome.CLEAN,
        reason=reason_of(verdict) if verdict.outcome is not Outcome.CLEAN else "mended",
        decided_by=CHECKER,
        decided_at_ms=now_ms,
        subject_revision=facts.revision,
        revision_after=facts.revision,
    )
    settled = verdict.outcome is Outcome.REMOVED or (
        verdict.outcome is Outcome.CLEAN and before.origins & ~Origin.CHECKER == Origin(0)
    )
    return _changed(
        replace(
            before,
            origins=before.origins | Origin.CHECKER,
            state=CaseState.DECIDED if settled else before.state,
            outcome=verdict.outcome,
            verdict=verdict,
            excerpt=facts.excerpt,
            subject_revision=facts.revision,
            decisions=(*before.decisions, automated),
            **(_UNCLAIMED if settled else {}),
        ),
        now_ms,
        is_new=case is None,
    )


def reported(case: Case | None, fresh: Case, verdict: Verdict, reports: int, now_ms: int) -> Case:
    """People reported a subject; what the checker found stays beside it."""
    before = case or fresh
    risk = max(before.verdict.risk, verdict.risk) if case else verdict.risk
    kept = tuple(f for f in before.verdict.findings if f.label not in {g.label for g in verdict.findings})
    merged = replace(before.verdict, risk=risk, findings=(*kept, *verdict.findings), outcome=before.outcome)
    return _changed(
        replace(before, origins=before.origins | Origin.REPORTS, verdict=merged, reports=reports),
        now_ms,
        is_new=case is None,
    )


def limited_by_reports(case: Case, decision_id: str, now_ms: int) -> Case:
    """Reach is limited before anybody looked; only what is clean, and never more than limited."""
    assert case.outcome is Outcome.CLEAN
    assert case.waits
    decision = Decision(
        decision_id=decision_id,
        instance=Instance.AUTOMATED,
        outcome=Outcome.LIMITED,
        outcome_before=case.outcome,
        reason="terms_reported",
        decided_by=REPORTERS,
        decided_at_ms=now_ms,
        subject_revision=case.subject_revision,
    )
    return _with_effect(case, decision, now_ms)


def claimed(case: Case, moderator: str, now_ms: int) -> Case:
    """The moderator's alone for a while; again, and the while begins anew."""
    _must_wait(case)
    _must_be_free(case, moderator, now_ms)
    _must_be_second(case, moderator)
    return _changed(replace(case, claimed_by=moderator, claimed_until_ms=now_ms + LEASE_MS), now_ms)


def released(case: Case, moderator: str, now_ms: int) -> Case:
    """Anybody's again, before the while is over."""
    if case.claimed_by != moderator:
        raise Conflict("the case is not yours: only who claimed it can release it")
    return _changed(replace(case, **_UNCLAIMED), now_ms)


def decided(
    case: Case,
    moderator: str,
    outcome: Outcome,
    reason: str,
    note: str,
    decision_id: str,
    now_ms: int,
    *,
    stood: Stood | None = None,
) -> Case:
    """A person has looked. On appeal that is somebody who has not decided the case before. `stood` is what holds for
    the subject at the revision that was looked at.
    """
    _must_wait(case)
    _must_be_free(case, moderator, now_ms)
    _must_be_second(case, moderator)
    decision = Decision(
        decision_id=decision_id,
        instance=Instance.APPEAL if case.state is CaseState.APPEALED else Instance.FIRST,
        outcome=outcome,
        outcome_before=case.outcome,
        reason=reason,
        decided_by=moderator,
        decided_at_ms=now_ms,
        subject_revision=case.subject_revision,
        note=note,
        stood=stood,
    )
    return _with_effect(case, decision, now_ms)


def appealed(case: Case, text: str, now_ms: int, subject_revision: int = 0) -> Case:
    """The author says no, within the time and once: to a person's decision before a second one, to a program's before
    the first. `subject_revision` above 0 is the subject's by now, where appealing made one.
    """
    if case.appeal is not None:
        raise Conflict("this was appealed before: an appeal is decided once")
    standing = case.standing
    if standing is None or standing.outcome is Outcome.CLEAN:
        raise Conflict("nothing was decided against it that could be appealed")
    _must_be_carried_out(case)
    if now_ms - standing.decided_at_ms > APPEAL_WITHIN_MS:
        raise Conflict(
            f"the decision is older than {APPEAL_WITHIN_MS // 86_400_000} days: it cannot be appealed any more"
        )
    by_a_person = standing.instance is not Instance.AUTOMATED
    return _changed(
        replace(
            case,
            state=CaseState.APPEALED if by_a_person else CaseState.OPEN,
            origins=case.origins | Origin.APPEAL,
            appeal=Appeal(text, now_ms),
            subject_revision=subject_revision or case.subject_revision,
            **_UNCLAIMED,
        ),
        now_ms,
    )


def undone(case: Case, moderator: str, now_ms: int) -> Case:
    """The newest decision of a person is taken back: what held before holds again, and somebody is asked for anew."""
    _must_be_carried_out(case)
    standing = case.standing
    if case.waits or standing is None:
        raise Conflict("there is no decision to take back: the case waits for one")
    if standing.instance is Instance.AUTOMATED:
        raise Conflict("a program decided this: decide otherwise on appeal, there is nothing of a person to take back")
    if standing.instance is Instance.APPEAL and moderator in case.first_deciders:
        raise PermissionDenied(
            "you decided this case before its appeal: somebody else takes the appeal's decision back"
        )
    taken_back = replace(standing, undone_at_ms=now_ms)
    effect = None
    if not standing.gone:
        effect = Effect(
            standing.outcome_before, standing.revision_after, moderator, undo=True, restores=standing.stood
        )  # fmt: skip
    return _changed(
        replace(
            case,
            decisions=tuple(taken_back if d is standing else d for d in case.decisions),
            state=CaseState.APPEALED if standing.instance is Instance.APPEAL else CaseState.OPEN,
            outcome=standing.outcome_before,
            effect=effect,
        ),
        now_ms,
    )


def carried_out(case: Case, revision_after: int, now_ms: int) -> Case:
    """The subject is what was decided, by `revision_after`; 0 when it is gone."""
    effect = case.effect
    assert effect is not None
    decisions = case.decisions
    if not effect.undo and case.standing is not None:
        done = replace(case.standing, revision_after=revision_after, gone=revision_after == 0)
        decisions = tuple(done if d is case.standing else d for d in decisions)
    return _changed(
        replace(case, decisions=decisions, effect=None, subject_revision=revision_after or case.subject_revision),
        now_ms,
    )


def refused(case: Case, facts: SubjectFacts, now_ms: int) -> Case:
    """The subject changed before the decision reached it: nothing was decided, and what it is now is looked at. What
    was to be taken back stands; the case goes on being about what it was about, so that the change makes another one.
    """
    effect, newest = case.effect, None
    assert effect is not None
    if effect.undo:
        newest = max((d for d in case.decisions if d.undone_at_ms), key=lambda d: d.undone_at_ms)
        stands = replace(newest, undone_at_ms=0)
        return _changed(
            replace(
                case,
                decisions=tuple(stands if d is newest else d for d in case.decisions),
                state=CaseState.FINAL if newest.instance is Instance.APPEAL else CaseState.DECIDED,
                outcome=facts.outcome,
                effect=None,
            ),
            now_ms,
        )
    dropped = case.standing
    assert dropped is not None
    return _changed(
        replace(
            case,
            decisions=tuple(d for d in case.decisions if d is not dropped),
            state=CaseState.APPEALED if dropped.instance is Instance.APPEAL else CaseState.OPEN,
            outcome=facts.outcome,
            subject_revision=facts.revision,
            excerpt=facts.excerpt,
            effect=None,
        ),
        now_ms,
    )


def gone(case: Case, now_ms: int) -> Case:
    """Its author took it back: nobody needs to look."""
    return _changed(replace(case, state=CaseState.FINAL if case.appeal else CaseState.DECIDED, **_UNCLAIMED), now_ms)


def anonymised(case: Case, now_ms: int) -> Case:
    """What the law needs of a case without its person: that it was decided, when, how and why."""
    state = case.state
    if case.waits:
        state = CaseState.FINAL if state is CaseState.APPEALED else CaseState.DECIDED
    bare = tuple(replace(finding, evidence="") for finding in case.verdict.findings)
    return _changed(
        replace(
            case,
            subject=replace(case.subject, id=f"erased-{case.case_id}"),
            author_id="",
            excerpt="",
            state=state,
            verdict=replace(case.verdict, findings=bare),
            decisions=tuple(replace(decision, note="", stood=None) for decision in case.decisions),
            appeal=replace(case.appeal, text="") if case.appeal else None,
            effect=None,
            **_UNCLAIMED,
        ),
        now_ms,
    )


_UNCLAIMED = {"claimed_by": "", "claimed_until_ms": 0}


def _with_effect(case: Case, decision: Decision, now_ms: int) -> Case:
    by_a_person = decision.instance is not Instance.AUTOMATED
    states = {Instance.FIRST: CaseState.DECIDED, Instance.APPEAL: CaseState.FINAL}
    return _changed(
        replace(
            case,
            state=states.get(decision.instance, case.state),
            outcome=decision.outcome,
            decisions=(*case.decisions, decision),
            effect=Effect(decision.outcome, decision.subject_revision, decision.decided_by),
            **(_UNCLAIMED if by_a_person else {}),
        ),
        now_ms,
    )


def _changed(case: Case, now_ms: int, *, is_new: bool = False) -> Case:
    appeal_waits = case.waits and bool(case.origins & Origin.APPEAL)
    return replace(
        case,
        priority=priority_of(case.verdict.risk, case.reach, appealed=appeal_waits),
        changed_at_ms=now_ms,
        revision=case.revision if is_new else case.revision + 1,
    )


def _must_wait(case: Case) -> None:
    _must_be_carried_out(case)
    if not case.waits:
        raise Conflict(f"the case is {case.state.name.lower()}: read it again, and undo its decision to decide anew")


def _must_be_carried_out(case: Case) -> None:
    if case.effect is not None:
        raise Conflict("a decision of this case is being carried out: try again in a moment")


def _must_be_free(case: Case, moderator: str, now_ms: int) -> None:
    if case.claimed_by not in ("", moderator) and case.claimed_until_ms > now_ms:
        left_s = (case.claimed_until_ms - now_ms + 999) // 1000
        raise Conflict(
            f"another moderator works on this case: it is free in {left_s} s at the latest, take another one"
        )


def _must_be_second(case: Case, moderator: str) -> None:
    if case.state is CaseState.APPEALED and moderator in case.first_deciders:
        raise PermissionDenied("you decided this case before: an appeal is decided by somebody else")
