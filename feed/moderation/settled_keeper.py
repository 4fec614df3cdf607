"""How is what has states and no cases moderated? One Moderated over any use cases that get a work and settle it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from common.errors import NotFound
from feed.moderation.case_intake import CaseIntake
from feed.moderation.case_values import Stood
from feed.moderation.subjects import Subject, SubjectFacts, SubjectKind
from feed.verdict import Outcome, Verdict

Work = TypeVar("Work")


class SettledKeeper(Generic[Work]):
    """Moderated over `get` (tenant, id; NotFound) and `settle` (tenant, id, verdict, expected revision, who decides),
    which gives the revision afterwards; Conflict when the work has another one than expected. Both block.
    """

    def __init__(
        self,
        get: Callable[[str, str], Work],
        settle: Callable[[str, str, Verdict, int, str], int],
        facts_of: Callable[[Work], SubjectFacts | None],
    ) -> None:
        self._get = get
        self._settle = settle
        self._facts_of = facts_of

    def facts(self, tenant_id: str, subject: Subject) -> SubjectFacts | None:
        """What the work is now; None of one that is not there, or nobody's business any more."""
        try:
            return self._facts_of(self._get(tenant_id, subject.id))
        except NotFound:
            return None

    def decide(
        self, tenant_id: str, subject: Subject, outcome: Outcome, verdict: Verdict, actor: str, expected_revision: int
    ) -> int:
        """Let it hold; the work's revision afterwards."""
        verdict = msgspec.structs.replace(verdict, outcome=outcome)
        return self._settle(tenant_id, subject.id, verdict, expected_revision, actor)

    def restore(
        self, tenant_id: str, subject: Subject, stood: Stood, verdict: Verdict, actor: str, expected_revision: int
    ) -> int:
        """Let it hold again; the work's revision afterwards."""
        return self.decide(tenant_id, subject, stood.outcome, verdict, actor, expected_revision)


def tell_intake(
    intake: CaseIntake, tenant_id: str, kind: SubjectKind, id_: str, facts: SubjectFacts | None, verdict: Verdict
) -> None:
    """Make a case of what the checker held or limited, and close one that it clears; nothing without facts."""
    if facts is not None:
        intake.checked(tenant_id, Subject(kind, id_), facts, verdict)
