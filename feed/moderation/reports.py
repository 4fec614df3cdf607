"""What happens when somebody reports a post? It is kept once, weighed, and perhaps looked at, or limited meanwhile."""

from __future__ import annotations

import hashlib
import math
from typing import Final

import msgspec

from common.clock import Clock
from common.consent import Permission
from common.errors import FieldError, InvalidInput, NotFound
from common.ids import new_id
from feed.asking import session_errors
from feed.moderation.case_effects import CaseEffects
from feed.moderation.case_intake import CaseIntake
from feed.moderation.ports import AuthorReputation, ReporterTracks, ReportStore
from feed.moderation.report_values import Report, ReportReason
from feed.moderation.report_weight import CASE_AT, Weighed, limits, makes_case, weigh
from feed.moderation.subjects import Subject
from feed.post_rules import has_control_characters, is_id, shown
from feed.verdict import Finding, Label, Outcome, Verdict

MAX_TEXT_CHARS: Final = 500
MAX_A_DAY: Final = 50
# So many reports of one subject are weighed; what comes beyond says nothing new.
MAX_WEIGHED: Final = 200
_TOGETHER_WITHIN_MS: Final = 90 * 86_400_000
_DAY_MS: Final = 86_400_000


class ReportAsked(msgspec.Struct, frozen=True):
    """What a visitor says; `visitor_id` is empty unless `permissions` allow to remember."""

    tenant_id: str
    subject: Subject
    reason: int
    session_id: str
    permissions: Permission = Permission.NONE
    visitor_id: str = ""
    text: str = ""


class Reported(msgspec.Struct, frozen=True):
    """`taken` is False when this reporter has reported the subject before."""

    taken: bool
    case_made: bool = False
    limited: bool = False


class Reports:
    """The use cases; all of them block."""

    def __init__(
        self,
        *,
        store: ReportStore,
        intake: CaseIntake,
        effects: CaseEffects,
        tracks: ReporterTracks,
        authors: AuthorReputation,
        clock: Clock,
    ) -> None:
        self._store = store
        self._intake = intake
        self._effects = effects
        self._tracks = tracks
        self._authors = authors
        self._clock = clock

    def report(self, asked: ReportAsked) -> Reported:
        """Take a report. InvalidInput names every field; NotFound when there is no such subject."""
        now_ms = self._clock.now_ms()
        if errors := _errors(asked):
            raise InvalidInput(errors)
        facts = self._effects.keeper(asked.subject).facts(asked.tenant_id, asked.subject)
        if facts is None:
            raise NotFound(f"there is no {asked.subject.kind.name.lower()} {shown(asked.subject.id)}")
        reporter, remembered = reporter_of(asked)
        if self._store.count_since(asked.tenant_id, reporter, now_ms - _DAY_MS) >= MAX_A_DAY:
            remedy = "report again tomorrow: so many from one are not read any better"
            raise InvalidInput([FieldError("reports", f"more than {MAX_A_DAY} within a day", remedy)])
        fresh = Report(
            tenant_id=asked.tenant_id,
            report_id=new_id(now_ms),
            subject=asked.subject,
            subject_revision=facts.revision,
            reporter=reporter,
            remembered=remembered,
            reason=ReportReason(asked.reason),
            text=asked.text.strip(),
            at_ms=now_ms,
        )
        if not self._store.add(fresh):
            return Reported(taken=False)
        weighed = self._weighed(asked.tenant_id, asked.subject, now_ms)
        if not makes_case(weighed):
            return Reported(taken=True)
        limit = facts.outcome is Outcome.CLEAN and limits(
            weighed, self._authors.reputation(asked.tenant_id, facts.author_id)
        )
        case = self._intake.people_reported(
            asked.tenant_id, asked.subject, facts, verdict_of(weighed), weighed.reports, limit=limit
        )
        return Reported(taken=True, case_made=True, limited=case is not None and case.outcome is Outcome.LIMITED)

    def _weighed(self, tenant_id: str, subject: Subject, now_ms: int) -> Weighed:
        reports = self._store.open_of(tenant_id, subject, MAX_WEIGHED)
        reporters = [report.reporter for report in reports]
        tracks = dict(zip(reporters, self._tracks.tracks(tenant_id, reporters, now_ms), strict=True))
        others = self._store.subjects_of(tenant_id, reporters, now_ms - _TOGETHER_WITHIN_MS)
        return weigh(reports, tracks, {reporter: subjects - {subject} for reporter, subjects in others.items()})


def reporter_of(asked: ReportAsked) -> tuple[str, bool]:
    """(a digest that names nobody, whether it stands for a remembered visitor)."""
    if asked.visitor_id and Permission.REMEMBER in asked.permissions:
        return digest_of(asked.tenant_id, "visitor", asked.visitor_id), True
    return digest_of(asked.tenant_id, "session", asked.session_id), False


def digest_of(tenant_id: str, kind: str, id_: str) -> str:
    """32 hexadecimal digits by which a reporter is known within one tenant."""
    return hashlib.blake2b(f"{tenant_id}\0{kind}\0{id_}".encode(), digest_size=16).hexdigest()


def verdict_of(weighed: Weighed) -> Verdict:
    """What people said, in the words of the checker."""
    said = f"{weighed.reports} reports of {weighed.voices} voices"
    finding = Finding(Label.REPORTED, weighed.risk, 1.0 - math.exp(-CASE_AT), "whole", said)
    return Verdict(Outcome.CLEAN, weighed.risk, (finding,), "reports-1")


def _errors(asked: ReportAsked) -> list[FieldError]:
    errors = []
    if not is_id(asked.subject.id):
        errors.append(FieldError("subject.id", shown(asked.subject.id), "give the id of what is reported"))
    if asked.reason not in ReportReason.__members__.values():
        errors.append(FieldError("reason", str(asked.reason), "give one of the reasons of ReportReason"))
    errors += session_errors(asked.session_id)
    if len(asked.text) > MAX_TEXT_CHARS:
        errors.append(FieldError("text", f"has {len(asked.text)} characters", f"give at most {MAX_TEXT_CHARS}"))
    elif has_control_characters(asked.text, allowed="\n"):
        errors.append(FieldError("text", shown(asked.text), "leave out control characters"))
    return errors
