"""How are people kept in SQL? PeopleStore on any engine that SQLAlchemy knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, bindparam, func, insert, select, tuple_, update

from backends import social_writes_sql
from backends.sql import chunks, in_turn, reading, writing
from backends.sql_tables_social import PEOPLE, RELATIONS
from common.errors import Conflict
from feed.social.words import NotificationKind, Person, ProfilePicture, ProfileState, Relation, Shown

_TEXTS = msgspec.json.Decoder(tuple[str, ...])
_PICTURE = msgspec.json.Decoder(ProfilePicture)
_SHOWN = msgspec.json.Decoder(Shown)
# What an edit, a wish or moderation changes; counters move by themselves.
_EDITED = (
    "handle", "display_name", "bio", "links", "unwanted_kinds", "picture", "state", "reasons", "decided_by", "shown",
    "shown_picture_id",
)  # fmt: skip
_AT = PEOPLE.c
_PERSON = select(PEOPLE).where(_AT.tenant_id == bindparam("tenant"), _AT.person_id == bindparam("person"))
_PERSON_LOCKED = _PERSON.with_for_update()


class SqlPeopleStore:
    """PeopleStore over an engine of backends.sql, for several threads; `portion` people are read at once."""

    def __init__(self, engine: Engine, *, portion: int = 1_000) -> None:
        self._engine = engine
        self._portion = portion

    def sign_up(self, person: Person, skeleton: str, key: str, digest: str) -> Person:
        """Store a person, or give the one that this key stored."""
        with writing(self._engine) as connection:
            wrote = social_writes_sql.written(connection, person.tenant_id, key, digest, to_write=True)
            if wrote is not None and (known := _person_of(connection, person.tenant_id, wrote[0])) is not None:
                return known
            # Who follows somebody waits until that one is in, and is counted once.
            in_turn(connection, "person", person.tenant_id, person.person_id)
            if _person_of(connection, person.tenant_id, person.person_id) is not None:
                raise Conflict("somebody signed up under this person_id: edit the person, or give another id")
            _refuse_alike(connection, person, skeleton)
            followers = _relations(connection, person, RELATIONS.c.subject)
            following = _relations(connection, person, RELATIONS.c.person_id)
            joined = msgspec.structs.replace(person, followers=followers, following=following)
            connection.execute(insert(PEOPLE), [_row(joined, skeleton)])
            if wrote is None:
                social_writes_sql.remember(
                    connection, person.tenant_id, key, digest, person.person_id, "", person.joined_at_ms
                )
            return joined

    def get(self, tenant_id: str, person_id: str) -> Person | None:
        """The person of this id."""
        with reading(self._engine) as connection:
            return _person_of(connection, tenant_id, person_id)

    def looking_like(self, tenant_id: str, skeletons: Sequence[str]) -> dict[str, Person]:
        """Who has these handles."""
        found: dict[str, Person] = {}
        with reading(self._engine) as connection:
            for some in chunks(skeletons):
                rows = connection.execute(select(PEOPLE).where(_AT.tenant_id == tenant_id, _AT.skeleton.in_(some)))
                found |= {row.skeleton: _person(row) for row in rows}
        return found

    def known(self, tenant_id: str, person_ids: Sequence[str]) -> set[str]:
        """Those who signed up."""
        found: set[str] = set()
        with reading(self._engine) as connection:
            for some in chunks(person_ids):
                own = (_AT.tenant_id == tenant_id) & _AT.person_id.in_(some)
                found |= {row.person_id for row in connection.execute(select(_AT.person_id).where(own))}
        return found

    def some(self, tenant_id: str, person_ids: Sequence[str]) -> dict[str, Person]:
        """Those who signed up, by their ids."""
        found: dict[str, Person] = {}
        with reading(self._engine) as connection:
            for some in chunks(person_ids):
                own = (_AT.tenant_id == tenant_id) & _AT.person_id.in_(some)
                found |= {row.person_id: _person(row) for row in connection.execute(select(PEOPLE).where(own))}
        return found

    def in_state(self, state: ProfileState, after: tuple[str, str], limit: int) -> list[Person]:
        """People in a state, by (tenant, id)."""
        key = tuple_(_AT.tenant_id, _AT.person_id)
        wanted = select(PEOPLE).where(_AT.state == int(state), key > after).order_by(_AT.tenant_id, _AT.person_id)
        with reading(self._engine) as connection:
            return [_person(row) for row in connection.execute(wanted.limit(limit))]

    def edit(self, person: Person, skeleton: str, revision: int) -> Person | None:
        """Replace what a person says of itself, at this revision."""
        with writing(self._engine) as connection:
            before = _person_of(connection, person.tenant_id, person.person_id, lock=True)
            if before is None:
                return None
            if before.revision != revision:
                raise Conflict(f"revision {revision} is not the newest, that is {before.revision}: read and edit again")
            _refuse_alike(connection, person, skeleton)
            row = _row(person, skeleton)
            edited = {name: row[name] for name in _EDITED}
            own = (_AT.tenant_id == person.tenant_id) & (_AT.person_id == person.person_id)
            connection.execute(
                update(PEOPLE).where(own).values(**edited, skeleton=skeleton, revision=before.revision + 1)
            )
            return _person_of(connection, person.tenant_id, person.person_id)

    def all(self) -> Iterator[Person]:
        """Everybody, by tenant and id; each portion is read in a transaction of its own."""
        after = ("", "")
        while True:
            key = tuple_(_AT.tenant_id, _AT.person_id)
            wanted = select(PEOPLE).where(key > after).order_by(_AT.tenant_id, _AT.person_id).limit(self._portion)
            with reading(self._engine) as connection:
                rows = connection.execute(wanted).all()
            yield from map(_person, rows)
            if len(rows) < self._portion:
                return
            after = rows[-1].tenant_id, rows[-1].person_id


def _person_of(connection: Connection, tenant_id: str, person_id: str, *, lock: bool = False) -> Person | None:
    own = {"tenant": tenant_id, "person": person_id}
    row = connection.execute(_PERSON_LOCKED if lock else _PERSON, own).first()
    return None if row is None else _person(row)


def _refuse_alike(connection: Connection, person: Person, skeleton: str) -> None:
    in_turn(connection, "handle", person.tenant_id, skeleton)
    alike = select(_AT.person_id).where(
        _AT.tenant_id == person.tenant_id, _AT.skeleton == skeleton, _AT.person_id != person.person_id
    )
    if connection.execute(alike).first() is not None:
        raise Conflict("somebody has this handle, or one that looks like it: give another")


def _relations(connection: Connection, person: Person, side: Any) -> int:
    of = RELATIONS.c
    own = (of.tenant_id == person.tenant_id) & (of.kind == int(Relation.FOLLOW)) & (side == person.person_id)
    return int(connection.execute(select(func.count()).select_from(RELATIONS).where(own)).scalar_one())


def _row(person: Person, skeleton: str) -> dict[str, Any]:
    row = {name: getattr(person, name) for name in person.__struct_fields__ if name in PEOPLE.c}
    unwanted = sum(1 << kind for kind in person.unwanted_notifications)
    picture = person.shown.picture if person.shown is not None else None
    return row | {
        "skeleton": skeleton,
        "links": _json(person.links),
        "unwanted_kinds": unwanted,
        "state": int(person.state),
        "reasons": _json(person.reasons),
        "picture": _json(person.picture) if person.picture is not None else "",
        "shown": _json(person.shown) if person.shown is not None else "",
        "shown_picture_id": picture.media_id if picture is not None else "",
    }


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _person(row: Row[Any]) -> Person:
    return Person(
        tenant_id=row.tenant_id,
        person_id=row.person_id,
        handle=row.handle,
        display_name=row.display_name,
        bio=row.bio,
        links=_TEXTS.decode(row.links),
        joined_at_ms=row.joined_at_ms,
        revision=row.revision,
        followers=row.followers,
        following=row.following,
        tracking_id=row.tracking_id,
        unwanted_notifications=tuple(kind for kind in NotificationKind if row.unwanted_kinds >> kind & 1),
        picture=_PICTURE.decode(row.picture) if row.picture else None,
        state=ProfileState(row.state),
        reasons=_TEXTS.decode(row.reasons),
        decided_by=row.decided_by,
        shown=_SHOWN.decode(row.shown) if row.shown else None,
    )
