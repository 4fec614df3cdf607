"""What is a report, and what is known of who makes it?"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from feed.moderation.subjects import Subject


class ReportReason(IntEnum):
    """Numbers of haat.moderation.v1.ReportReason."""

    HATE = 1
    OFFENSIVE = 2
    SPAM = 3
    SCAM = 4
    CLICKBAIT = 5
    INFRINGEMENT = 6
    PRIVACY = 7
    ILLEGAL_PRODUCT = 8
    ADULT = 9
    OTHER = 10


class Judgement(IntEnum):
    """What a decision made of a report."""

    OPEN = 0
    UPHELD = 1
    REJECTED = 2


class Report(msgspec.Struct, frozen=True):
    """A report as it is stored. `reporter` is a digest that names nobody; `remembered` when it stands for a visitor who
    agreed to be remembered, else for a session.
    """

    tenant_id: str
    report_id: str
    subject: Subject
    subject_revision: int
    reporter: str
    remembered: bool
    reason: ReportReason
    text: str
    at_ms: int
    judged: Judgement = Judgement.OPEN


class Track(msgspec.Struct, frozen=True):
    """A reporter's record: how many reports were upheld and rejected, decayed to now."""

    upheld: float = 0.0
    rejected: float = 0.0
