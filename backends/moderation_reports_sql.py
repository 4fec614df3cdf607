"""How are reports kept in SQL? ReportStore on any engine that SQLAlchemy knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, delete, func, insert, or_, select, update

from backends.sql import chunks, reading, writing
from backends.sql_tables_moderation import REPORTS
from common.errors import Conflict
from feed.moderation.case_values import Case
from feed.moderation.report_values import Judgement, Report, ReportReason
from feed.moderation.subjects import Subject, SubjectKind

# Of one reporter so many subjects are remembered for the question who reports together.
_MOST_SUBJECTS = 50


class SqlReportStore:
    """ReportStore over an engine of backends.sql. May be used from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, report: Report) -> bool:
        """Store it, once a reporter and subject."""
        of = REPORTS.c
        row = {
            "report_id": report.report_id,
            "tenant_id": report.tenant_id,
            "subject_kind": int(report.subject.kind),
            "subject_id": report.subject.id,
            "subject_revision": report.subject_revision,
            "reporter": report.reporter,
            "remembered": report.remembered,
            "reason": int(report.reason),
            "text": report.text,
            "at_ms": report.at_ms,
            "judged": int(report.judged),
            "judged_by_case": "",
        }
        try:
            with writing(self._engine) as connection:
                before = select(of.number).where(
                    *_about(report.tenant_id, report.subject), of.reporter == report.reporter
                )
                if connection.execute(before).first() is not None:
                    return False
                connection.execute(insert(REPORTS), [row])
        except Conflict:
            # On an engine where two may write at once, the other one was faster.
            return False
        return True

    def count_since(self, tenant_id: str, reporter: str, since_ms: int) -> int:
        """How many subjects a reporter has reported since."""
        of = REPORTS.c
        query = select(func.count()).where(of.tenant_id == tenant_id, of.reporter == reporter, of.at_ms >= since_ms)
        with reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())

    def open_of(self, tenant_id: str, subject: Subject, limit: int) -> list[Report]:
        """Reports that no decision has judged, oldest first."""
        not_judged = REPORTS.c.judged == int(Judgement.OPEN)
        query = select(REPORTS).where(*_about(tenant_id, subject), not_judged)
        return self._reports(query.order_by(REPORTS.c.number).limit(limit))

    def of_subject(self, tenant_id: str, subject: Subject, limit: int) -> list[Report]:
        """All reports of a subject, newest first."""
        query = select(REPORTS).where(*_about(tenant_id, subject))
        return self._reports(query.order_by(REPORTS.c.number.desc()).limit(limit))

    def subjects_of(self, tenant_id: str, reporters: Sequence[str], since_ms: int) -> dict[str, frozenset[Subject]]:
        """What each has reported since, without what was upheld; the newest of them."""
        of = REPORTS.c
        found: dict[str, list[Subject]] = {}
        with reading(self._engine) as connection:
            for some in chunks(dict.fromkeys(reporters)):
                query = (
                    select(of.reporter, of.subject_kind, of.subject_id)
                    .where(
                        of.tenant_id == tenant_id,
                        of.reporter.in_(some),
                        of.at_ms >= since_ms,
                        of.judged != int(Judgement.UPHELD),
                    )
                    .order_by(of.number.desc())
                )
                for reporter, kind, id_ in connection.execute(query):
                    subjects = found.setdefault(reporter, [])
                    if len(subjects) < _MOST_SUBJECTS:
                        subjects.append(Subject(SubjectKind(kind), id_))
        return {reporter: frozenset(subjects) for reporter, subjects in found.items()}

    def judge(self, case: Case, revision: int, *, upheld: bool) -> list[str]:
        """What the case's newest decision makes of the reports."""
        of = REPORTS.c
        judged = Judgement.UPHELD if upheld else Judgement.REJECTED
        its_own = (
            *_about(case.tenant_id, case.subject),
            of.subject_revision <= revision,
            or_(of.judged == int(Judgement.OPEN), of.judged_by_case == case.case_id),
        )
        with writing(self._engine) as connection:
            connection.execute(update(REPORTS).where(*its_own).values(judged=int(judged), judged_by_case=case.case_id))
            who = select(of.reporter).where(*_about(case.tenant_id, case.subject), of.judged_by_case == case.case_id)
            return list(connection.execute(who.order_by(of.number)).scalars())

    def unjudge(self, case: Case) -> None:
        """They are open again."""
        its_own = (*_about(case.tenant_id, case.subject), REPORTS.c.judged_by_case == case.case_id)
        with writing(self._engine) as connection:
            connection.execute(update(REPORTS).where(*its_own).values(judged=int(Judgement.OPEN), judged_by_case=""))

    def forget_reporter(self, tenant_id: str, reporter: str) -> int:
        """Drop a person's reports."""
        return self._drop(REPORTS.c.tenant_id == tenant_id, REPORTS.c.reporter == reporter)

    def forget_subject(self, tenant_id: str, subject: Subject) -> int:
        """Drop the reports of a subject."""
        return self._drop(*_about(tenant_id, subject))

    def _drop(self, *conditions: ColumnElement[bool]) -> int:
        with writing(self._engine) as connection:
            return connection.execute(delete(REPORTS).where(*conditions)).rowcount

    def _reports(self, query: Any) -> list[Report]:
        with reading(self._engine) as connection:
            return [_report(row) for row in connection.execute(query)]


def _about(tenant_id: str, subject: Subject) -> tuple[ColumnElement[bool], ...]:
    of = REPORTS.c
    return of.tenant_id == tenant_id, of.subject_kind == int(subject.kind), of.subject_id == subject.id


def _report(row: Row[Any]) -> Report:
    return Report(
        tenant_id=row.tenant_id,
        report_id=row.report_id,
        subject=Subject(SubjectKind(row.subject_kind), row.subject_id),
        subject_revision=row.subject_revision,
        reporter=row.reporter,
        remembered=row.remembered,
        reason=ReportReason(row.reason),
        text=row.text,
        at_ms=row.at_ms,
        judged=Judgement(row.judged),
    )
