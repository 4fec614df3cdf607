"""What is an author told of a decision? The statement of reasons of Article 17 of the Digital Services Act.

It says what was decided and how far it reaches (3 a), on which facts, and whether a report was among them (3 b),
whether programs found or decided it (3 c), the legal ground (3 d) or the terms (3 e), and what can be done about it
(3 f). It names nobody who reported, and no moderator.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from feed.moderation.case_rules import APPEAL_WITHIN_MS
from feed.moderation.case_values import Case, CaseState, Decision, Instance, Origin
from feed.moderation.reasons import REASONS, Ground, Reason
from feed.verdict import Label, Outcome

_SCOPES = {
    Outcome.CLEAN: "It is shown without limits.",
    Outcome.LIMITED: "It is not recommended to anybody any more; who follows its address still sees it, everywhere.",
    Outcome.HELD: "You alone see it, everywhere, until a person has looked at it.",
    Outcome.REMOVED: "Nobody but you sees it any more, everywhere.",
}
_WHATS = {
    Outcome.CLEAN: "was found to be in order",
    Outcome.LIMITED: "was limited in its reach",
    Outcome.HELD: "is held back",
    Outcome.REMOVED: "was removed",
}


class Statement(msgspec.Struct, frozen=True):
    """The parts of a statement, and `text`, which is all of them as a letter. `appeal_until_ms` is 0 when no appeal to
    us is left.
    """

    case_id: str
    subject_kind: str
    subject_id: str
    decided_at_ms: int
    outcome: Outcome
    reason: str
    what: str
    scope: str
    duration: str
    facts: str
    automated: str
    ground: str
    redress: str
    appeal_until_ms: int
    text: str


def statement_of(case: Case, decision: Decision) -> Statement:
    """What the author is told of one decision of a case."""
    kind = case.subject.kind.name.lower()
    reason = REASONS[decision.reason]
    what = f"Your {kind} {case.subject.id} {_WHATS[decision.outcome]} on {_day(decision.decided_at_ms)}."
    duration = _duration(decision)
    facts, automated = _facts(case, decision), _automated(case, decision)
    ground = _ground(reason)
    appeal_until_ms = _appeal_until_ms(case, decision)
    redress = _redress(decision, appeal_until_ms)
    parts = [what, _SCOPES[decision.outcome], duration, ground, facts, automated, redress]
    return Statement(
        case_id=case.case_id,
        subject_kind=kind,
        subject_id=case.subject.id,
        decided_at_ms=decision.decided_at_ms,
        outcome=decision.outcome,
        reason=reason.code,
        what=what,
        scope=_SCOPES[decision.outcome],
        duration=duration,
        facts=facts,
        automated=automated,
        ground=ground,
        redress=redress,
        appeal_until_ms=appeal_until_ms,
        text="\n\n".join(part for part in parts if part),
    )


def _duration(decision: Decision) -> str:
    if decision.outcome is Outcome.CLEAN:
        return ""
    if decision.instance is Instance.AUTOMATED and decision.outcome is not Outcome.REMOVED:
        return "This holds until a person has looked at it."
    return "This holds until it is changed or a decision says otherwise."


def _facts(case: Case, decision: Decision) -> str:
    parts = []
    if decision.outcome is not Outcome.CLEAN:
        # How many reported is not for the author: of one, it might be guessed who.
        findings = [f for f in case.verdict.findings if f.evidence and f.label is not Label.REPORTED]
        parts += [f"In its {finding.where} this was found: “{finding.evidence}”." for finding in findings[:3]]
    if case.origins & Origin.REPORTS:
        parts.append("People reported it.")
    if case.origins & Origin.CHECKER:
        parts.append("We check everything that is posted, of our own accord; this check was part of it.")
    if case.appeal is not None and decision.decided_at_ms >= case.appeal.at_ms:
        parts.append("What you wrote in your appeal was read.")
    return " ".join(parts)


def _automated(case: Case, decision: Decision) -> str:
    if decision.instance is Instance.AUTOMATED:
        return "It was found and decided by programs; no person has looked at it yet."
    found = "found by programs" if case.origins & Origin.CHECKER else "not found by programs"
    return f"It was {found}; a person decided."


def _ground(reason: Reason) -> str:
    match reason.ground:
        case Ground.LAW:
            return f"We take it to be illegal: {reason.explanation}. The ground is {reason.rule}."
        case Ground.TERMS:
            return f"It breaks {reason.rule}; {reason.explanation}."
        case Ground.NONE:
            return f"The reason: {reason.explanation}."


def _appeal_until_ms(case: Case, decision: Decision) -> int:
    if decision.outcome is Outcome.CLEAN or case.appeal is not None or case.state is CaseState.FINAL:
        return 0
    return decision.decided_at_ms + APPEAL_WITHIN_MS


def _redress(decision: Decision, appeal_until_ms: int) -> str:
    if decision.outcome is Outcome.CLEAN:
        return ""
    ours = "Our own complaint procedure is at its end." if decision.instance is Instance.APPEAL else ""
    if appeal_until_ms:
        who = "a person" if decision.instance is Instance.AUTOMATED else "a person who has not decided this before"
        ours = f"You can appeal to us without charge until {_day(appeal_until_ms)}; {who} will decide."
    elif not ours:
        ours = "You have appealed; a person will decide."
    return f"{ours} You can also turn to a certified body for the settlement of disputes out of court, or to a court."


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")
