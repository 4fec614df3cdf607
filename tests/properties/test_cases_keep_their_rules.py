"""Whatever moderators, authors and crashes do in whichever order: are the rules of cases kept?"""

from __future__ import annotations

import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from common.errors import HaatError
from feed.moderation.case_values import WAITING, CaseState, Instance
from feed.moderation.queue import QueueFilter
from feed.verdict import Outcome
from tests.examples import examples
from tests.moderation_desk import TENANT, Desk

moderators = st.sampled_from(["ann", "bob", "eve"])
outcomes = st.sampled_from([Outcome.CLEAN, Outcome.LIMITED, Outcome.REMOVED])


class OneCase(RuleBasedStateMachine):
    """One post with its case."""

    @initialize(outcome=st.sampled_from([Outcome.LIMITED, Outcome.HELD, Outcome.REMOVED]))
    def begin(self, outcome: Outcome) -> None:
        self.folder = TemporaryDirectory()
        self.desk = Desk(Path(self.folder.name))
        self.case_id = self.desk.found("post", outcome=outcome).case_id
        self.reports = 0

    @rule(who=moderators)
    def claim(self, who: str) -> None:
        self._try(lambda: self.desk.cases.claim_case(self.desk.write(who), self.case_id))

    @rule(who=moderators, outcome=outcomes, dies=st.booleans())
    def decide(self, who: str, outcome: Outcome, dies: bool) -> None:
        self.desk.posts.broken = dies
        self._try(lambda: self.desk.decide(self.case_id, outcome, who))
        self.desk.posts.broken = False
        self.desk.effects.carry_out_unfinished()

    @rule(who=moderators)
    def undo(self, who: str) -> None:
        self._try(lambda: self.desk.cases.undo(self.desk.write(who), self.case_id))

    @rule()
    def appeal(self) -> None:
        self._try(lambda: self.desk.cases.appeal(self.desk.write("shop"), self.case_id, "maker", "No."))

    @rule()
    def edit(self) -> None:
        self.desk.posts.edit("post")

    @rule()
    def report(self) -> None:
        self.reports += 1
        self._try(lambda: self.desk.report("post", f"s{self.reports}"))

    @rule(minutes=st.integers(1, 15))
    def wait(self, minutes: int) -> None:
        self.desk.clock.step(minutes * 60_000)

    @invariant()
    def no_appeal_is_decided_by_who_decided_first(self) -> None:
        if not hasattr(self, "desk"):
            return
        case = self.desk.cases.case(TENANT, self.case_id)
        for decision in case.decisions:
            if decision.instance is Instance.APPEAL:
                assert decision.decided_by not in case.first_deciders

    @invariant()
    def what_the_case_says_holds_for_the_post(self) -> None:
        if not hasattr(self, "desk"):
            return
        case = self.desk.cases.case(TENANT, self.case_id)
        assert case.effect is None
        newest = self.desk.store.newest_case_of(TENANT, case.subject)
        assert newest is not None
        assert newest.outcome is self.desk.posts.outcome("post")

    @invariant()
    def one_subject_waits_once_and_the_trail_is_whole(self) -> None:
        if not hasattr(self, "desk"):
            return
        states = (CaseState.OPEN, CaseState.APPEALED)
        waiting = self.desk.cases.queue(TENANT, QueueFilter(states=states)).cases
        assert len(waiting) <= 1
        assert all(case.state in WAITING for case in waiting)
        assert self.desk.cases.first_break(TENANT) == 0
        positions = [entry.position for entry in self.desk.cases.trail(TENANT, limit=1_000)]
        assert positions == list(range(1, len(positions) + 1))

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            self.desk.close()
            self.folder.cleanup()

    def _try(self, act: object) -> None:
        assert callable(act)
        # A refusal is an answer; the post's own death is what `dies` asks for.
        with contextlib.suppress(HaatError, RuntimeError):
            act()


TestOneCase = OneCase.TestCase
TestOneCase.settings = settings(
    max_examples=examples(12),
    stateful_step_count=14,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # Steps are writes to disk: a failure is told as it was found, making it smaller takes minutes.
    phases=[Phase.explicit, Phase.generate],
)
