"""A desk to moderate at: cases over the embedded store, and posts that are what moderation knows of them."""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Sequence
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import msgspec
from sqlalchemy import Engine, select

from accounts.ports import Caller, Tenant
from backends.accounts_sql import SqlAccountStore
from backends.image_bans_sql import SqlImageBans
from backends.media_sql import SqlMediaRecords
from backends.moderation_reports_sql import SqlReportStore
from backends.moderation_sql import SqlCaseStore
from backends.reputation_sql import SqlReputationStore
from backends.sales_sql import SqlSaleStore
from backends.sql_tables_outbox import OUTBOX
from common.clock import SteppedClock
from common.consent import Permission
from common.errors import Conflict, NotFound
from feed.moderation.bans import Bans
from feed.moderation.case_asking import DecisionAsked, ModeratorWrite
from feed.moderation.case_effects import CaseEffects
from feed.moderation.case_intake import CaseIntake
from feed.moderation.case_values import Case, Stood
from feed.moderation.cases import Cases
from feed.moderation.erasure import ModerationErasure
from feed.moderation.pictures import KnownPictures
from feed.moderation.report_values import ReportReason
from feed.moderation.reports import ReportAsked, Reported, Reports
from feed.moderation.subjects import Subject, SubjectFacts, SubjectKind
from feed.reputation.book import ReputationBook
from feed.reputation.reputations import Reputations
from feed.verdict import Finding, Label, Outcome, Verdict
from tests.databases import database_url, open_database

TENANT = "a" * 32
OTHER_TENANT = "b" * 32


class Desk:
    """Everything that moderation is made of. `posts` are the subjects, `views` what each is expected to be seen."""

    def __init__(self, folder: Path) -> None:
        self.clock = SteppedClock()
        self.engine = _with_tenants(folder)
        self.posts = SomePosts()
        self.views: dict[str, float] = {}
        self.store = SqlCaseStore(self.engine)
        self.report_store = SqlReportStore(self.engine)
        self.reputation_store = SqlReputationStore(self.engine, portion=3)
        self.book = ReputationBook()
        self.reputations = Reputations(store=self.reputation_store, book=self.book, clock=self.clock)
        self.effects = CaseEffects(
            store=self.store,
            reports=self.report_store,
            moderated={SubjectKind.POST: self.posts},
            consequences=self.reputations,
            clock=self.clock,
        )
        reach = SomeReach(self.views)
        self.intake = CaseIntake(store=self.store, reach=reach, effects=self.effects, clock=self.clock)
        self.cases = Cases(
            store=self.store, reports=self.report_store, effects=self.effects, reach=reach, clock=self.clock
        )
        self.reports = Reports(
            store=self.report_store,
            intake=self.intake,
            effects=self.effects,
            tracks=self.reputations,
            authors=self.book,
            clock=self.clock,
        )
        self.pictures = KnownPictures()
        self.bans = Bans(
            store=SqlImageBans(self.engine), trail=self.store, known=self.pictures,
            media=MediaOfRecord(SqlMediaRecords(self.engine)), intake=self.intake, clock=self.clock,
        )  # fmt: skip
        self.erasure = ModerationErasure(
            cases=self.store,
            reports=self.report_store,
            reputations=self.reputation_store,
            sales=SqlSaleStore(self.engine),
            clock=self.clock,
        )
        self._keys = count(1)

    def write(self, who: str = "ann", *, tenant: str = TENANT, key: str = "") -> ModeratorWrite:
        """A write of a moderator."""
        return ModeratorWrite(Caller(tenant, "moderator", who), tenant, key or f"key-{next(self._keys)}")

    def found(
        self, name: str, *, outcome: Outcome = Outcome.HELD, risk: float = 0.5, views: float = 0.0,
        label: Label = Label.SPAM, author: str = "maker", tenant: str = TENANT,
    ) -> Case:  # fmt: skip
        """The checker found something in a new post."""
        self.views[name] = views
        subject = self.posts.publish(name, author=author, outcome=outcome, tenant=tenant)
        verdict = a_verdict(outcome, risk, label)
        facts = self.posts.facts(tenant, subject)
        assert facts is not None
        case = self.intake.checked(tenant, subject, facts, verdict)
        assert case is not None
        return case

    def decide(
        self, case: Case | str, outcome: Outcome, who: str = "ann", *, reason: str = "", key: str = "",
        tenant: str = TENANT, revision: int = 0,
    ) -> Case:  # fmt: skip
        """A moderator decides."""
        fitting = "no_violation" if outcome is Outcome.CLEAN else "terms_spam"
        case_id = case if isinstance(case, str) else case.case_id
        asked = DecisionAsked(case_id, outcome, reason or fitting, "looked at it", revision)
        return self.cases.decide(self.write(who, tenant=tenant, key=key), asked)

    def report(self, name: str, session: str, *, visitor: str = "", tenant: str = TENANT) -> Reported:
        """A visitor reports a post."""
        return self.reports.report(
            ReportAsked(
                tenant,
                Subject(SubjectKind.POST, name),
                int(ReportReason.SPAM),
                session,
                Permission.REMEMBER if visitor else Permission.NONE,
                visitor,
            )
        )

    def told(self, topic: str) -> list[dict[str, Any]]:
        """What left for the event log."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(OUTBOX).where(OUTBOX.c.topic == topic).order_by(OUTBOX.c.sequence)).all()
        return [msgspec.json.decode(row.fields) for row in rows]

    def close(self) -> None:
        """Close the store."""
        self.engine.dispose()


def _with_tenants(folder: Path) -> Engine:
    """A store with two tenants, of the kind that the test runs on."""
    if database_url(folder).startswith("sqlite"):
        shutil.copy(_empty_store(), folder / "haat.sqlite")
    engine = open_database(folder)
    _add_tenants(engine)
    return engine


@cache
def _empty_store() -> Path:
    """A file of SQLite with its schema, made once: the migrations take longer than most tests."""
    folder = Path(mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    engine = open_database(folder)
    _add_tenants(engine)
    engine.dispose()
    return folder / "haat.sqlite"


def _add_tenants(engine: Engine) -> None:
    accounts = SqlAccountStore(engine)
    there = {tenant.tenant_id for tenant in accounts.tenants()}
    for tenant_id in (TENANT, OTHER_TENANT):
        if tenant_id not in there:
            accounts.add_tenant(Tenant(tenant_id, tenant_id, 1))


class MediaOfRecord:
    """JudgedMedia over records without files."""

    def __init__(self, records: SqlMediaRecords) -> None:
        self.find = records.find
        self.judge = records.judge


class SomePosts:
    """Moderated over a dictionary, with revisions as the real ones have them; `broken` dies before it decides."""

    def __init__(self) -> None:
        self.by_id: dict[tuple[str, str], SubjectFacts] = {}
        self.decided: list[tuple[str, Outcome, str]] = []
        self.broken = False

    def publish(
        self, name: str, *, author: str = "maker", outcome: Outcome = Outcome.CLEAN, tenant: str = TENANT
    ) -> Subject:
        self.by_id[tenant, name] = SubjectFacts(author, 1, outcome, f"text of {name}")
        return Subject(SubjectKind.POST, name)

    def edit(self, name: str, tenant: str = TENANT) -> None:
        facts = self.by_id[tenant, name]
        self.by_id[tenant, name] = msgspec.structs.replace(facts, revision=facts.revision + 1, excerpt="edited")

    def facts(self, tenant_id: str, subject: Subject) -> SubjectFacts | None:
        return self.by_id.get((tenant_id, subject.id))

    def decide(
        self, tenant_id: str, subject: Subject, outcome: Outcome, verdict: Verdict, actor: str, expected_revision: int
    ) -> int:
        if self.broken:
            raise RuntimeError("the process dies here")
        facts = self.by_id.get((tenant_id, subject.id))
        if facts is None:
            raise NotFound("no such post")
        if facts.revision != expected_revision:
            raise Conflict(f"the post has revision {facts.revision}")
        if facts.outcome is not outcome:
            facts = msgspec.structs.replace(facts, outcome=outcome, revision=facts.revision + 1, decided_by=actor)
            self.by_id[tenant_id, subject.id] = facts
            self.decided.append((subject.id, outcome, actor))
        return facts.revision

    def restore(
        self, tenant_id: str, subject: Subject, stood: Stood, verdict: Verdict, actor: str, expected_revision: int
    ) -> int:
        return self.decide(tenant_id, subject, stood.outcome, verdict, actor, expected_revision)

    def outcome(self, name: str, tenant: str = TENANT) -> Outcome:
        return self.by_id[tenant, name].outcome


class SomeReach:
    """ExpectedReach over a dictionary."""

    def __init__(self, views: dict[str, float]) -> None:
        self._views = views

    def views(self, tenant_id: str, subjects: Sequence[Subject]) -> list[float]:
        return [self._views.get(subject.id, 0.0) for subject in subjects]


def a_verdict(outcome: Outcome = Outcome.HELD, risk: float = 0.5, label: Label = Label.SPAM) -> Verdict:
    """What the checker may say."""
    findings = () if outcome is Outcome.CLEAN else (Finding(label, risk, 0.4, "caption", "buy now"),)
    return Verdict(outcome, risk, findings, "checker-1")
