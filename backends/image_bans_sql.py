"""Where are banned pictures kept? One row each in SQL, by tenant and hash."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, delete, select

from backends.sql import insert_once, reading, writing
from backends.sql_tables_image_bans import IMAGE_BANS
from feed.moderation.check_ports import ImageBan


class SqlImageBans:
    """ImageBans over an engine of backends.sql."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, tenant_id: str, ban: ImageBan) -> bool:
        """Ban a picture, once."""
        row = {
            "tenant_id": tenant_id,
            "image_hash": ban.image_hash,
            "reason": ban.reason,
            "banned_by": ban.banned_by,
            "banned_at_ms": ban.banned_at_ms,
        }
        with writing(self._engine) as connection:
            return insert_once(connection, IMAGE_BANS, row)

    def remove(self, tenant_id: str, image_hash: str) -> bool:
        """Lift a ban."""
        this = (IMAGE_BANS.c.tenant_id == tenant_id) & (IMAGE_BANS.c.image_hash == image_hash)
        with writing(self._engine) as connection:
            return connection.execute(delete(IMAGE_BANS).where(this)).rowcount > 0

    def all(self, tenant_id: str) -> Sequence[ImageBan]:
        """Every ban of the tenant, the oldest first."""
        wanted = (
            select(IMAGE_BANS)
            .where(IMAGE_BANS.c.tenant_id == tenant_id)
            .order_by(IMAGE_BANS.c.banned_at_ms, IMAGE_BANS.c.image_hash)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(wanted).all()
        return [ImageBan(row.image_hash, row.reason, row.banned_by, row.banned_at_ms) for row in rows]
