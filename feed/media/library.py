"""How does an upload become a medium that can be posted? A ticket, the bytes, a look at them, files of our own."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec
from PIL import Image

from common.clock import Clock
from common.errors import FieldError, InvalidInput, NotFound, PermissionDenied
from common.ids import new_id
from feed.media import quotas, sniffing, video
from feed.media.ports import MediaRecords, MediaStore, Upload, UploadAddress
from feed.media.quotas import UNLIMITED, QuotaOf, UploadCounts
from feed.media.record import ErasedMedia, Media, MediaKind, Rendition
from feed.media.refused import MediaRefused
from feed.media.tickets import TicketRefusal, Tickets
from feed.media.video import VideoLimits
from feed.media.withheld import Withheld
from feed.post_rules import is_id
from feed.post_text import shown
from feed.verdict import Outcome

# What pictures are compared by: of a picture of our own making, so it is opened without fear.
HashOf = Callable[[Image.Image], bytes | None]
# An upload that ended in time may be finished a while later.
FINISH_WITHIN_MS: Final = 3_600_000
_TYPES: Final = (*sniffing.IMAGE_TYPES, *sniffing.VIDEO_TYPES)
_AT_ONCE: Final = 500
_PIECE: Final = 1 << 20


class Renderer(Protocol):
    """Who makes renditions of a picture."""

    def render(self, source: Path, folder: Path, declared: str) -> list[Rendition]:
        """Write them into `folder`, narrow ones first; MediaRefused when the picture is not taken."""


class UploadStarted(msgspec.Struct, frozen=True):
    """Where the bytes go, until when, and the ticket to finish with."""

    ticket: str
    address: UploadAddress
    expires_at_ms: int


def no_hash(image: Image.Image) -> None:
    """Of a feed that compares no pictures."""


class MediaLibrary:
    """The use cases of media; all of them block. `ticket_ms` is how long an upload may take to begin. What moderators
    took away is in `withheld`.
    """

    def __init__(
        self,
        *,
        store: MediaStore,
        records: MediaRecords,
        tickets: Tickets,
        clock: Clock,
        images: Renderer,
        image_max_bytes: int,
        video_limits: VideoLimits,
        work_dir: Path,
        ticket_ms: int,
        hash_of: HashOf = no_hash,
        counts: UploadCounts | None = None,
        quota_of: QuotaOf = lambda tenant_id, creator_id: UNLIMITED,
    ) -> None:
        self._store = store
        self._records = records
        self._tickets = tickets
        self._clock = clock
        self._images = images
        self._image_max_bytes = image_max_bytes
        self._video_limits = video_limits
        self._work_dir = work_dir
        self._ticket_ms = ticket_ms
        self._hash_of = hash_of
        self._counts = counts
        self._quota_of = quota_of
        self.withheld = Withheld(records.withheld())

    def start(self, tenant_id: str, creator_id: str, content_type: str, size_bytes: int) -> UploadStarted:
        """A ticket for one upload of exactly this type and at most this many bytes.

        InvalidInput names every field that cannot be taken, also what is beyond today's quota.
        """
        errors = []
        if not is_id(creator_id):
            errors.append(FieldError("creator_id", shown(creator_id), "give 1 to 64 printable characters"))
        if content_type not in _TYPES:
            errors.append(FieldError("content_type", shown(content_type), "give one of " + ", ".join(_TYPES)))
        most = self._video_limits.max_bytes if content_type in sniffing.VIDEO_TYPES else self._image_max_bytes
        if not 0 < size_bytes <= most:
            errors.append(FieldError("size_bytes", str(size_bytes), f"upload 1 to {most} bytes"))
        if errors:
            raise InvalidInput(errors)
        now_ms = self._clock.now_ms()
        self._count(tenant_id, creator_id, size_bytes, now_ms)
        upload = Upload(new_id(now_ms), tenant_id, creator_id, content_type, size_bytes, now_ms + self._ticket_ms)
        ticket = self._tickets.sign(upload)
        return UploadStarted(ticket, self._store.upload_address(upload, ticket), upload.expires_at_ms)

    def finish(self, tenant_id: str, ticket: str) -> Media:
        """Look at what was uploaded and make of it what is shown; again gives the same medium.

        PermissionDenied for a ticket that is not ours or too old, NotFound when nothing was uploaded by it or it is
        another tenant's, InvalidInput with what is wrong with the bytes.
        """
        upload = self._tickets.read(ticket, self._clock.now_ms(), grace_ms=FINISH_WITHIN_MS)
        if upload is TicketRefusal.ALTERED:
            raise PermissionDenied("this ticket is not one of ours: start another upload")
        if upload is TicketRefusal.EXPIRED:
            raise PermissionDenied("this ticket has expired: start another upload")
        if upload.tenant_id != tenant_id:
            raise NotFound("nothing was uploaded with this ticket")
        if (known := self._records.find(tenant_id, [upload.upload_id])[0]) is not None:
            return known
        self._work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._work_dir) as folder:
            source = Path(folder) / "upload"
            self._store.fetch_upload(upload, source)
            try:
                media = self._made(upload, source, Path(folder))
            except MediaRefused as refused:
                self._store.drop_upload(upload.upload_id)
                raise InvalidInput([FieldError("upload", refused.found, refused.remedy)]) from None
            self._records.begin(media)
            for rendition in media.renditions:
                file = Path(folder) / rendition.name
                self._store.put(f"{media.media_id}/{rendition.name}", file, rendition.content_type)
            self._records.ready(media.media_id)
        self._store.drop_upload(upload.upload_id)
        return media

    def find(self, tenant_id: str, media_ids: Sequence[str]) -> list[Media | None]:
        """One entry for each id: the tenant's medium when it is ready, else None."""
        return self._records.find(tenant_id, media_ids)

    def judge(self, tenant_id: str, media_id: str, outcome: Outcome, decided_by: str, expected_revision: int) -> Media:
        """A moderator's word on a picture: not clean, it is its creator's alone. NotFound, Conflict."""
        judged = self._records.judge(tenant_id, media_id, outcome, decided_by, expected_revision)
        self.withheld.note(judged)
        return judged

    def erase_creator(self, tenant_id: str, creator_id: str) -> ErasedMedia:
        """Delete all media of a creator, files first, so that what breaks off is found again by the next try."""
        media = files = 0
        while found := self._records.of_creator(tenant_id, creator_id, _AT_ONCE):
            names = [f"{one.media_id}/{rendition.name}" for one in found for rendition in one.renditions]
            files += self._store.delete(names)
            for one in found:
                self._store.drop_upload(one.media_id)
            media += self._records.forget([one.media_id for one in found])
        if self._counts is not None:
            self._counts.forget(tenant_id, creator_id)
        return ErasedMedia(media, files)

    def drop_stale_uploads(self) -> int:
        """Forget uploads that can be finished no longer; how many there were."""
        if self._counts is not None:
            self._counts.drop_before(self._clock.now_ms() // quotas.DAY_MS)
        return self._store.drop_uploads_before(self._clock.now_ms() - self._ticket_ms - FINISH_WITHIN_MS)

    def _count(self, tenant_id: str, creator_id: str, size_bytes: int, now_ms: int) -> None:
        """What is announced counts, whether it comes or not: so nobody fills the disk with what is never finished."""
        if self._counts is None:
            return
        quota = self._quota_of(tenant_id, creator_id)
        used = self._counts.take(tenant_id, creator_id, now_ms // quotas.DAY_MS, size_bytes, quota)
        if used is not None:
            raise InvalidInput(quotas.errors_of(used, size_bytes, quota))

    def _made(self, upload: Upload, source: Path, folder: Path) -> Media:
        if upload.content_type in sniffing.VIDEO_TYPES:
            return self._video(upload, source, folder)
        renditions = self._images.render(source, folder, upload.content_type)
        # The JPEG of the narrowest is enough to compare pictures by.
        smallest = next(one for one in renditions if one.content_type == sniffing.JPEG)
        with Image.open(folder / smallest.name, formats=["JPEG"]) as image:
            picture_hash = self._hash_of(image.convert("RGB"))
        widest = renditions[-1]
        return self._media(upload, MediaKind.IMAGE, widest.width, widest.height, 0, tuple(renditions), picture_hash)

    def _video(self, upload: Upload, source: Path, folder: Path) -> Media:
        probed = video.probe(source, upload.content_type, self._video_limits)
        video.blank_out(source, probed)
        ending = "mp4" if upload.content_type == sniffing.MP4 else "webm"
        with source.open("rb") as file:
            digest = hashlib.sha256()
            while piece := file.read(_PIECE):
                digest.update(piece)
        name = f"{digest.hexdigest()}.{ending}"
        source.rename(folder / name)
        size_bytes = (folder / name).stat().st_size
        rendition = Rendition(name, upload.content_type, probed.width, probed.height, size_bytes)
        return self._media(upload, MediaKind.VIDEO, probed.width, probed.height, probed.duration_ms, (rendition,), None)

    def _media(
        self,
        upload: Upload,
        kind: MediaKind,
        width: int,
        height: int,
        duration_ms: int,
        renditions: tuple[Rendition, ...],
        picture_hash: bytes | None,
    ) -> Media:
        return Media(
            media_id=upload.upload_id, tenant_id=upload.tenant_id, creator_id=upload.creator_id, kind=kind,
            width=width, height=height, duration_ms=duration_ms, renditions=renditions, picture_hash=picture_hash,
            created_at_ms=self._clock.now_ms(),
        )  # fmt: skip
