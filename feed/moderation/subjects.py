"""What can be moderated? Posts, comments, profiles and pictures, each named by kind and id."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from feed.verdict import Outcome, Verdict


class SubjectKind(IntEnum):
    """Numbers of haat.moderation.v1.SubjectKind."""

    POST = 1
    COMMENT = 2
    PROFILE = 3
    PICTURE = 4


class Subject(msgspec.Struct, frozen=True):
    """One thing that can be moderated, within its tenant."""

    kind: SubjectKind
    id: str


class SubjectFacts(msgspec.Struct, frozen=True):
    """What a subject is at this moment.

    `revision` is the subject's own; `outcome` what holds for it, and `decided_by` who said so; `excerpt` shows a
    moderator what it is about, as plain text of at most 500 characters. `media_ids` are the photos and videos in it.
    `verdict` is why it holds, and `appealed` whether its author has appealed against that, where it keeps them.
    """

    author_id: str
    revision: int
    outcome: Outcome
    excerpt: str = ""
    decided_by: str = ""
    media_ids: tuple[str, ...] = ()
    verdict: Verdict | None = None
    appealed: bool = False
