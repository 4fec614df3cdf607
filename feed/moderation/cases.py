"""What can a moderator do, and an author? The use cases of cases: read, claimed, decided, undone, appealed, erased.

A decision is written before it is carried out, and what was written is carried out also after a crash: nothing happens
to a post that is not in the trail. Where the post changed meanwhile, the decision is dropped and the moderator told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from common.clock import Clock
from common.errors import Conflict, FieldError, InvalidInput, NotFound, PermissionDenied
from common.ids import new_id
from feed.moderation import case_rules
from feed.moderation.audit import AuditEntry, entry_of, first_break
from feed.moderation.case_asking import (
    BulkResult,
    DecisionAsked,
    ModeratorWrite,
    check_revision,
    decision_errors,
    key_errors,
    note_errors,
)
from feed.moderation.case_effects import CaseEffects
from feed.moderation.case_values import WAITING, Case, Origin, Stood
from feed.moderation.ports import CaseStore, CaseWrite, ExpectedReach, Once, QueueFigures, ReportStore
from feed.moderation.queue import CasePage, QueueFilter, asked_size, filter_errors, page_of, priority_of, read_token
from feed.moderation.report_values import Report
from feed.moderation.statement import Statement, statement_of
from feed.moderation.subjects import Subject
from feed.post_rules import is_id, shown

MAX_BULK: Final = 100
MAX_CLAIM: Final = 50


class Cases:
    """The use cases; all of them block. InvalidInput names every field, NotFound is also what is another tenant's."""

    def __init__(
        self, *, store: CaseStore, reports: ReportStore, effects: CaseEffects, reach: ExpectedReach, clock: Clock
    ) -> None:
        self._store = store
        self._reports = reports
        self._effects = effects
        self._reach = reach
        self._clock = clock

    def case(self, tenant_id: str, case_id: str) -> Case:
        """One case."""
        case = self._store.case(tenant_id, case_id) if is_id(case_id) else None
        if case is None:
            raise NotFound(f"there is no case {shown(case_id)}")
        return case

    def reports_of(self, case: Case, limit: int = 50) -> list[Report]:
        """What people said about the case's subject, newest first; they stay unnamed."""
        return self._reports.of_subject(case.tenant_id, case.subject, limit)

    def queue(self, tenant_id: str, wanted: QueueFilter, page_size: int = 0, page_token: str = "") -> CasePage:
        """A page of the queue: highest risk × reach first."""
        errors = filter_errors(wanted)
        size = asked_size(page_size, errors)
        place = read_token(page_token, wanted, errors)
        if errors:
            raise InvalidInput(errors)
        return page_of(self._store.queue(tenant_id, wanted, place, size + 1), size, wanted)

    def claim(self, write: ModeratorWrite, wanted: QueueFilter, count: int) -> list[Case]:
        """The next cases of the queue, this moderator's alone for a while; those that it holds already come first."""
        errors = [*key_errors(write.idempotency_key), *filter_errors(wanted)]
        if not 1 <= count <= MAX_CLAIM:
            errors.append(FieldError("count", f"is {count}", f"give 1 to {MAX_CLAIM}"))
        if errors:
            raise InvalidInput(errors)
        now_ms = self._clock.now_ms()
        me = write.moderator
        states = tuple(state for state in wanted.states if state in WAITING)
        free = msgspec.structs.replace(wanted, states=states, unclaimed_at_ms=now_ms, claimed_by=me, decidable_by=me)
        mine: list[Case] = []
        place = None
        while len(mine) < count:
            found = self._store.queue(write.tenant_id, free, place, count + 1)
            for before in found[:count]:
                if len(mine) < count and before.effect is None:
                    mine += self._claim_one(before, me, now_ms)
            token = page_of(found, count, free).next_page_token
            if not token:
                break
            place = read_token(token, free, [])
        return mine

    def claim_case(self, write: ModeratorWrite, case_id: str) -> Case:
        """One case, this moderator's alone for a while. Conflict when it is another's."""
        return self._write(
            write, case_id, "claimed", 0, lambda case, now_ms: case_rules.claimed(case, write.moderator, now_ms)
        )

    def release(self, write: ModeratorWrite, case_id: str) -> Case:
        """Anybody's again."""
        return self._write(
            write, case_id, "released", 0, lambda case, now_ms: case_rules.released(case, write.moderator, now_ms)
        )

    def decide(self, write: ModeratorWrite, asked: DecisionAsked) -> Case:
        """What becomes of the subject. Conflict when it, or the case, changed since it was looked at."""
        if errors := [*key_errors(write.idempotency_key), *decision_errors(asked)]:
            raise InvalidInput(errors)
        return self._decide(write, asked)

    def decide_many(
        self, write: ModeratorWrite, asked: Sequence[DecisionAsked], *, dry_run: bool = False
    ) -> list[BulkResult]:
        """The same for many: each for itself, so one that cannot be decided leaves the others alone. A dry run writes
        nothing and tells what would be.
        """
        errors = key_errors(write.idempotency_key)
        if not 1 <= len(asked) <= MAX_BULK:
            errors.append(FieldError("decisions", f"has {len(asked)} entries", f"give 1 to {MAX_BULK}"))
        for at, one in enumerate(asked[:MAX_BULK]):
            # It comes back with its result, so it is told from any other text first.
            if not is_id(one.case_id):
                errors.append(FieldError(f"decisions[{at}].case_id", shown(one.case_id), "give the id of a case"))
            errors += [
                FieldError(f"decisions[{at}].{error.field}", error.value, error.remedy)
                for error in decision_errors(one)
            ]
        if errors:
            raise InvalidInput(errors)
        results = []
        for one in asked:
            # Each case has a key of its own, derived from the call's: the call sent again does the rest.
            key = hashlib.blake2b(f"{write.idempotency_key}\0{one.case_id}".encode(), digest_size=16).hexdigest()
            of_one = msgspec.structs.replace(write, idempotency_key=key)
            try:
                case = self._would_be(of_one, one) if dry_run else self._decide(of_one, one)
                results.append(BulkResult(one.case_id, case))
            except (Conflict, NotFound, PermissionDenied) as error:
                results.append(BulkResult(one.case_id, None, str(error)))
        return results

    def undo(self, write: ModeratorWrite, case_id: str, note: str = "") -> Case:
        """The newest decision is taken back; what held before it holds again, an appeal that waited too.

        Conflict when its subject changed since: then the decision stands, and what it is now can be decided on.
        """
        if errors := [*key_errors(write.idempotency_key), *note_errors(note)]:
            raise InvalidInput(errors)
        case = self._write(
            write,
            case_id,
            "undone",
            0,
            lambda found, now_ms: self._undone(write, found, now_ms),
            note=note,
        )
        return self._effects.carry_out(case)

    def appeal(self, write: ModeratorWrite, case_id: str, author_id: str, text: str) -> Case:
        """The author says that a decision is wrong; somebody who has not decided it before looks at it."""
        errors = [*key_errors(write.idempotency_key), *note_errors(text, "text")]
        if not text.strip():
            errors.append(FieldError("text", "is empty", "say in your own words why the decision is wrong"))
        if errors:
            raise InvalidInput(errors)
        self.statement(write.tenant_id, case_id, author_id)
        return self._write(
            write,
            case_id,
            "appealed",
            0,
            lambda case, now_ms: case_rules.appealed(case, text.strip(), now_ms),
            by="author",
        )

    def statement(self, tenant_id: str, case_id: str, author_id: str) -> Statement:
        """What the author is told of the decision that holds. NotFound for whoever is not its author."""
        case = self.case(tenant_id, case_id)
        standing = case.standing
        if not author_id or case.author_id != author_id or standing is None:
            raise NotFound(f"there is no decision about a work of this author in case {shown(case_id)}")
        return statement_of(case, standing)

    def statement_about(self, tenant_id: str, subject: Subject, author_id: str) -> Statement:
        """The same, by the subject."""
        case = self._store.newest_case_of(tenant_id, subject)
        if case is None:
            raise NotFound("nothing was decided about it")
        return self.statement(tenant_id, case.case_id, author_id)

    def told_author(self, tenant_id: str, subject: Subject) -> str:
        """The statement of reasons of the newest decision about a subject, as a letter; empty without one."""
        case = self._store.newest_case_of(tenant_id, subject)
        if case is None or case.standing is None:
            return ""
        return statement_of(case, case.standing).text

    def trail(self, tenant_id: str, case_id: str = "", after_position: int = 0, limit: int = 100) -> list[AuditEntry]:
        """The audit trail, oldest first."""
        if case_id:
            self.case(tenant_id, case_id)
        return self._store.trail(tenant_id, case_id, after_position, max(1, min(limit, 1_000)))

    def first_break(self, tenant_id: str) -> int:
        """The position of the first entry of the trail that was changed or taken out; 0 when all are as written."""
        position, digest = 0, ""
        while some := self._store.trail(tenant_id, "", position, 1_000):
            if broken := first_break(some, digest, position):
                return broken
            position, digest = some[-1].position, some[-1].digest
        return 0

    def figures(self, tenant_id: str = "") -> QueueFigures:
        """How the queue is."""
        return self._store.figures(tenant_id, self._clock.now_ms())

    def refresh_reach(self) -> int:
        """What waits is put in order by its reach of now; how many places changed."""
        changed, after = 0, 0
        while cases := self._store.waiting(after, 500):
            after = cases[-1].number
            by_tenant: dict[str, list[Case]] = {}
            for case in cases:
                by_tenant.setdefault(case.tenant_id, []).append(case)
            for tenant_id, some in by_tenant.items():
                for case, views in zip(some, self._reach.views(tenant_id, [c.subject for c in some]), strict=True):
                    priority = priority_of(case.verdict.risk, views, appealed=bool(case.origins & Origin.APPEAL))
                    if priority != case.priority:
                        self._store.set_reach(case, float(views), priority)
                        changed += 1
        return changed

    def _decide(self, write: ModeratorWrite, asked: DecisionAsked) -> Case:
        case = self._write(
            write,
            asked.case_id,
            "decided",
            asked.expected_revision,
            lambda found, now_ms: _decided(write, asked, found, now_ms, self._effects.stood(found)),
            reason=asked.reason,
            note=asked.note,
            digest=msgspec.json.encode(asked),
        )
        return self._effects.carry_out(case)

    def _undone(self, write: ModeratorWrite, case: Case, now_ms: int) -> Case:
        after = case_rules.undone(case, write.moderator, now_ms)
        waits = self._store.waiting_case_of(case.tenant_id, case.subject)
        if waits is not None and waits.case_id != case.case_id:
            raise Conflict(f"the decision stands: it changed since it was decided, decide case {waits.case_id} instead")
        return after

    def _would_be(self, write: ModeratorWrite, asked: DecisionAsked) -> Case:
        found = self.case(write.tenant_id, asked.case_id)
        check_revision(found, asked.expected_revision)
        facts = self._effects.keeper(found.subject).facts(found.tenant_id, found.subject)
        if facts is not None and facts.revision != found.subject_revision:
            raise Conflict("the subject changed since the case was made: read the case again")
        return _decided(write, asked, found, self._clock.now_ms())

    def _write(
        self,
        write: ModeratorWrite,
        case_id: str,
        action: str,
        expected_revision: int,
        change: Callable[[Case, int], Case],
        *,
        reason: str = "",
        note: str = "",
        by: str = "",
        digest: bytes = b"",
    ) -> Case:
        if errors := key_errors(write.idempotency_key):
            raise InvalidInput(errors)
        asked = hashlib.blake2b(f"{case_id}\0{write.moderator}\0".encode() + digest + note.encode(), digest_size=16)
        once = Once(write.idempotency_key, f"moderation.{action}", asked.hexdigest())
        before = self.case(write.tenant_id, case_id)
        if self._store.was_done(write.tenant_id, once):
            return before
        check_revision(before, expected_revision)
        # What nobody here keeps cannot be decided: refused before anything is written.
        self._effects.keeper(before.subject)
        after = change(before, self._clock.now_ms())
        entry = entry_of(before, after, by or write.moderator, action, reason=reason, note=note)
        self._store.save([CaseWrite(after, before.revision, entry, once)])
        return self.case(write.tenant_id, case_id)

    def _claim_one(self, before: Case, moderator: str, now_ms: int) -> list[Case]:
        try:
            after = case_rules.claimed(before, moderator, now_ms)
            self._store.save([CaseWrite(after, before.revision, entry_of(before, after, moderator, "claimed"))])
        except Conflict:
            # Another moderator was faster: the next one in the queue will do.
            return []
        return [after]


def _decided(write: ModeratorWrite, asked: DecisionAsked, case: Case, now_ms: int, stood: Stood | None = None) -> Case:
    return case_rules.decided(
        case, write.moderator, asked.outcome, asked.reason, asked.note, new_id(now_ms), now_ms, stood=stood
    )
