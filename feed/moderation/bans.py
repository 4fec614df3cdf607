"""Which pictures may nobody publish? A list of each tenant, changed by moderators, every change in the audit trail."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from common.clock import Clock
from common.errors import Conflict, FieldError, InvalidInput, NotFound
from feed.media.record import Media
from feed.moderation.audit import AuditEntry
from feed.moderation.case_asking import ModeratorWrite, key_errors, note_errors
from feed.moderation.case_intake import CaseIntake
from feed.moderation.case_rules import CHECKER
from feed.moderation.check_ports import ImageBan, ImageBans
from feed.moderation.image_hash import read_stored
from feed.moderation.picture_keeper import JudgedMedia, PictureKeeper
from feed.moderation.pictures import KnownPictures
from feed.moderation.ports import Once
from feed.moderation.subjects import Subject, SubjectKind
from feed.post_rules import is_id, shown
from feed.verdict import Outcome, Verdict

BANNED: Final = "image_banned"
LIFTED: Final = "image_ban_lifted"
_HASH: Final = re.compile(r"[0-9a-f]{64}")


class Trail(Protocol):
    """The audit trail, which only grows; see feed.moderation.ports.CaseStore."""

    def note(self, entry: AuditEntry, once: Once) -> None:
        """Add a line that is about no case."""

    def was_done(self, tenant_id: str, once: Once) -> bool:
        """Was this write done before? Conflict when its key was used for another one."""

    def trail(self, tenant_id: str, case_id: str, after_position: int, limit: int) -> list[AuditEntry]:
        """The tenant's lines, oldest first."""


class Bans:
    """The use cases; all of them block."""

    def __init__(
        self,
        *,
        store: ImageBans,
        trail: Trail,
        known: KnownPictures,
        media: JudgedMedia,
        intake: CaseIntake,
        clock: Clock,
    ) -> None:
        self._store = store
        self._trail = trail
        self._known = known
        self._media = media
        self._intake = intake
        self._clock = clock

    def all(self, tenant_id: str) -> Sequence[ImageBan]:
        """Every ban, the oldest first."""
        return self._store.all(tenant_id)

    def add(self, write: ModeratorWrite, image_hash: str, media_id: str, reason: str) -> tuple[ImageBan, Sequence[str]]:
        """Ban a picture, by its hash (64 hexadecimal digits) or by a medium that shows it; the ban, and the media that
        were published with it and are taken away now. Banned twice it stays as it was.
        """
        errors = [*key_errors(write.idempotency_key), *note_errors(reason, "reason")]
        if not reason.strip():
            errors.append(FieldError("reason", "is empty", "say why nobody may publish it"))
        if bool(image_hash) == bool(media_id):
            errors.append(FieldError("image_hash", shown(image_hash), "give it or media_id, one of the two"))
        elif image_hash and not _HASH.fullmatch(image_hash):
            errors.append(FieldError("image_hash", shown(image_hash), "give the PDQ as 64 hexadecimal digits"))
        if errors:
            raise InvalidInput(errors)
        image_hash = image_hash or self._hash_of(write.tenant_id, media_id)
        now_ms = self._clock.now_ms()
        ban = ImageBan(image_hash, reason.strip(), write.moderator, now_ms)
        once = _once(write, BANNED, image_hash, ban.reason)
        if not self._trail.was_done(write.tenant_id, once) and self._store.add(write.tenant_id, ban):
            self._note(write, once, BANNED, ban, now_ms)
        self._known.ban(write.tenant_id, image_hash)
        return self._ban(write.tenant_id, image_hash), self._take_away(write.tenant_id, ban)

    def remove(self, write: ModeratorWrite, image_hash: str, note: str = "") -> ImageBan:
        """Lift a ban; the one that it was. What was taken away for it stays so until its case is decided."""
        if errors := [*key_errors(write.idempotency_key), *note_errors(note)]:
            raise InvalidInput(errors)
        once = _once(write, LIFTED, image_hash, note)
        if self._trail.was_done(write.tenant_id, once):
            return ImageBan(image_hash, "", "", 0)
        ban = self._ban(write.tenant_id, image_hash)
        self._store.remove(write.tenant_id, image_hash)
        self._known.lift(write.tenant_id, image_hash)
        self._note(write, once, LIFTED, ban, self._clock.now_ms(), note)
        return ban

    def undo(self, write: ModeratorWrite, position: int) -> tuple[ImageBan, bool]:
        """Take a change back, by the number of its entry in the audit trail; the ban, and whether it holds now."""
        found = self._trail.trail(write.tenant_id, "", position - 1, 1) if position > 0 else []
        if not found or found[0].position != position or found[0].action not in (BANNED, LIFTED):
            raise NotFound(f"entry {position} of the audit trail is no change of the list of bans")
        entry = found[0]
        ban = msgspec.json.decode(entry.before or entry.after, type=ImageBan)
        holds = any(one.image_hash == ban.image_hash for one in self._store.all(write.tenant_id))
        if holds is (entry.action == LIFTED):
            raise Conflict("it was taken back already, or changed since: list the bans again")
        if entry.action == BANNED:
            return self.remove(write, ban.image_hash, f"entry {position} taken back"), False
        return self.add(write, ban.image_hash, "", ban.reason)[0], True

    def _hash_of(self, tenant_id: str, media_id: str) -> str:
        media = self._media.find(tenant_id, [media_id])[0] if is_id(media_id) else None
        if media is None:
            raise NotFound(f"there is no picture {shown(media_id)}")
        if media.picture_hash is None:
            raise InvalidInput([FieldError("media_id", "is no picture", "give a picture: videos are not compared")])
        return read_stored(media.picture_hash).hex

    def _ban(self, tenant_id: str, image_hash: str) -> ImageBan:
        for ban in self._store.all(tenant_id):
            if ban.image_hash == image_hash:
                return ban
        raise NotFound(f"no picture with the hash {shown(image_hash)} is banned")

    def _take_away(self, tenant_id: str, ban: ImageBan) -> list[str]:
        """What was published already: each with a case of its own, so that its author hears of it and may appeal."""
        taken = []
        for media_id in self._known.published_like(tenant_id, bytes.fromhex(ban.image_hash)):
            media = self._media.find(tenant_id, [media_id])[0]
            if media is not None and media.outcome is Outcome.CLEAN:
                taken += self._withhold(tenant_id, media)
        return taken

    def _withhold(self, tenant_id: str, media: Media) -> list[str]:
        subject = Subject(SubjectKind.PICTURE, media.media_id)
        finding = self._known.banned(tenant_id, media)
        if finding is None:
            # It is so plain that others are like it by chance.
            return []
        verdict = Verdict(Outcome.REMOVED, finding.probability, (finding,), "bans")
        self._media.judge(tenant_id, media.media_id, Outcome.REMOVED, CHECKER, media.revision)
        facts = PictureKeeper(self._media).facts(tenant_id, subject)
        if facts is not None:
            self._intake.checked(tenant_id, subject, facts, verdict)
        return [media.media_id]

    def _note(self, write: ModeratorWrite, once: Once, action: str, ban: ImageBan, now_ms: int, note: str = "") -> None:
        said = msgspec.json.encode(ban).decode()
        before, after = ("", said) if action == BANNED else (said, "{}")
        entry = AuditEntry(write.tenant_id, "", now_ms, write.moderator, action, before, after, "", note or ban.reason)
        self._trail.note(entry, once)


def _once(write: ModeratorWrite, action: str, image_hash: str, said: str) -> Once:
    digest = hashlib.blake2b(f"{image_hash}\0{said}\0{write.moderator}".encode(), digest_size=16).hexdigest()
    return Once(write.idempotency_key, f"moderation.{action}", digest)
