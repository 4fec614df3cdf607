"""How are single pictures moderated? Moderated over what was uploaded: a picture is seen by others, or by nobody else.

What is limited, held or removed is its creator's alone: posts and profiles that show it stay, with an empty place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from feed.media.record import Media
from feed.moderation.case_values import Stood
from feed.moderation.subjects import Subject, SubjectFacts
from feed.verdict import Outcome, Verdict


class JudgedMedia(Protocol):
    """The use cases of media that moderation needs; both block."""

    def find(self, tenant_id: str, media_ids: Sequence[str], /) -> Sequence[Media | None]:
        """One entry for each id: the tenant's medium when it is ready, else None."""

    def judge(
        self, tenant_id: str, media_id: str, outcome: Outcome, decided_by: str, expected_revision: int, /
    ) -> Media:
        """A moderator's word; Conflict when the medium has another revision, NotFound."""


class PictureKeeper:
    """Moderated for pictures and videos: a subject's id is the medium's."""

    def __init__(self, media: JudgedMedia) -> None:
        self._media = media

    def facts(self, tenant_id: str, subject: Subject) -> SubjectFacts | None:
        """What the picture is now; None of one that was never finished, or erased."""
        media = self._media.find(tenant_id, [subject.id])[0]
        if media is None:
            return None
        said = f"{media.kind.name.lower()} of {media.width} × {media.height}"
        return SubjectFacts(
            media.creator_id, media.revision, media.outcome, said, media.decided_by, (media.media_id,)
        )  # fmt: skip

    def decide(
        self, tenant_id: str, subject: Subject, outcome: Outcome, verdict: Verdict, actor: str, expected_revision: int
    ) -> int:
        """Let it hold; the medium's revision afterwards."""
        return self._media.judge(tenant_id, subject.id, outcome, actor, expected_revision).revision

    def restore(
        self, tenant_id: str, subject: Subject, stood: Stood, verdict: Verdict, actor: str, expected_revision: int
    ) -> int:
        """Let it hold again; the medium's revision afterwards."""
        return self.decide(tenant_id, subject, stood.outcome, verdict, actor, expected_revision)
