"""How is a decision carried out? Once, also after a crash; and who is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from common.clock import Clock
from common.errors import Conflict, NotFound
from feed.moderation import case_rules
from feed.moderation.audit import entry_of
from feed.moderation.case_values import Case, Decision, Instance, Stood
from feed.moderation.ports import CaseStore, CaseWrite, Consequences, Moderated, ReportStore
from feed.moderation.subjects import Subject, SubjectKind
from feed.verdict import Outcome

# Why an effect was dropped, by whether it was to take a decision back.
_IN_VAIN: Final = {
    False: "nothing was decided: it changed since it was looked at, read the case again",
    True: "the decision stands: it changed since it was decided, decide on what it is now",
}


class CaseEffects:
    """Brings to subjects what was written into cases. All of it blocks, and may be done twice."""

    def __init__(
        self,
        *,
        store: CaseStore,
        reports: ReportStore,
        moderated: Mapping[SubjectKind, Moderated],
        consequences: Consequences,
        clock: Clock,
    ) -> None:
        self._store = store
        self._reports = reports
        self._moderated = moderated
        self._consequences = consequences
        self._clock = clock

    def keeper(self, subject: Subject) -> Moderated:
        """Who keeps subjects of this kind; NotFound when nobody does."""
        keeper = self._moderated.get(subject.kind)
        if keeper is None:
            raise NotFound(f"nothing of kind {subject.kind.name.lower()} is moderated here")
        return keeper

    def stood(self, case: Case) -> Stood | None:
        """What holds for the case's subject as it was looked at; None when it is gone or another one by now."""
        facts = self.keeper(case.subject).facts(case.tenant_id, case.subject)
        if facts is None or facts.revision != case.subject_revision:
            return None
        return Stood(facts.outcome, facts.decided_by, facts.verdict, facts.appealed)

    def carry_out_unfinished(self, limit: int = 100) -> int:
        """Carry out what was decided before a crash; how many. Called at the start and now and then."""
        done = 0
        for case in self._store.unfinished(limit):
            try:
                self.carry_out(case)
                done += 1
            except (Conflict, NotFound):
                # It changed meanwhile: the case waits again, or somebody else was faster. Or nobody keeps such
                # subjects here any more: then it waits until somebody does.
                continue
        return done

    def carry_out(self, case: Case) -> Case:
        """The subject becomes what was decided, or again what it was before. Conflict when it changed meanwhile: then
        nothing was decided, and the case waits again; or nothing was taken back, and the decision stands.
        """
        effect = case.effect
        if effect is None:
            return case
        now_ms = self._clock.now_ms()
        try:
            after = case_rules.carried_out(case, self._bring(case), now_ms)
        except Conflict as error:
            facts = self.keeper(case.subject).facts(case.tenant_id, case.subject)
            if facts is None:
                after = case_rules.carried_out(case, 0, now_ms)
            else:
                dropped = case_rules.refused(case, facts, now_ms)
                self._store.save([CaseWrite(dropped, case.revision, entry_of(case, dropped, effect.actor, "dropped"))])
                raise Conflict(f"{_IN_VAIN[effect.undo]} ({error})") from error
        # Before the case is written: after a crash between the two, both are done again.
        self._tell(after, undo=effect.undo)
        entry = entry_of(case, after, effect.actor, "carried_out")
        holds = _taken_back(after) if effect.undo else after.standing
        self._store.save([CaseWrite(after, case.revision, entry, holds=holds)])
        return after

    def _bring(self, case: Case) -> int:
        """The subject's revision afterwards, 0 when it is gone."""
        effect = case.effect
        assert effect is not None
        keeper = self.keeper(case.subject)
        facts = keeper.facts(case.tenant_id, case.subject)
        if facts is None:
            return 0
        # A process that died may have done it already.
        by = facts.decided_by or effect.actor
        if (facts.outcome, facts.revision, by) == (effect.outcome, effect.expected_revision + 1, effect.actor):
            return facts.revision
        about, actor, revision = (case.tenant_id, case.subject), effect.actor, effect.expected_revision
        try:
            if effect.restores is not None:
                return keeper.restore(*about, effect.restores, case.verdict, actor, revision)
            return keeper.decide(*about, effect.outcome, case.verdict, actor, revision)
        except NotFound:
            return 0

    def _tell(self, case: Case, *, undo: bool) -> None:
        if undo:
            self._reports.unjudge(case)
            self._consequences.undone(case, _taken_back(case))
        # After an appeal's decision was taken back, that of the first instance speaks again.
        decision = case.standing
        if decision is not None and decision.instance is not Instance.AUTOMATED and not decision.gone:
            upheld = decision.outcome is not Outcome.CLEAN
            reporters = self._reports.judge(case, decision.subject_revision, upheld=upheld)
            self._consequences.decided(case, decision, reporters)


def _taken_back(case: Case) -> Decision:
    return max((d for d in case.decisions if d.undone_at_ms), key=lambda d: d.undone_at_ms)
