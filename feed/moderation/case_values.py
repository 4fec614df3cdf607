"""What is a case? A subject that somebody has to look at, with all that was decided of it."""

from __future__ import annotations

from enum import IntEnum, IntFlag

import msgspec

from feed.moderation.subjects import Subject
from feed.verdict import Outcome, Verdict


class CaseState(IntEnum):
    """Numbers of haat.moderation.v1.Case.State."""

    # Waits for a person.
    OPEN = 1
    DECIDED = 2
    # Waits for a person who has not decided it before.
    APPEALED = 3
    # The appeal was decided.
    FINAL = 4


WAITING = frozenset({CaseState.OPEN, CaseState.APPEALED})


class Origin(IntFlag):
    """Where a case came from; several can be."""

    CHECKER = 1
    REPORTS = 2
    APPEAL = 4


class Instance(IntEnum):
    """Who decided: nobody but a program, the first person, or the second one on appeal."""

    AUTOMATED = 0
    FIRST = 1
    APPEAL = 2


class Stood(msgspec.Struct, frozen=True):
    """What held for a subject before a decision: which outcome, said by whom and why, and whether it was appealed where
    the subject is kept. `verdict` is None where the subject keeps none.
    """

    outcome: Outcome
    decided_by: str = ""
    verdict: Verdict | None = None
    appealed: bool = False


class Decision(msgspec.Struct, frozen=True):
    """One decision. `note` is for moderators alone. `undone_at_ms` is 0 while it stands; `gone` when its subject no
    longer was there.

    `subject_revision` is the subject's revision that was looked at, `revision_after` the one that it made. `stood` is
    what that takes back which takes the decision back; None of a program's.
    """

    decision_id: str
    instance: Instance
    outcome: Outcome
    outcome_before: Outcome
    reason: str
    decided_by: str
    decided_at_ms: int
    subject_revision: int
    revision_after: int = 0
    note: str = ""
    undone_at_ms: int = 0
    gone: bool = False
    stood: Stood | None = None


class Effect(msgspec.Struct, frozen=True):
    """What is still to be done to the subject: written with the decision, taken away when it is done.

    `restores` is what holds again when a decision is taken back, as far as more than its outcome is known.
    """

    outcome: Outcome
    expected_revision: int
    actor: str
    undo: bool = False
    restores: Stood | None = None


class Appeal(msgspec.Struct, frozen=True):
    """What the author said against a decision."""

    text: str
    at_ms: int


class Case(msgspec.Struct, frozen=True):
    """A case as it is stored; one subject has at most one that waits.

    `outcome` is what holds for the subject, `verdict` what was found, `priority` is risk × reach in thousandths of an
    expected view and orders the queue. `revision` grows with each write; `number` with each case.
    """

    tenant_id: str
    case_id: str
    subject: Subject
    author_id: str
    excerpt: str
    subject_revision: int
    state: CaseState
    origins: Origin
    outcome: Outcome
    verdict: Verdict
    reach: float
    priority: int
    opened_at_ms: int
    changed_at_ms: int
    reports: int = 0
    claimed_by: str = ""
    claimed_until_ms: int = 0
    decisions: tuple[Decision, ...] = ()
    appeal: Appeal | None = None
    effect: Effect | None = None
    revision: int = 1
    number: int = 0

    @property
    def waits(self) -> bool:
        """Is a person asked for?"""
        return self.state in WAITING

    @property
    def standing(self) -> Decision | None:
        """The newest decision that was not undone."""
        return next((decision for decision in reversed(self.decisions) if not decision.undone_at_ms), None)

    @property
    def first_deciders(self) -> frozenset[str]:
        """Who has decided in the first instance, whether it was undone or not: they decide no appeal."""
        return frozenset(d.decided_by for d in self.decisions if d.instance is Instance.FIRST)
