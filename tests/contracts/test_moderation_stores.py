"""What every CaseStore, ReportStore and ReputationStore promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from msgspec.structs import replace

from backends.moderation_sql import SqlCaseStore
from common.errors import Conflict
from feed.moderation.audit import entry_of, first_break
from feed.moderation.case_values import Case, CaseState, Decision, Effect, Instance, Stood
from feed.moderation.ports import CaseWrite, Once
from feed.moderation.queue import QueueFilter
from feed.moderation.report_values import Report, ReportReason
from feed.moderation.subjects import Subject, SubjectKind
from feed.reputation.events import EventKind, ReputationEvent, Role
from feed.verdict import Outcome
from tests.databases import open_database
from tests.moderation_desk import OTHER_TENANT, TENANT, Desk, a_verdict

pytestmark = pytest.mark.on_every_database

STORES: dict[str, Callable[[Path], Desk]] = {"sqlite": Desk}


@pytest.fixture(params=STORES.values(), ids=list(STORES))
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    made = request.param(tmp_path)
    yield made
    made.close()


def written(desk: Desk, case: Case, before: Case | None = None, once: Once | None = None) -> CaseWrite:
    return CaseWrite(case, before.revision if before else 0, entry_of(before, case, "ann", "written"), once)


def a_case(desk: Desk, name: str = "post", tenant: str = TENANT) -> Case:
    case = desk.found(name, tenant=tenant)
    return replace(case, case_id=f"{name:0<32}"[:32], subject=Subject(SubjectKind.POST, f"{name}-2"), number=0)


def test_a_case_comes_back_as_it_was_stored_also_after_a_restart(desk: Desk, tmp_path: Path) -> None:
    case = a_case(desk)
    decision = Decision(
        "d", Instance.FIRST, Outcome.REMOVED, Outcome.HELD, "terms_spam", "ann", 5, 1, 2, "note", 9, True,
        Stood(Outcome.HELD, "checker", a_verdict(risk=0.6), appealed=True),
    )  # fmt: skip
    effect = Effect(Outcome.LIMITED, 3, "ann", True, Stood(Outcome.LIMITED, "bob", appealed=True))
    full = replace(case, decisions=(decision,), effect=effect, verdict=a_verdict(risk=0.7))
    desk.store.save([written(desk, full)])

    engine = open_database(tmp_path)
    for store in (desk.store, SqlCaseStore(engine)):
        found = store.case(TENANT, full.case_id)
        assert found is not None
        assert replace(found, number=0) == full
    engine.dispose()
    assert desk.store.case(OTHER_TENANT, full.case_id) is None


def test_of_two_who_write_at_once_one_is_refused_and_the_trail_has_one_line_more(desk: Desk) -> None:
    case = desk.found("post")
    lines = len(desk.store.trail(TENANT, "", 0, 99))
    start = Barrier(6)

    def write(number: int) -> bool:
        start.wait()
        try:
            claimed = replace(case, revision=case.revision + 1, claimed_by=f"m{number}", changed_at_ms=number)
            desk.store.save([written(desk, claimed, case)])
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(write, range(6))) == 1
    trail = desk.store.trail(TENANT, "", 0, 99)
    assert len(trail) == lines + 1
    assert first_break(trail) == 0


def test_a_subject_has_one_case_that_waits(desk: Desk) -> None:
    case = desk.found("post")
    twin = replace(case, case_id="f" * 32, number=0)

    with pytest.raises(Conflict):
        desk.store.save([written(desk, twin)])

    decided = replace(case, state=CaseState.DECIDED, revision=2)
    desk.store.save([written(desk, decided, case)])
    desk.store.save([written(desk, twin)])
    newest = desk.store.newest_case_of(TENANT, case.subject)
    assert newest is not None
    assert newest.case_id == twin.case_id


def test_all_of_several_writes_or_none(desk: Desk) -> None:
    first, second = desk.found("first"), desk.found("second")
    good = written(desk, replace(first, revision=2, claimed_by="ann"), first)
    bad = written(desk, replace(second, revision=9, claimed_by="ann"), replace(second, revision=8))

    with pytest.raises(Conflict):
        desk.store.save([good, bad])

    assert desk.store.case(TENANT, first.case_id) == first


def test_a_key_writes_once(desk: Desk) -> None:
    case = desk.found("post")
    once = Once("key", "moderation.claimed", "digest")
    assert not desk.store.was_done(TENANT, once)
    claimed = replace(case, revision=2, claimed_by="ann")
    desk.store.save([written(desk, claimed, case, once)])

    assert desk.store.was_done(TENANT, once)
    assert not desk.store.was_done(OTHER_TENANT, once)
    with pytest.raises(Conflict):
        desk.store.was_done(TENANT, Once("key", "moderation.claimed", "another"))
    with pytest.raises(Conflict):
        desk.store.save([written(desk, replace(claimed, revision=3), claimed, once)])


def test_reach_moves_a_case_only_as_it_was_read(desk: Desk) -> None:
    case = desk.found("post")
    desk.store.set_reach(replace(case, revision=7), 10.0, 999)
    assert desk.store.case(TENANT, case.case_id) == case

    desk.store.set_reach(case, 10.0, 999)

    [moved] = desk.store.queue(TENANT, QueueFilter(), None, 9)
    assert (moved.reach, moved.priority, moved.revision) == (10.0, 999, case.revision)


def test_of_one_reporter_who_reports_at_once_from_two_phones_one_report_is_kept(desk: Desk) -> None:
    subject = Subject(SubjectKind.POST, "post")
    start = Barrier(6)

    def add(number: int) -> bool:
        start.wait()
        report = Report(TENANT, f"{number:032x}", subject, 1, "r", True, ReportReason.SPAM, "", number)
        return desk.report_store.add(report)

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(add, range(6))) == 1
    assert len(desk.report_store.of_subject(TENANT, subject, 9)) == 1


def test_records_add_up_whoever_writes_at_once(desk: Desk) -> None:
    def add(number: int) -> int:
        events = [
            ReputationEvent(TENANT, f"e{at}", f"p{at % 3}", EventKind.POST_STOOD, 1_000_000)
            for at in range(number, number + 10)
        ]
        return desk.reputation_store.add(events)

    with ThreadPoolExecutor(6) as threads:
        new = sum(threads.map(add, [0, 5, 10, 15, 20, 0]))

    assert new == 30
    records = desk.reputation_store.records(TENANT, Role.AUTHOR, ["p0", "p1", "p2", "nobody"])
    assert [record.good for record in records] == pytest.approx([10.0, 10.0, 10.0, 0.0])
    assert [person.person_id for person in desk.reputation_store.people(TENANT, Role.AUTHOR)] == ["p0", "p1", "p2"]
    assert desk.reputation_store.tenants() == [TENANT]


def test_what_is_taken_back_counts_no_more_and_can_come_again(desk: Desk) -> None:
    event = ReputationEvent(TENANT, "e", "p", EventKind.POST_REMOVED, 1_000_000, "post", "decision")
    for _ in range(2):
        assert desk.reputation_store.add([event]) == 1
        assert desk.reputation_store.take_back(TENANT, ["decision", ""]) == 1
        assert desk.reputation_store.take_back(TENANT, ["decision"]) == 0

    [record] = desk.reputation_store.records(TENANT, Role.AUTHOR, ["p"])
    assert (record.good, record.bad) == (0.0, 0.0)
