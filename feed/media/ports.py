"""What do media need from outside: a place for files, a record of what they are, and somebody who takes them in?"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from feed.media.record import ErasedMedia, Media
from feed.verdict import Outcome


class Upload(msgspec.Struct, frozen=True):
    """What a ticket allows: one upload of these bytes at most, of this type, by this creator, until it expires."""

    upload_id: str
    tenant_id: str
    creator_id: str
    content_type: str
    max_bytes: int
    expires_at_ms: int


class UploadAddress(msgspec.Struct, frozen=True):
    """Where to PUT the bytes, and the headers that must go along. The address is signed: it lets one do just that."""

    url: str
    headers: dict[str, str]


class MediaStore(Protocol):
    """A place for files: uploads that nobody has looked at, and renditions of our own making. All of it blocks.

    A rendition's name is `<media id>/<SHA-256>.<ending>`: what stands under a name never changes.
    """

    def upload_address(self, upload: Upload, ticket: str) -> UploadAddress:
        """Where the upload goes; `ticket` is its signed form."""

    def fetch_upload(self, upload: Upload, into: Path) -> None:
        """Copy what was uploaded to a file.

        NotFound when nothing was; InvalidInput when it is more than the ticket allows, or of another type.
        """

    def drop_upload(self, upload_id: str) -> None:
        """Forget the upload's bytes; nothing when there are none. The ticket stays used."""

    def drop_uploads_before(self, made_before_ms: int) -> int:
        """Forget all uploads whose id was made before; how many there were. Their tickets have expired by then."""

    def put(self, name: str, file: Path, content_type: str) -> None:
        """Keep a file under a name; done when it is safe."""

    def size(self, name: str) -> int | None:
        """Bytes of a file, None when there is none."""

    def read(self, name: str, start: int, length: int) -> Generator[bytes, None, None]:
        """`length` bytes from `start` on, in pieces of at most 64 KiB; NotFound when there is no such file."""

    def delete(self, names: Sequence[str]) -> int:
        """Delete files; how many of them there were."""


class UploadSink(Protocol):
    """Where an upload's bytes go while they come in."""

    def write(self, piece: bytes) -> None:
        """Take more bytes; InvalidInput when they are more than the ticket allows."""

    def commit(self) -> None:
        """All is there: keep it."""

    def abandon(self) -> None:
        """It broke off: forget it, so that the same ticket may be tried again."""


class UploadReceiver(Protocol):
    """Takes uploads in, where the files are kept by haat itself and not by an object store."""

    def begin(self, upload: Upload) -> UploadSink:
        """Open the upload; Conflict when its ticket was used."""


class MediaRecords(Protocol):
    """The record of media, ready or being made."""

    def begin(self, media: Media) -> None:
        """Note which files are about to be made, before they are: an erasure then finds them. Again replaces it."""

    def ready(self, media_id: str) -> None:
        """All files of the medium are there."""

    def find(self, tenant_id: str, media_ids: Sequence[str]) -> list[Media | None]:
        """One entry for each id: the tenant's medium when it is ready, else None."""

    def judge(self, tenant_id: str, media_id: str, outcome: Outcome, decided_by: str, expected_revision: int) -> Media:
        """Let this hold for a medium. NotFound; Conflict when its revision is another one than expected."""

    def withheld(self) -> list[str]:
        """Ids of the media of all tenants that are not clean."""

    def of_creator(self, tenant_id: str, creator_id: str, limit: int) -> list[Media]:
        """Media of a creator, ready or not, in any order."""

    def forget(self, media_ids: Sequence[str]) -> int:
        """Delete records; how many there were."""


class PostedMedia(Protocol):
    """What posts need of media."""

    def find(self, tenant_id: str, media_ids: Sequence[str]) -> Sequence[Media | None]:
        """One entry for each id: the tenant's medium when it is ready, else None; None for "" too."""

    def erase_creator(self, tenant_id: str, creator_id: str) -> ErasedMedia:
        """Delete all media of a creator."""


class NoMedia:
    """PostedMedia of a feed without media: nothing was ever uploaded."""

    def find(self, tenant_id: str, media_ids: Sequence[str]) -> list[None]:
        """None for each."""
        return [None] * len(media_ids)

    def erase_creator(self, tenant_id: str, creator_id: str) -> ErasedMedia:
        """Nothing was there."""
        return ErasedMedia(0, 0)
