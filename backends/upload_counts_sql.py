"""How many uploads did somebody announce today? UploadCounts on any engine that SQLAlchemy knows."""

from __future__ import annotations

from sqlalchemy import Engine, delete, select, update

from backends.sql import insert_once, writing
from backends.sql_tables_media import UPLOAD_DAYS
from feed.media.quotas import Quota

_AT = UPLOAD_DAYS.c


class SqlUploadCounts:
    """One row for each creator and day. May be used from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take(self, tenant_id: str, creator_id: str, day: int, size_bytes: int, quota: Quota) -> Quota | None:
        """Count one upload, or tell what is counted already."""
        key = {"tenant_id": tenant_id, "creator_id": creator_id, "day": day}
        its = (_AT.tenant_id == tenant_id) & (_AT.creator_id == creator_id) & (_AT.day == day)
        room = (_AT.uploads < quota.uploads) & (_AT.size_bytes + size_bytes <= quota.size_bytes)
        with writing(self._engine) as connection:
            insert_once(connection, UPLOAD_DAYS, {**key, "uploads": 0, "size_bytes": 0})
            more = {"uploads": _AT.uploads + 1, "size_bytes": _AT.size_bytes + size_bytes}
            if connection.execute(update(UPLOAD_DAYS).where(its, room).values(more)).rowcount:
                return None
            row = connection.execute(select(_AT.uploads, _AT.size_bytes).where(its)).one()
            return Quota(row.uploads, row.size_bytes)

    def drop_before(self, day: int) -> int:
        """Forget earlier days."""
        with writing(self._engine) as connection:
            return connection.execute(delete(UPLOAD_DAYS).where(_AT.day < day)).rowcount

    def forget(self, tenant_id: str, creator_id: str) -> int:
        """Forget a creator."""
        with writing(self._engine) as connection:
            its = (_AT.tenant_id == tenant_id) & (_AT.creator_id == creator_id)
            return connection.execute(delete(UPLOAD_DAYS).where(its)).rowcount
