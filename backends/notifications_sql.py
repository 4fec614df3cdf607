"""How is it kept in SQL what people are told? NotificationStore on any engine that SQLAlchemy knows."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, bindparam, delete, exists, func, insert, select, tuple_, update

from backends.sql import chunks, in_turn, insert_once, reading, writing
from backends.sql_tables_social import NOTIFICATION_ACTORS, NOTIFICATIONS, POST_FATES
from common.ids import new_id
from feed.social.words import Notification, NotificationKind

# Of each person; what comes beyond takes the place of the oldest.
KEPT = 500
# People that one notification counts; thousands of likes of one post are "1,000 and more".
MOST_ACTORS = 1_000
SHOWN_ACTORS = 3

_AT = NOTIFICATIONS.c
_WHO = NOTIFICATION_ACTORS.c

_NEWEST_FIRST = (_AT.at_ms.desc(), _AT.notification_id.desc())
_OF_PERSON = (_AT.tenant_id == bindparam("tenant")) & (_AT.person_id == bindparam("person"))
_ADD = insert(NOTIFICATIONS)
_OPEN = select(_AT.notification_id).where(
    _OF_PERSON, _AT.kind == bindparam("of_kind"), _AT.subject_id == bindparam("subject"), _AT.read_at_ms == 0
)
# Two at a time: each one that comes lets one go, and what was left over before goes too.
_BEYOND = select(_AT.notification_id).where(_OF_PERSON).order_by(*_NEWEST_FIRST).offset(KEPT).limit(2)
_FATE_LOCKED = (
    select(POST_FATES.c.state)
    .where(POST_FATES.c.tenant_id == bindparam("tenant"), POST_FATES.c.post_id == bindparam("post"))
    .with_for_update()
)


class SqlNotificationStore:
    """NotificationStore over an engine of backends.sql. May be used from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(
        self,
        tenant_id: str,
        person_id: str,
        kind: NotificationKind,
        subject_id: str,
        text: str,
        actor_id: str,
        at_ms: int,
    ) -> None:
        """Tell a person."""
        person = {"tenant": tenant_id, "person": person_id}
        with writing(self._engine) as connection:
            in_turn(connection, "notifications", tenant_id, person_id)
            open_one = None
            if actor_id:
                same = person | {"of_kind": int(kind), "subject": subject_id}
                open_one = connection.execute(_OPEN, same).scalar()
            if open_one is None:
                open_one = new_id(at_ms)
                row = {
                    "notification_id": open_one, "tenant_id": tenant_id, "person_id": person_id, "kind": int(kind),
                    "subject_id": subject_id, "text": text, "at_ms": at_ms, "read_at_ms": 0,
                }  # fmt: skip
                connection.execute(_ADD, row)
                # What is beyond the kept ones goes.
                forget(connection, list(connection.execute(_BEYOND, person).scalars()))
            if actor_id and self._take_in(connection, open_one, actor_id, at_ms):
                connection.execute(update(NOTIFICATIONS).where(_AT.notification_id == open_one).values(at_ms=at_ms))

    def page(self, tenant_id: str, person_id: str, before: tuple[int, str], limit: int) -> list[Notification]:
        """Notifications, newest first."""
        own = (_AT.tenant_id == tenant_id) & (_AT.person_id == person_id)
        earlier = tuple_(_AT.at_ms, _AT.notification_id) < before
        wanted = select(NOTIFICATIONS).where(own, earlier).order_by(*_NEWEST_FIRST).limit(limit)
        with reading(self._engine) as connection:
            rows = connection.execute(wanted).all()
            actors = {row.notification_id: _actors(connection, row.notification_id) for row in rows}
        return [
            Notification(
                notification_id=row.notification_id,
                kind=NotificationKind(row.kind),
                subject_id=row.subject_id,
                text=row.text,
                at_ms=row.at_ms,
                read=row.read_at_ms > 0,
                actor_count=actors[row.notification_id][0],
                actor_ids=tuple(actors[row.notification_id][1]),
            )
            for row in rows
        ]

    def unread(self, tenant_id: str, person_id: str) -> int:
        """How many are not read."""
        own = (_AT.tenant_id == tenant_id) & (_AT.person_id == person_id) & (_AT.read_at_ms == 0)
        with reading(self._engine) as connection:
            return int(connection.execute(select(func.count()).select_from(NOTIFICATIONS).where(own)).scalar_one())

    def mark_read(self, tenant_id: str, person_id: str, until_ms: int, now_ms: int) -> int:
        """All up to a moment are read."""
        own = (_AT.tenant_id == tenant_id) & (_AT.person_id == person_id) & (_AT.read_at_ms == 0)
        with writing(self._engine) as connection:
            read = update(NOTIFICATIONS).where(own, _AT.at_ms <= until_ms).values(read_at_ms=max(now_ms, 1))
            return connection.execute(read).rowcount

    def take_back(self, tenant_id: str, person_id: str, kind: NotificationKind, subject_id: str) -> bool:
        """Remove the newest about a subject, where it is of a kind."""
        about = (_AT.tenant_id == tenant_id) & (_AT.person_id == person_id) & (_AT.subject_id == subject_id)
        newest = select(_AT.notification_id, _AT.kind).where(about)
        with writing(self._engine) as connection:
            in_turn(connection, "notifications", tenant_id, person_id)
            row = connection.execute(newest.order_by(*_NEWEST_FIRST).limit(1)).first()
            if row is None or row.kind != int(kind):
                return False
            forget(connection, [row.notification_id])
        return True

    def fate(self, tenant_id: str, post_id: str, state: int) -> int:
        """Note the state of a post; the one before."""
        of = POST_FATES.c
        with writing(self._engine) as connection:
            row = {"tenant_id": tenant_id, "post_id": post_id, "state": state}
            if insert_once(connection, POST_FATES, row):
                return 0
            # Two nodes may follow the same change at once: the second is to see what the first has written.
            before: int = connection.execute(_FATE_LOCKED, {"tenant": tenant_id, "post": post_id}).scalar_one()
            if before != state:
                own = (of.tenant_id == tenant_id) & (of.post_id == post_id)
                connection.execute(update(POST_FATES).where(own).values(state=state))
            return before

    def _take_in(self, connection: Connection, notification_id: str, actor_id: str, at_ms: int) -> bool:
        if _actors(connection, notification_id)[0] >= MOST_ACTORS:
            return False
        row = {"notification_id": notification_id, "actor_id": actor_id, "at_ms": at_ms}
        return insert_once(connection, NOTIFICATION_ACTORS, row)


def forget(connection: Connection, notification_ids: Sequence[str]) -> None:
    """Remove notifications within the caller's transaction; few enough for one statement."""
    if notification_ids:
        connection.execute(delete(NOTIFICATION_ACTORS).where(_WHO.notification_id.in_(notification_ids)))
        connection.execute(delete(NOTIFICATIONS).where(_AT.notification_id.in_(notification_ids)))


def forget_actor(connection: Connection, tenant_id: str, actor_id: str, person_id: str = "") -> int:
    """Take somebody out of what a person (empty: anybody) was told, within the caller's transaction; how many
    notifications were about nobody else and are gone.
    """
    told = (_AT.tenant_id == tenant_id) & (_WHO.actor_id == actor_id)
    if person_id:
        told &= _AT.person_id == person_id
    about = select(_AT.notification_id).join(NOTIFICATION_ACTORS, _AT.notification_id == _WHO.notification_id)
    gone = 0
    for some in chunks(list(connection.execute(about.where(told)).scalars())):
        within = _WHO.notification_id.in_(some)
        connection.execute(delete(NOTIFICATION_ACTORS).where(_WHO.actor_id == actor_id, within))
        nobody = ~exists().where(_WHO.notification_id == _AT.notification_id)
        left = select(_AT.notification_id).where(_AT.notification_id.in_(some), nobody)
        empty = list(connection.execute(left).scalars())
        forget(connection, empty)
        gone += len(empty)
    return gone


def _actors(connection: Connection, notification_id: str) -> tuple[int, list[str]]:
    own = _WHO.notification_id == notification_id
    count = int(connection.execute(select(func.count()).select_from(NOTIFICATION_ACTORS).where(own)).scalar_one())
    newest = select(_WHO.actor_id).where(own).order_by(_WHO.at_ms.desc(), _WHO.actor_id).limit(SHOWN_ACTORS)
    return count, list(connection.execute(newest).scalars()) if count else []
