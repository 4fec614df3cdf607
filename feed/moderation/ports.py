"""What does moderation need from outside: what it decides about, how far that goes, a record, and who is believed?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from feed.moderation.audit import AuditEntry
from feed.moderation.case_values import Case, Decision, Stood
from feed.moderation.queue import Place, QueueFilter
from feed.moderation.report_values import Report, Track
from feed.moderation.subjects import Subject, SubjectFacts
from feed.verdict import Outcome, Verdict


class Moderated(Protocol):
    """Who keeps subjects of some kind: posts, comments, profiles, pictures. Both block."""

    def facts(self, tenant_id: str, subject: Subject) -> SubjectFacts | None:
        """What the subject is now; None when the tenant has no such subject (any more)."""

    def decide(
        self,
        tenant_id: str,
        subject: Subject,
        outcome: Outcome,
        verdict: Verdict,
        actor: str,
        expected_revision: int,
    ) -> int:
        """Let `outcome` hold for the subject; its revision afterwards.

        Conflict when the subject's revision is another one than expected, NotFound when it is gone. The same outcome
        again changes nothing. `actor` is "checker", "reports" or the id of a moderator's key.
        """

    def restore(
        self,
        tenant_id: str,
        subject: Subject,
        stood: Stood,
        verdict: Verdict,
        actor: str,
        expected_revision: int,
    ) -> int:
        """Let what `stood` before a decision hold again for the subject; its revision afterwards. Done by `actor`
        already, it changes nothing. Errors as `decide`; `verdict` is for a subject that keeps none.
        """


class ExpectedReach(Protocol):
    """How far would subjects go?"""

    def views(self, tenant_id: str, subjects: Sequence[Subject]) -> Sequence[float]:
        """Views expected within the next day if nothing were limited, one for each subject; 0 where nothing is known.

        No I/O.
        """


class Consequences(Protocol):
    """Who is to know of decisions: reputations. Both block, and both may be told the same again."""

    def decided(self, case: Case, decision: Decision, reporters: Sequence[str]) -> None:
        """A person's decision was carried out."""

    def undone(self, case: Case, decision: Decision) -> None:
        """It was taken back."""


class Once(msgspec.Struct, frozen=True):
    """The idempotency key of a write, its method, and a digest of what it asks for."""

    key: str
    method: str
    digest: str


class CaseWrite(msgspec.Struct, frozen=True):
    """One case to be stored, with its line in the audit trail. `expected_revision` 0 makes a new one.

    `holds` is a decision that with this write came to hold, or was taken back: an event tells of it. `newest_id` goes
    with a new case: the id of its subject's newest one as it was read, empty for none; None does not look.
    """

    case: Case
    expected_revision: int
    entry: AuditEntry
    once: Once | None = None
    holds: Decision | None = None
    newest_id: str | None = None


class QueueFigures(msgspec.Struct, frozen=True):
    """How long the queue is and how old, and how often a second look came to something else.

    Decisions are those of people that stand; `overturned` of them were changed on appeal.
    """

    waiting: int
    appeals: int
    claimed: int
    oldest_at_ms: int
    decided: int
    appeals_decided: int
    overturned: int
    undone: int


class CaseStore(Protocol):
    """The record of cases and their audit trail, which only grows."""

    def case(self, tenant_id: str, case_id: str) -> Case | None:
        """The tenant's case; None when it has no such case."""

    def waiting_case_of(self, tenant_id: str, subject: Subject) -> Case | None:
        """The case of a subject that waits for a person, or whose decision is still to be carried out."""

    def newest_case_of(self, tenant_id: str, subject: Subject) -> Case | None:
        """The newest case of a subject, whatever its state."""

    def was_done(self, tenant_id: str, once: Once) -> bool:
        """Was this write done before? Conflict when its key was used for another one."""

    def save(self, writes: Sequence[CaseWrite]) -> None:
        """Store all or nothing, each with its line in the trail and, where a decision came to hold, its event.

        Conflict when a case has another revision than expected, or when its subject has a case that waits already.
        """

    def queue(self, tenant_id: str, wanted: QueueFilter, after: Place | None, limit: int) -> list[Case]:
        """Cases beyond a place, in the order of the queue."""

    def unfinished(self, limit: int) -> list[Case]:
        """Cases of all tenants whose decisions are still to be carried out, oldest first."""

    def waiting(self, after_number: int, limit: int) -> list[Case]:
        """Cases of all tenants that wait, by number."""

    def set_reach(self, case: Case, reach: float, priority: int) -> None:
        """How far it would go by now; no revision is made of it, and a case that changed meanwhile stays as it is."""

    def trail(self, tenant_id: str, case_id: str, after_position: int, limit: int) -> list[AuditEntry]:
        """The tenant's lines, of one case or ("") of all, oldest first."""

    def figures(self, tenant_id: str, now_ms: int) -> QueueFigures:
        """Of one tenant, or ("") of all."""

    def cases_of(self, tenant_id: str, author_id: str) -> list[Case]:
        """All cases of an author."""


class ReportStore(Protocol):
    """The record of reports."""

    def add(self, report: Report) -> bool:
        """Store it; False when the reporter has reported the subject before."""

    def count_since(self, tenant_id: str, reporter: str, since_ms: int) -> int:
        """How many subjects a reporter has reported since."""

    def open_of(self, tenant_id: str, subject: Subject, limit: int) -> list[Report]:
        """Reports of a subject that no decision has judged, oldest first."""

    def of_subject(self, tenant_id: str, subject: Subject, limit: int) -> list[Report]:
        """All reports of a subject, newest first."""

    def subjects_of(self, tenant_id: str, reporters: Sequence[str], since_ms: int) -> dict[str, frozenset[Subject]]:
        """What each of these has reported since, without what was upheld."""

    def judge(self, case: Case, revision: int, *, upheld: bool) -> list[str]:
        """A case's decision judges the reports of its subject up to a revision, those that no other case has judged;
        who made them. Judged again, by an appeal say, they are what the newest decision makes of them.
        """

    def unjudge(self, case: Case) -> None:
        """The case's decision was taken back: the reports that it judged are open again."""

    def forget_reporter(self, tenant_id: str, reporter: str) -> int:
        """Drop a person's reports; how many."""

    def forget_subject(self, tenant_id: str, subject: Subject) -> int:
        """Drop the reports of a subject; how many."""


class Offsets(Protocol):
    """How far a follower has read the log."""

    def read_upto(self, topic: str) -> int:
        """The offset from which on nothing is read yet."""

    def move(self, topic: str, from_offset: int, upto_offset: int) -> bool:
        """Go on from there; False when another has moved it meanwhile."""


class ReporterTracks(Protocol):
    """How right was a reporter before?"""

    def tracks(self, tenant_id: str, reporters: Sequence[str], now_ms: int) -> list[Track]:
        """One for each reporter; one that nothing is known of has no evidence. May block."""


class AuthorReputation(Protocol):
    """What is an author worth?"""

    def reputation(self, tenant_id: str, author_id: str) -> float:
        """0 to 1; no I/O."""
