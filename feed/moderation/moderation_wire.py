"""How do cases, statements and reputations travel? Our own values to messages, and what is asked to our own values."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from common.errors import FieldError
from feed.moderation.audit import AuditEntry
from feed.moderation.case_asking import DecisionAsked
from feed.moderation.case_values import WAITING, Case, CaseState, Origin
from feed.moderation.check_ports import ImageBan
from feed.moderation.ports import QueueFigures
from feed.moderation.previews import Preview
from feed.moderation.queue import QueueFilter
from feed.moderation.report_values import Report
from feed.moderation.statement import Statement
from feed.moderation.subjects import Subject, SubjectKind
from feed.post_rules import shown
from feed.reputation.reputations import Explanation
from feed.reputation.standing import THRESHOLDS
from feed.verdict import Label, Outcome
from protos import moderation_pb2 as pb

# On the wire 0 says that nothing was said.
_OUTCOME_ON_WIRE = {outcome: pb.Outcome.ValueType(int(outcome) + 1) for outcome in Outcome}


def case_message(case: Case, previews: Sequence[Preview] = ()) -> pb.Case:
    """A case, for moderators; `previews` are of its media that nobody else may see."""
    return pb.Case(
        case_id=case.case_id,
        subject=subject_message(case.subject),
        author_id=case.author_id,
        excerpt=case.excerpt,
        subject_revision=case.subject_revision,
        state=pb.Case.State.ValueType(case.state),
        origins=[pb.Origin.ValueType(origin) for origin in Origin if origin in case.origins],
        outcome=_OUTCOME_ON_WIRE[case.outcome],
        risk=case.verdict.risk,
        reach=case.reach,
        priority=case.priority,
        reports=case.reports,
        findings=[
            pb.Finding(
                label=finding.label.value,
                probability=finding.probability,
                threshold=finding.threshold,
                where=finding.where,
                evidence=finding.evidence,
            )
            for finding in case.verdict.findings
        ],
        opened_at_ms=case.opened_at_ms,
        changed_at_ms=case.changed_at_ms,
        claimed_by=case.claimed_by,
        claimed_until_ms=case.claimed_until_ms,
        decisions=[
            pb.Decision(
                decision_id=decision.decision_id,
                instance=int(decision.instance),
                outcome=_OUTCOME_ON_WIRE[decision.outcome],
                outcome_before=_OUTCOME_ON_WIRE[decision.outcome_before],
                reason=decision.reason,
                decided_by=decision.decided_by,
                decided_at_ms=decision.decided_at_ms,
                note=decision.note,
                undone_at_ms=decision.undone_at_ms,
            )
            for decision in case.decisions
        ],
        appeal_text=case.appeal.text if case.appeal else "",
        revision=case.revision,
        previews=[
            pb.MediaPreview(
                media_id=preview.media_id,
                content_type=preview.content_type,
                url=preview.url,
                expires_at_ms=preview.expires_at_ms,
            )
            for preview in previews
        ],
    )


def appealed_message(case: Case) -> pb.Case:
    """A case, for its author: no moderator, no report, no note."""
    return pb.Case(
        case_id=case.case_id,
        subject=subject_message(case.subject),
        author_id=case.author_id,
        state=pb.Case.State.ValueType(case.state),
        outcome=_OUTCOME_ON_WIRE[case.outcome],
        appeal_text=case.appeal.text if case.appeal else "",
        revision=case.revision,
    )


def subject_message(subject: Subject) -> pb.Subject:
    """A subject."""
    return pb.Subject(kind=pb.SubjectKind.ValueType(subject.kind), id=subject.id)


def report_message(report: Report) -> pb.Report:
    """A report, without who made it."""
    return pb.Report(
        reason=pb.ReportReason.ValueType(report.reason),
        text=report.text,
        reported_at_ms=report.at_ms,
        judged=int(report.judged),
    )


def entry_message(entry: AuditEntry) -> pb.TrailEntry:
    """A line of the audit trail."""
    return pb.TrailEntry(
        position=entry.position,
        case_id=entry.case_id,
        at_ms=entry.at_ms,
        actor=entry.actor,
        action=entry.action,
        before_json=entry.before,
        after_json=entry.after,
        reason=entry.reason,
        note=entry.note,
        digest=entry.digest,
    )


def ban_message(ban: ImageBan) -> pb.ImageBan:
    """A banned picture."""
    return pb.ImageBan(
        image_hash=ban.image_hash, reason=ban.reason, banned_by=ban.banned_by, banned_at_ms=ban.banned_at_ms
    )


def statement_message(statement: Statement) -> pb.Statement:
    """A statement of reasons."""
    fields = msgspec.structs.asdict(statement)
    kind = SubjectKind[fields.pop("subject_kind").upper()]
    subject = subject_message(Subject(kind, fields.pop("subject_id")))
    return pb.Statement(**fields | {"subject": subject, "outcome": _OUTCOME_ON_WIRE[statement.outcome]})


def figures_message(figures: QueueFigures, now_ms: int) -> pb.QueueFigures:
    """How the queue is."""
    fields = msgspec.structs.asdict(figures)
    oldest_at_ms = fields.pop("oldest_at_ms")
    return pb.QueueFigures(**fields, oldest_age_s=max(now_ms - oldest_at_ms, 0) / 1000 if oldest_at_ms else 0.0)


def reputation_message(creator_id: str, explained: Explanation) -> pb.Reputation:
    """A reputation with all that it rests on."""
    standing = explained.standing
    return pb.Reputation(
        creator_id=creator_id,
        reputation=standing.reputation,
        evidence=standing.evidence,
        trust=standing.trust,
        purchasers=explained.purchasers,
        value=standing.value,
        reach=standing.reach,
        posts_a_day=standing.posts_a_day,
        tier=pb.Tier.ValueType(standing.tier),
        good=explained.good,
        bad=explained.bad,
        events=[
            pb.ReputationEvent(
                kind=one.event.kind.value,
                at_ms=one.event.at_ms,
                subject_id=one.event.subject_id,
                good=one.good,
                bad=one.bad,
                meaning=one.meaning,
            )
            for one in explained.events
        ],
        earlier_good=explained.earlier_good,
        earlier_bad=explained.earlier_bad,
        thresholds=[
            pb.TierThreshold(
                tier=pb.Tier.ValueType(threshold.tier),
                reputation=threshold.reputation,
                evidence=threshold.evidence,
                trust=threshold.trust,
            )
            for threshold in THRESHOLDS
        ],
    )


def asked_subject(subject: pb.Subject, errors: list[FieldError]) -> Subject:
    """The subject that a request names."""
    return Subject(asked_kind(subject.kind, errors) or SubjectKind.POST, subject.id)


def asked_kind(kind: int, errors: list[FieldError], *, required: bool = True) -> SubjectKind | None:
    """A kind; None where it is not required and not given."""
    if kind == 0 and not required:
        return None
    if kind not in SubjectKind.__members__.values():
        errors.append(FieldError("subject.kind", f"is {kind}", "give one of SubjectKind"))
        return None
    return SubjectKind(kind)


def asked_filter(
    request: pb.ListCasesRequest | pb.ClaimCasesRequest, errors: list[FieldError], now_ms: int, moderator: str
) -> QueueFilter:
    """The part of the queue that a request names."""
    kind = asked_kind(request.kind, errors, required=False)
    label = None
    if request.label:
        try:
            label = Label(request.label)
        except ValueError:
            remedy = f"give one of {', '.join(known.value for known in Label)}"
            errors.append(FieldError("label", shown(request.label), remedy))
    origin = None
    if request.origin:
        if request.origin in [int(known) for known in Origin]:
            origin = Origin(request.origin)
        else:
            errors.append(FieldError("origin", f"is {request.origin}", "give one of Origin"))
    if isinstance(request, pb.ClaimCasesRequest):
        return QueueFilter(origin=origin, kind=kind, label=label)
    states = []
    for at, state in enumerate(request.states):
        if int(state) in [int(known) for known in CaseState]:
            states.append(CaseState(state))
        else:
            errors.append(FieldError(f"states[{at}]", f"is {state}", "give one of Case.State"))
    return QueueFilter(
        states=tuple(states) or tuple(sorted(WAITING)),
        origin=origin,
        kind=kind,
        label=label,
        author_id=request.author_id,
        min_risk=request.min_risk,
        claimed_by=moderator if request.unclaimed else "",
        unclaimed_at_ms=now_ms if request.unclaimed else 0,
    )


def asked_decision(decision: pb.DecisionAsked, field: str, errors: list[FieldError]) -> DecisionAsked:
    """A decision that a request asks for."""
    outcome = next((ours for ours, wire in _OUTCOME_ON_WIRE.items() if wire == decision.outcome), None)
    if outcome is None:
        errors.append(FieldError(f"{field}.outcome", f"is {decision.outcome}", "give clean, limited or removed"))
    return DecisionAsked(
        decision.case_id, outcome or Outcome.CLEAN, decision.reason, decision.note, decision.expected_revision
    )
