"""How does a case begin? The checker found something, or people reported it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from common.clock import Clock
from common.errors import Conflict
from common.ids import new_id
from feed.moderation import case_rules
from feed.moderation.audit import entry_of
from feed.moderation.case_effects import CaseEffects
from feed.moderation.case_values import Case, CaseState, Origin
from feed.moderation.ports import CaseStore, CaseWrite, ExpectedReach
from feed.moderation.queue import priority_of
from feed.moderation.subjects import Subject, SubjectFacts
from feed.verdict import Outcome, Verdict

# Of programs that write at the same moment one goes first, the others look again.
_ATTEMPTS: Final = 5
MAX_EXCERPT_CHARS: Final = 500


class CaseIntake:
    """Makes cases, and adds to those that wait. All of it blocks."""

    def __init__(self, *, store: CaseStore, reach: ExpectedReach, effects: CaseEffects, clock: Clock) -> None:
        self._store = store
        self._reach = reach
        self._effects = effects
        self._clock = clock

    def checked(
        self, tenant_id: str, subject: Subject, facts: SubjectFacts, verdict: Verdict, *, once: bool = False
    ) -> Case | None:
        """The checker has judged a subject, which has this outcome by now: a case unless it is clean and none waits.

        With `once` nothing happens when the subject's newest case is about this revision, or a later one: whoever
        follows what all nodes are told may come second.
        """

        def newest() -> Case | None:
            return self._store.newest_case_of(tenant_id, subject)

        # Most of what is checked is clean and was never a case: one look tells that nothing waits. A case that others
        # make at this moment is to this as one that they make after it.
        if once and verdict.outcome is Outcome.CLEAN and newest() is None:
            return None

        def work(now_ms: int) -> tuple[Case | None, Case | None]:
            before = self._store.waiting_case_of(tenant_id, subject)
            # Looked for second: what was written since the first look is seen by this one.
            known = newest() if once else None
            if known is not None and known.subject_revision >= facts.revision:
                return None, None
            if before is None and verdict.outcome is Outcome.CLEAN:
                return None, None
            if before is not None and before.effect is not None:
                self._effects.carry_out(before)
                raise Conflict("a decision of this case was being carried out")
            fresh = self._fresh(tenant_id, subject, facts, verdict, now_ms)
            return before, case_rules.found_by_checker(before, fresh, facts, verdict, new_id(now_ms), now_ms)

        return self._again(case_rules.CHECKER, "checked", work, newest if once else None)

    def people_reported(
        self, tenant_id: str, subject: Subject, facts: SubjectFacts, verdict: Verdict, reports: int, *, limit: bool
    ) -> Case | None:
        """Reports of a subject weigh enough: a case, and with `limit` less reach until somebody has looked."""

        def work(now_ms: int) -> tuple[Case | None, Case | None]:
            before = self._store.waiting_case_of(tenant_id, subject)
            if before is not None and before.effect is not None:
                self._effects.carry_out(before)
                raise Conflict("a decision of this case was being carried out")
            fresh = self._fresh(tenant_id, subject, facts, verdict, now_ms)
            case = case_rules.reported(before, fresh, verdict, reports, now_ms)
            if limit and case.outcome is Outcome.CLEAN and facts.outcome is Outcome.CLEAN:
                revision = case.revision
                case = case_rules.limited_by_reports(case, new_id(now_ms), now_ms)
                case = msgspec.structs.replace(case, revision=revision)
            return before, case

        case = self._again(case_rules.REPORTERS, "reported", work)
        if case is None or case.effect is None:
            return case
        try:
            return self._effects.carry_out(case)
        except Conflict:
            # The author changed it at this moment: a person looks at it all the same.
            return self._store.case(tenant_id, case.case_id)

    def appealed(self, tenant_id: str, subject: Subject, text: str, subject_revision: int) -> Case | None:
        """Its author appealed where it is kept, which made a new revision of it; None when nothing was decided."""

        def work(now_ms: int) -> tuple[Case | None, Case | None]:
            before = self._store.newest_case_of(tenant_id, subject)
            if before is None or before.appeal is not None:
                return None, None
            return before, case_rules.appealed(before, text, now_ms, subject_revision)

        return self._again("author", "appealed", work)

    def gone(self, tenant_id: str, subject: Subject) -> Case | None:
        """Its author took it back: a case that waits does so no more."""

        def work(now_ms: int) -> tuple[Case | None, Case | None]:
            before = self._store.waiting_case_of(tenant_id, subject)
            if before is None or before.effect is not None:
                return None, None
            return before, case_rules.gone(before, now_ms)

        return self._again("author", "withdrawn", work)

    def _fresh(self, tenant_id: str, subject: Subject, facts: SubjectFacts, verdict: Verdict, now_ms: int) -> Case:
        """A case before anything was decided."""
        reach = float(self._reach.views(tenant_id, [subject])[0])
        return Case(
            tenant_id=tenant_id,
            case_id=new_id(now_ms),
            subject=subject,
            author_id=facts.author_id,
            excerpt=facts.excerpt[:MAX_EXCERPT_CHARS],
            subject_revision=facts.revision,
            state=CaseState.OPEN,
            origins=Origin(0),
            outcome=facts.outcome,
            verdict=verdict,
            reach=reach,
            priority=priority_of(verdict.risk, reach),
            opened_at_ms=now_ms,
            changed_at_ms=now_ms,
        )

    def _again(
        self,
        actor: str,
        action: str,
        work: Callable[[int], tuple[Case | None, Case | None]],
        newest: Callable[[], Case | None] | None = None,
    ) -> Case | None:
        """Read, decide and write; again when somebody else wrote between, or made a case that is the `newest` now."""
        for attempt in range(_ATTEMPTS):
            try:
                newest_id = None
                if newest is not None:
                    newest_id = known.case_id if (known := newest()) else ""
                before, after = work(self._clock.now_ms())
                if after is None:
                    return None
                entry = entry_of(before, after, actor, action)
                # What a program decided holds already, unless it is still to be carried out.
                holds = after.standing if action == "checked" else None
                revision = before.revision if before else 0
                self._store.save([CaseWrite(after, revision, entry, holds=holds, newest_id=newest_id)])
                return self._store.case(after.tenant_id, after.case_id)
            except Conflict:
                if attempt + 1 == _ATTEMPTS:
                    raise
        raise AssertionError("unreachable")
