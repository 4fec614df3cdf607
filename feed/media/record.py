"""What is remembered of a photo or a video that was uploaded?"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from feed.verdict import Outcome


class MediaKind(IntEnum):
    """Numbers of haat.feed.v1.PostMedia.Kind."""

    IMAGE = 1
    VIDEO = 2


class Rendition(msgspec.Struct, frozen=True, gc=False):
    """One file of a medium. `name` is the SHA-256 of its bytes with the ending of its type; sizes in pixels, bytes."""

    name: str
    content_type: str
    width: int
    height: int
    size_bytes: int


class Media(msgspec.Struct, frozen=True):
    """A photo or a video, ready to be posted. `renditions` go from narrow to wide, WebP before JPEG.

    `width` and `height` are those of the widest (0 where a video does not say them); `picture_hash` is what pictures
    are compared by, None where there is none. `outcome` is what moderators made of it: nobody but its creator sees one
    that is not clean. `revision` grows with each decision.
    """

    media_id: str
    tenant_id: str
    creator_id: str
    kind: MediaKind
    width: int
    height: int
    duration_ms: int
    renditions: tuple[Rendition, ...]
    picture_hash: bytes | None = None
    created_at_ms: int = 0
    outcome: Outcome = Outcome.CLEAN
    decided_by: str = ""
    revision: int = 1


class ErasedMedia(msgspec.Struct, frozen=True):
    """What an erasure deleted: media, and their files."""

    media: int
    files: int
