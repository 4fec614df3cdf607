"""What did moderation find in a post, a comment or a picture, and what becomes of it?"""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec


class Label(StrEnum):
    """What can be wrong; each has a threshold of its own and a sentence for its author."""

    HATE = "hate"
    OFFENSIVE = "offensive"
    SPAM = "spam"
    SCAM_LINK = "scam_link"
    CLICKBAIT = "clickbait"
    BANNED_IMAGE = "banned_image"
    COPIED_IMAGE = "copied_image"
    # Nothing is wrong with the text: too much came too fast from somebody who is not trusted yet.
    VELOCITY = "velocity"
    # A person said so.
    REPORTED = "reported"


class Outcome(IntEnum):
    """What becomes of what was checked; a higher one is harsher."""

    CLEAN = 0
    # Shown only where it was asked for, and looked at by a person.
    LIMITED = 1
    # Seen by its author alone until a person has looked.
    HELD = 2
    REMOVED = 3


class Finding(msgspec.Struct, frozen=True):
    """One thing that was found: how sure, 0 to 1, beside the threshold that it passed; `where` names the field,
    `evidence` quotes at most 80 characters of it, or says in words what was seen.
    """

    label: Label
    probability: float
    threshold: float
    where: str
    evidence: str


class Verdict(msgspec.Struct, frozen=True):
    """`risk` is 0 to 1 and orders the queue of those who look; `checked_by` is the version of models and rules."""

    outcome: Outcome
    risk: float
    findings: tuple[Finding, ...] = ()
    checked_by: str = ""
