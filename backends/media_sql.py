"""How is the record of media kept in SQL? MediaRecords on any engine that SQLAlchemy knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import Engine, Row, delete, insert, select, update

from backends.sql import chunks, reading, writing
from backends.sql_tables_media import MEDIA
from common.errors import Conflict, NotFound
from feed.media.record import Media, MediaKind, Rendition
from feed.verdict import Outcome


class _Facts(msgspec.Struct, frozen=True):
    kind: MediaKind
    width: int
    height: int
    duration_ms: int
    renditions: tuple[Rendition, ...]


_FACTS = msgspec.json.Decoder(_Facts)


class SqlMediaRecords:
    """MediaRecords over an engine of backends.sql. May be used from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, media: Media) -> None:
        """Note a medium whose files are about to be made."""
        facts = _Facts(media.kind, media.width, media.height, media.duration_ms, media.renditions)
        row = {
            "media_id": media.media_id,
            "tenant_id": media.tenant_id,
            "creator_id": media.creator_id,
            "facts": msgspec.json.encode(facts).decode(),
            "picture_hash": media.picture_hash,
            "created_at_ms": media.created_at_ms,
            "ready": False,
        }
        with writing(self._engine) as connection:
            connection.execute(delete(MEDIA).where(MEDIA.c.media_id == media.media_id))
            connection.execute(insert(MEDIA), [row])

    def ready(self, media_id: str) -> None:
        """All files are there."""
        with writing(self._engine) as connection:
            connection.execute(update(MEDIA).where(MEDIA.c.media_id == media_id).values(ready=True))

    def find(self, tenant_id: str, media_ids: Sequence[str]) -> list[Media | None]:
        """One entry for each id."""
        # What is no id of ours is not looked for: some engines refuse characters that an id could hold.
        asked = {media_id for media_id in media_ids if len(media_id) == 32 and media_id.isalnum()}
        found: dict[str, Media] = {}
        if asked:
            with reading(self._engine) as connection:
                for some in chunks(asked):
                    query = select(MEDIA).where(
                        MEDIA.c.tenant_id == tenant_id, MEDIA.c.media_id.in_(some), MEDIA.c.ready
                    )
                    found |= {row.media_id: _media(row) for row in connection.execute(query)}
        return [found.get(media_id) for media_id in media_ids]

    def judge(self, tenant_id: str, media_id: str, outcome: Outcome, decided_by: str, expected_revision: int) -> Media:
        """Let an outcome hold; the medium afterwards."""
        own = (MEDIA.c.tenant_id == tenant_id) & (MEDIA.c.media_id == media_id) & MEDIA.c.ready
        with writing(self._engine) as connection:
            row = connection.execute(select(MEDIA).where(own)).first()
            if row is None:
                raise NotFound("there is no such picture")
            before = _media(row)
            if before.revision != expected_revision:
                raise Conflict(
                    f"the picture is at revision {before.revision} and not at {expected_revision}: look again"
                )
            if before.outcome is outcome:
                return before
            after = replace(before, outcome=outcome, decided_by=decided_by, revision=before.revision + 1)
            values = {"outcome": int(outcome), "decided_by": decided_by, "revision": after.revision}
            connection.execute(update(MEDIA).where(own).values(values))
            return after

    def withheld(self) -> list[str]:
        """Those that are not clean."""
        with reading(self._engine) as connection:
            query = select(MEDIA.c.media_id).where(MEDIA.c.outcome > int(Outcome.CLEAN))
            return list(connection.execute(query).scalars())

    def of_creator(self, tenant_id: str, creator_id: str, limit: int) -> list[Media]:
        """Media of a creator."""
        query = select(MEDIA).where(MEDIA.c.tenant_id == tenant_id, MEDIA.c.creator_id == creator_id).limit(limit)
        with reading(self._engine) as connection:
            return [_media(row) for row in connection.execute(query)]

    def forget(self, media_ids: Sequence[str]) -> int:
        """Delete records."""
        gone = 0
        with writing(self._engine) as connection:
            for some in chunks(media_ids):
                gone += connection.execute(delete(MEDIA).where(MEDIA.c.media_id.in_(some))).rowcount
        return gone


def _media(row: Row[Any]) -> Media:
    facts = _FACTS.decode(row.facts)
    return Media(
        media_id=row.media_id,
        tenant_id=row.tenant_id,
        creator_id=row.creator_id,
        kind=facts.kind,
        width=facts.width,
        height=facts.height,
        duration_ms=facts.duration_ms,
        renditions=facts.renditions,
        picture_hash=row.picture_hash,
        created_at_ms=row.created_at_ms,
        outcome=Outcome(row.outcome),
        decided_by=row.decided_by,
        revision=row.revision,
    )
