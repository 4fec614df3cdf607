"""What speaks for and against somebody? The table of events, each with what it weighs."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final

import msgspec

_DAY_MS: Final = 86_400_000


class Role(IntEnum):
    """In which part somebody is judged; one person can have several, and each is a reputation of its own."""

    AUTHOR = 1
    REPORTER = 2
    # Reviews what was bought: verified by the purchase.
    REVIEWER = 3


# What was done so long ago counts half. Reports are many and quickly judged, reviews few.
HALF_LIFE_MS: Final = {Role.AUTHOR: 90 * _DAY_MS, Role.REPORTER: 60 * _DAY_MS, Role.REVIEWER: 180 * _DAY_MS}


class EventKind(StrEnum):
    """What happened."""

    POST_STOOD = "post_stood"
    POST_CLEARED = "post_cleared"
    POST_LIMITED = "post_limited"
    POST_REMOVED = "post_removed"
    SALE_KEPT = "sale_kept"
    SALE_RETURNED = "sale_returned"
    REPORT_UPHELD = "report_upheld"
    REPORT_REJECTED = "report_rejected"
    REVIEW_HELPFUL = "review_helpful"
    REVIEW_REMOVED = "review_removed"


class Weight(msgspec.Struct, frozen=True):
    """Whose event it is, and how much it speaks for (`good`) or against (`bad`)."""

    role: Role
    good: float
    bad: float
    meaning: str


WEIGHTS: Final[dict[EventKind, Weight]] = {
    EventKind.POST_STOOD: Weight(Role.AUTHOR, 1.0, 0.0, "a post stood for a week and nothing was wrong with it"),
    EventKind.POST_CLEARED: Weight(Role.AUTHOR, 1.0, 0.0, "a moderator looked at a post and found it in order"),
    EventKind.POST_LIMITED: Weight(Role.AUTHOR, 0.0, 3.0, "a moderator limited a post"),
    # It takes a dozen posts that stood to make up for one.
    EventKind.POST_REMOVED: Weight(Role.AUTHOR, 0.0, 12.0, "a moderator removed a post"),
    # Sales are many, and scams sell too: only what comes back tells them apart.
    EventKind.SALE_KEPT: Weight(Role.AUTHOR, 0.1, 0.0, "what a post sold was kept"),
    EventKind.SALE_RETURNED: Weight(Role.AUTHOR, 0.0, 0.5, "what a post sold was sent back"),
    EventKind.REPORT_UPHELD: Weight(Role.REPORTER, 1.0, 0.0, "a report was right"),
    EventKind.REPORT_REJECTED: Weight(Role.REPORTER, 0.0, 1.0, "a report was not right"),
    EventKind.REVIEW_HELPFUL: Weight(Role.REVIEWER, 1.0, 0.0, "a buyer found a review helpful"),
    EventKind.REVIEW_REMOVED: Weight(Role.REVIEWER, 0.0, 4.0, "a moderator removed a review"),
}


class ReputationEvent(msgspec.Struct, frozen=True):
    """Something that speaks for or against a person; `event_id` makes it count once. `subject_id` names what it is
    about, `cause_id` the decision with which it is taken back. `person_id` is a creator, or a digest that stands for
    a reporter.
    """

    tenant_id: str
    event_id: str
    person_id: str
    kind: EventKind
    at_ms: int
    subject_id: str = ""
    cause_id: str = ""

    @property
    def role(self) -> Role:
        """In which part it judges the person."""
        return WEIGHTS[self.kind].role
