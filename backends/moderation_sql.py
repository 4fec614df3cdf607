"""How are cases and their audit trail kept in SQL? CaseStore on any engine that SQLAlchemy knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, bindparam, func, insert, or_, select, update

from backends import outbox_sql
from backends.idempotency_sql import first_time
from backends.sql import in_turn, reading, writing
from backends.sql_tables_campaigns import IDEMPOTENCY
from backends.sql_tables_moderation import CASES, TRAIL
from common.errors import Conflict
from feed.moderation.audit import AuditEntry, chained
from feed.moderation.case_values import WAITING, Appeal, Case, CaseState, Decision, Effect, Instance, Origin
from feed.moderation.ports import CaseWrite, Once, QueueFigures
from feed.moderation.queue import Place, QueueFilter
from feed.moderation.subjects import Subject, SubjectKind
from feed.verdict import Outcome, Verdict
from streams.topics import MODERATION

_STATES = [int(state) for state in WAITING]

_CASE = select(CASES).where(CASES.c.tenant_id == bindparam("tenant"), CASES.c.case_id == bindparam("case"))
_WAITING = select(CASES).where(CASES.c.waiting_for == bindparam("waiting_for"))
_OF_SUBJECT = (
    CASES.c.tenant_id == bindparam("tenant"),
    CASES.c.subject_kind == bindparam("kind"),
    CASES.c.subject_id == bindparam("subject"),
)
_NEWEST = select(CASES).where(*_OF_SUBJECT).order_by(CASES.c.number.desc()).limit(1)


class _Content(msgspec.Struct, frozen=True):
    """The columns of a case that nothing is searched by."""

    excerpt: str
    subject_revision: int
    verdict: Verdict
    reports: int
    decisions: tuple[Decision, ...]
    appeal: Appeal | None
    effect: Effect | None


_CONTENT = msgspec.json.Decoder(_Content)


class SqlCaseStore:
    """CaseStore over an engine of backends.sql. May be used from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def case(self, tenant_id: str, case_id: str) -> Case | None:
        """The tenant's case."""
        return self._first(_CASE, {"tenant": tenant_id, "case": case_id})

    def waiting_case_of(self, tenant_id: str, subject: Subject) -> Case | None:
        """The case of a subject that waits."""
        return self._first(_WAITING, {"waiting_for": _waiting_for(tenant_id, subject)})

    def newest_case_of(self, tenant_id: str, subject: Subject) -> Case | None:
        """The newest case of a subject."""
        return self._first(_NEWEST, {"tenant": tenant_id, "kind": int(subject.kind), "subject": subject.id})

    def was_done(self, tenant_id: str, once: Once) -> bool:
        """Was this write done before?"""
        of = IDEMPOTENCY.c
        query = select(of.method, of.request_sha256).where(of.tenant_id == tenant_id, of.idempotency_key == once.key)
        with reading(self._engine) as connection:
            before = connection.execute(query).first()
        if before is not None and tuple(before) != (once.method, once.digest):
            raise Conflict(f"idempotency key {once.key!r} was used for another request: give every write its own")
        return before is not None

    def save(self, writes: Sequence[CaseWrite]) -> None:
        """Store all or nothing."""
        with writing(self._engine) as connection:
            for write in writes:
                case, once = write.case, write.once
                at_ms = case.changed_at_ms
                if once is not None and not first_time(
                    connection, case.tenant_id, once.key, once.method, once.digest, at_ms
                ):
                    raise Conflict("this write is being done at this moment: read the case again")
                # The trail is counted without a gap and chained: one tenant's entries come one after another.
                in_turn(connection, "moderation trail", case.tenant_id)
                before = _stored(connection, case.case_id)
                if (before.revision if before else 0) != write.expected_revision:
                    raise Conflict("the case changed meanwhile: read it again")
                if before is None:
                    _refuse_a_second(connection, write)
                    connection.execute(insert(CASES), [_row(case)])
                else:
                    connection.execute(update(CASES).where(CASES.c.case_id == case.case_id).values(_row(case)))
                _append(connection, write.entry)
                if write.holds is not None:
                    outbox_sql.append(connection, MODERATION.name, [_event(case, write.holds)], at_ms)

    def note(self, entry: AuditEntry, once: Once) -> None:
        """Add a line that is about no case."""
        with writing(self._engine) as connection:
            if first_time(connection, entry.tenant_id, once.key, once.method, once.digest, entry.at_ms):
                _append(connection, entry)

    def queue(self, tenant_id: str, wanted: QueueFilter, after: Place | None, limit: int) -> list[Case]:
        """Cases beyond a place, highest priority first, of equal ones the older."""
        of = CASES.c
        query = select(CASES).where(of.tenant_id == tenant_id, *_conditions(wanted))
        if after is not None:
            beyond = and_(of.priority == after.priority, of.number > after.number)
            query = query.where(or_(of.priority < after.priority, beyond))
        return self._cases(query.order_by(of.priority.desc(), of.number).limit(limit))

    def unfinished(self, limit: int) -> list[Case]:
        """Cases whose decisions are still to be carried out, oldest first."""
        return self._cases(
            select(CASES).where(CASES.c.unfinished.is_(True)).order_by(CASES.c.changed_at_ms).limit(limit)
        )

    def waiting(self, after_number: int, limit: int) -> list[Case]:
        """Cases of all tenants that wait, by number."""
        of = CASES.c
        query = select(CASES).where(of.state.in_(_STATES), of.number > after_number)
        return self._cases(query.order_by(of.number).limit(limit))

    def set_reach(self, case: Case, reach: float, priority: int) -> None:
        """How far it would go by now."""
        same = (CASES.c.case_id == case.case_id) & (CASES.c.revision == case.revision)
        with writing(self._engine) as connection:
            connection.execute(update(CASES).where(same).values(reach=reach, priority=priority))

    def trail(self, tenant_id: str, case_id: str, after_position: int, limit: int) -> list[AuditEntry]:
        """The tenant's lines, oldest first."""
        query = select(TRAIL).where(TRAIL.c.tenant_id == tenant_id, TRAIL.c.position > after_position)
        if case_id:
            query = query.where(TRAIL.c.case_id == case_id)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(TRAIL.c.position).limit(limit)).mappings()
            return [AuditEntry(**{name: row[name] for name in AuditEntry.__struct_fields__}) for row in rows]

    def figures(self, tenant_id: str, now_ms: int) -> QueueFigures:
        """Of one tenant, or of all."""
        of = CASES.c
        waits = of.state.in_(_STATES)

        def count(*conditions: ColumnElement[bool]) -> Any:
            return func.count().filter(*conditions)

        query = select(
            count(waits),
            count(of.state == int(CaseState.APPEALED)),
            count(waits, of.claimed_by != "", of.claimed_until_ms > now_ms),
            func.coalesce(func.min(of.opened_at_ms).filter(waits), 0),
            count(of.first_deciders != ""),
            count(of.appeal_decided.is_(True)),
            count(of.overturned.is_(True)),
            func.coalesce(func.sum(of.undone), 0),
        ).select_from(CASES)
        if tenant_id:
            query = query.where(of.tenant_id == tenant_id)
        with reading(self._engine) as connection:
            return QueueFigures(*connection.execute(query).one())

    def cases_of(self, tenant_id: str, author_id: str) -> list[Case]:
        """All cases of an author."""
        return self._cases(select(CASES).where(CASES.c.tenant_id == tenant_id, CASES.c.author_id == author_id))

    def _first(self, query: Any, asked: dict[str, Any]) -> Case | None:
        with reading(self._engine) as connection:
            row = connection.execute(query, asked).first()
        return None if row is None else _case(row)

    def _cases(self, query: Any) -> list[Case]:
        with reading(self._engine) as connection:
            return [_case(row) for row in connection.execute(query)]


def _refuse_a_second(connection: Connection, write: CaseWrite) -> None:
    """Another node may have made a case of the same subject since it was looked for."""
    if write.newest_id is None:
        return
    of, case = CASES.c, write.case
    own = (of.tenant_id == case.tenant_id, of.subject_kind == int(case.subject.kind), of.subject_id == case.subject.id)
    newest = connection.execute(select(of.case_id).where(*own).order_by(of.number.desc()).limit(1)).scalar() or ""
    if newest != write.newest_id:
        raise Conflict("a case of this subject was made meanwhile: read it")


def _conditions(wanted: QueueFilter) -> list[ColumnElement[bool]]:
    of = CASES.c
    found: list[ColumnElement[bool]] = [of.state.in_([int(state) for state in wanted.states])]
    if wanted.origin is not None:
        found.append(of.origins.bitwise_and(int(wanted.origin)) != 0)
    if wanted.kind is not None:
        found.append(of.subject_kind == int(wanted.kind))
    if wanted.label is not None:
        found.append(of.labels.contains(f" {wanted.label.value} ", autoescape=True))
    if wanted.author_id:
        found.append(of.author_id == wanted.author_id)
    if wanted.min_risk > 0:
        found.append(of.risk >= wanted.min_risk)
    if wanted.unclaimed_at_ms:
        found.append(
            or_(
                of.claimed_by == "",
                of.claimed_by == wanted.claimed_by,
                of.claimed_until_ms <= wanted.unclaimed_at_ms,
            )
        )
    if wanted.decidable_by:
        decided_it = of.first_deciders.contains(f" {wanted.decidable_by} ", autoescape=True)
        found.append(or_(of.state != int(CaseState.APPEALED), ~decided_it))
    return found


def _stored(connection: Connection, case_id: str) -> Case | None:
    row = connection.execute(select(CASES).where(CASES.c.case_id == case_id)).first()
    return None if row is None else _case(row)


def _append(connection: Connection, entry: AuditEntry) -> None:
    of = TRAIL.c
    newest = connection.execute(
        select(of.position, of.digest).where(of.tenant_id == entry.tenant_id).order_by(of.position.desc()).limit(1)
    ).first()
    position, digest = newest if newest is not None else (0, "")
    connection.execute(insert(TRAIL), [msgspec.structs.asdict(chained(entry, position + 1, digest))])


def _event(case: Case, decision: Decision) -> dict[str, Any]:
    return {
        "decided_at_ms": case.changed_at_ms,
        "tenant_id": case.tenant_id,
        "case_id": case.case_id,
        "subject_kind": int(case.subject.kind),
        "subject_id": case.subject.id,
        "outcome": int(case.outcome),
        "reason": decision.reason,
        "instance": int(decision.instance),
        "undone": decision.undone_at_ms > 0,
        "subject_revision": case.subject_revision,
    }


def _row(case: Case) -> dict[str, Any]:
    content = _Content(
        case.excerpt, case.subject_revision, case.verdict, case.reports, case.decisions, case.appeal, case.effect
    )
    first = next((d for d in reversed(case.decisions) if d.instance is Instance.FIRST and not d.undone_at_ms), None)
    on_appeal = case.standing if case.state is CaseState.FINAL else None
    appeal_decided = on_appeal is not None and on_appeal.instance is Instance.APPEAL
    open_ = case.waits or case.effect is not None
    return {
        "case_id": case.case_id,
        "tenant_id": case.tenant_id,
        "subject_kind": int(case.subject.kind),
        "subject_id": case.subject.id,
        "author_id": case.author_id,
        "waiting_for": _waiting_for(case.tenant_id, case.subject) if open_ else None,
        "state": int(case.state),
        "origins": int(case.origins),
        "outcome": int(case.outcome),
        "risk": case.verdict.risk,
        "reach": case.reach,
        "priority": case.priority,
        "labels": _spaced({finding.label.value for finding in case.verdict.findings}),
        "opened_at_ms": case.opened_at_ms,
        "changed_at_ms": case.changed_at_ms,
        "claimed_by": case.claimed_by,
        "claimed_until_ms": case.claimed_until_ms,
        "first_deciders": _spaced(case.first_deciders),
        "unfinished": case.effect is not None,
        "appeal_decided": appeal_decided,
        "overturned": bool(appeal_decided and first and on_appeal and on_appeal.outcome is not first.outcome),
        "undone": sum(1 for d in case.decisions if d.undone_at_ms),
        "revision": case.revision,
        "content": msgspec.json.encode(content).decode(),
    }


def _case(row: Row[Any]) -> Case:
    content = _CONTENT.decode(row.content)
    return Case(
        tenant_id=row.tenant_id,
        case_id=row.case_id,
        subject=Subject(SubjectKind(row.subject_kind), row.subject_id),
        author_id=row.author_id,
        excerpt=content.excerpt,
        subject_revision=content.subject_revision,
        state=CaseState(row.state),
        origins=Origin(row.origins),
        outcome=Outcome(row.outcome),
        verdict=content.verdict,
        reach=row.reach,
        priority=row.priority,
        opened_at_ms=row.opened_at_ms,
        changed_at_ms=row.changed_at_ms,
        reports=content.reports,
        claimed_by=row.claimed_by,
        claimed_until_ms=row.claimed_until_ms,
        decisions=content.decisions,
        appeal=content.appeal,
        effect=content.effect,
        revision=row.revision,
        number=row.number,
    )


def _spaced(words: Sequence[str] | set[str] | frozenset[str]) -> str:
    return f" {' '.join(sorted(words))} " if words else ""


def _waiting_for(tenant_id: str, subject: Subject) -> str:
    return f"{tenant_id}/{int(subject.kind)}/{subject.id}"
