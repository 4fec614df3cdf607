"""How are shared links kept in SQL? ShareStore on any engine that SQLAlchemy knows."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, insert, select, update

from backends import social_writes_sql
from backends.sql import insert_once, reading, writing
from backends.sql_tables_social import SHARE_CLICKS, SHARE_LINKS
from feed.social.words import Disclosure, SharedLink

_AT = SHARE_LINKS.c


class SqlShareStore:
    """ShareStore over an engine of backends.sql. May be used from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, link: SharedLink, key: str, digest: str) -> SharedLink:
        """Store a link, or give the one that this key stored."""
        with writing(self._engine) as connection:
            wrote = social_writes_sql.written(connection, link.tenant_id, key, digest, to_write=True)
            if wrote is not None and (known := _link_of(connection, wrote[1])) is not None:
                return known
            row = {name: getattr(link, name) for name in link.__struct_fields__}
            connection.execute(insert(SHARE_LINKS), [row | {"disclosure": link.disclosure.name.lower()}])
            if wrote is None:
                social_writes_sql.remember(
                    connection, link.tenant_id, key, digest, link.person_id, link.share_id, link.made_at_ms
                )
            return link

    def get(self, share_id: str) -> SharedLink | None:
        """The link with its clicks."""
        with reading(self._engine) as connection:
            return _link_of(connection, share_id)

    def count_click(self, share_id: str, click_key: bytes, now_ms: int) -> bool:
        """Count a click once."""
        with writing(self._engine) as connection:
            if not insert_once(connection, SHARE_CLICKS, {"click_key": click_key, "at_ms": now_ms}):
                return False
            connection.execute(update(SHARE_LINKS).where(_AT.share_id == share_id).values(clicks=_AT.clicks + 1))
            return True


def _link_of(connection: Connection, share_id: str) -> SharedLink | None:
    row = connection.execute(select(SHARE_LINKS).where(_AT.share_id == share_id)).first()
    if row is None:
        return None
    fields = {name: getattr(row, name) for name in SharedLink.__struct_fields__}
    return SharedLink(**{**fields, "disclosure": Disclosure[row.disclosure.upper()]})
