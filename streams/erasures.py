"""Who was erased, and which records are of them? A digest recognises a person's records and names nobody.

Readers of old records (indexes that are made again, trainings, restored backups) pass over what `Erasures` says is
forgotten; what the log itself holds of a person is taken out of it by `scrub`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Protocol

import msgspec

from streams import schemas
from streams.feed_events import FeedActionTaken, FeedPageServed, PersonErased, PostChanged
from streams.ports import EventLog, Record
from streams.schemas import Event, NoticesTaken
from streams.topics import ERASURES, FEED_ACTIONS, FEED_PAGES, NOTICES, POSTS

_AT_ONCE = 1_000
_Named = FeedPageServed | FeedActionTaken | PostChanged
# Topics whose events name people in fields of their own.
SCRUBBED = (POSTS.name, FEED_PAGES.name, FEED_ACTIONS.name, NOTICES.name)


class RewritableLog(Protocol):
    """An event log of which a record may be replaced, for erasure alone: its offset and time stay."""

    def read(self, topic: str, offset: int, limit: int = 1000) -> list[Record]:
        """See EventLog."""

    def end(self, topic: str) -> int:
        """See EventLog."""

    def rewrite(self, topic: str, payloads: dict[int, bytes]) -> None:
        """Replace records by offset, all or none; offsets that retention dropped are passed over."""


def digest_of(tenant_id: str, person_id: str) -> bytes:
    """16 bytes that stand for a person of a tenant in tombstones."""
    named = f"{tenant_id}\0{person_id}".encode(errors="surrogatepass")
    return hashlib.blake2b(named, digest_size=16, person=b"erased").digest()


class Erasures:
    """Every erasure that the log knows."""

    def __init__(self) -> None:
        self._erased_at_ms: dict[bytes, int] = {}
        self._read = 0

    def follow(self, log: EventLog) -> int:
        """Read what is new; how many erasures are known."""
        while records := log.read(ERASURES.name, self._read, _AT_ONCE):
            for record in records:
                event = schemas.decode(ERASURES.name, record)
                if isinstance(event, PersonErased):
                    self.add(event)
            self._read = records[-1].offset + 1
        return len(self._erased_at_ms)

    def add(self, event: PersonErased) -> None:
        """Take one erasure in."""
        known = self._erased_at_ms.get(event.person_digest, 0)
        self._erased_at_ms[event.person_digest] = max(known, event.erased_at_ms)

    def forgotten(self, tenant_id: str, person_id: str, at_ms: int) -> bool:
        """Was this person erased at or after `at_ms`? Whoever comes back later is somebody new."""
        if not person_id or not self._erased_at_ms:
            return False
        return at_ms <= self._erased_at_ms.get(digest_of(tenant_id, person_id), -1)


def scrub(log: RewritableLog, tenant_id: str, person_id: str) -> int:
    """Take a person's id out of every record of the log that names it in a field; how many there were.

    The records stay, as those of somebody unknown: counts and money still add up. Reads all that retention keeps of
    four topics, some 100,000 records a second.
    """
    scrubbed = 0
    for topic in SCRUBBED:
        for records in _portions(log, topic):
            changed = {
                record.offset: schemas.encode(clean)
                for record in records
                # Most records do not hold the id: those need not be read.
                if person_id.encode(errors="surrogatepass") in record.payload
                and (clean := _without(schemas.decode(topic, record), tenant_id, person_id)) is not None
            }
            if changed:
                log.rewrite(topic, changed)
            scrubbed += len(changed)
    return scrubbed


def _portions(log: RewritableLog, topic: str) -> Iterator[list[Record]]:
    offset, end = 0, log.end(topic)
    while offset < end and (records := log.read(topic, offset, _AT_ONCE)):
        yield records
        offset = records[-1].offset + 1


def _without(event: Event | schemas.Unreadable, tenant_id: str, person_id: str) -> Event | None:
    """The event without the person; None when it says nothing of them."""
    if isinstance(event, NoticesTaken):
        # A visitor's id is the same one in every shop of the exchange, as the profile is.
        notices = tuple(
            msgspec.structs.replace(one, visitor_id="") if one.visitor_id == person_id else one for one in event.notices
        )
        return None if notices == event.notices else NoticesTaken(event.taken_at_ms, notices)
    if isinstance(event, (FeedPageServed, FeedActionTaken, PostChanged)) and event.tenant_id == tenant_id:
        return _blanked(event, person_id)
    return None


def _blanked(event: _Named, person_id: str) -> _Named | None:
    named = [name for name in ("visitor_id", "creator_id", "subject_id") if getattr(event, name, None) == person_id]
    return msgspec.structs.replace(event, **dict.fromkeys(named, "")) if named else None
