"""How is it kept in SQL who follows, blocks and mutes whom? GraphStore on any engine that SQLAlchemy knows."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, delete, select, update

from backends.notifications_sql import forget_actor
from backends.reactions_sql import taken_first
from backends.sql import in_turn, insert_once, reading, writing
from backends.sql_tables_social import PEOPLE, RELATIONS
from feed.social.words import Relation

_AT = RELATIONS.c


class SqlGraphStore:
    """GraphStore over an engine of backends.sql. May be used from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def relate(
        self, tenant_id: str, person_id: str, kind: Relation, subject: str, *, on: bool, key: bytes, now_ms: int
    ) -> bool:
        """Begin or end a relation, each action once."""
        with writing(self._engine) as connection:
            if kind in (Relation.FOLLOW, Relation.BLOCK):
                for one in sorted({person_id, subject}):
                    in_turn(connection, "person", tenant_id, one)
            if not taken_first(connection, key, now_ms):
                return False
            if not on:
                return end(connection, tenant_id, person_id, kind, subject)
            row = {"tenant_id": tenant_id, "person_id": person_id, "kind": int(kind), "subject": subject}
            begun = insert_once(connection, RELATIONS, {**row, "at_ms": now_ms})
            if begun and kind is Relation.FOLLOW:
                _count(connection, tenant_id, person_id, subject, 1)
            if kind in (Relation.BLOCK, Relation.MUTE):
                forget_actor(connection, tenant_id, subject, person_id)
            if kind is Relation.BLOCK:
                forget_actor(connection, tenant_id, person_id, subject)
                end(connection, tenant_id, person_id, Relation.FOLLOW, subject)
                end(connection, tenant_id, subject, Relation.FOLLOW, person_id)
            return begun

    def subjects(self, tenant_id: str, person_id: str, kind: Relation, after: str, limit: int) -> list[str]:
        """To whom the person has this relation."""
        own = (_AT.tenant_id == tenant_id) & (_AT.person_id == person_id) & (_AT.kind == int(kind))
        wanted = select(_AT.subject).where(own, _AT.subject > after).order_by(_AT.subject).limit(limit)
        with reading(self._engine) as connection:
            return list(connection.execute(wanted).scalars())

    def holders(self, tenant_id: str, kind: Relation, subject: str, after: str, limit: int) -> list[str]:
        """Who has this relation to the subject."""
        own = (_AT.tenant_id == tenant_id) & (_AT.kind == int(kind)) & (_AT.subject == subject)
        wanted = select(_AT.person_id).where(own, _AT.person_id > after).order_by(_AT.person_id).limit(limit)
        with reading(self._engine) as connection:
            return list(connection.execute(wanted).scalars())


def end(connection: Connection, tenant_id: str, person_id: str, kind: Relation, subject: str) -> bool:
    """End a relation within the caller's transaction; False when there was none."""
    own = (_AT.tenant_id == tenant_id) & (_AT.person_id == person_id) & (_AT.kind == int(kind))
    ended = connection.execute(delete(RELATIONS).where(own, _AT.subject == subject)).rowcount == 1
    if ended and kind is Relation.FOLLOW:
        _count(connection, tenant_id, person_id, subject, -1)
    return ended


def _count(connection: Connection, tenant_id: str, follower: str, followed: str, by: int) -> None:
    # In the order of their ids, so that two transactions never wait for each other.
    for person_id, column in sorted(((follower, "following"), (followed, "followers"))):
        own = (PEOPLE.c.tenant_id == tenant_id) & (PEOPLE.c.person_id == person_id)
        connection.execute(update(PEOPLE).where(own).values({column: PEOPLE.c[column] + by}))
