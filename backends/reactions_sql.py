"""How are likes, saves, hides, reports, shares and purchases kept and counted in SQL?"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, case, delete, select, update

from backends.sql import chunks, insert_once, reading, writing
from backends.sql_tables_posts import POST_COUNTS, POSTS
from backends.sql_tables_social import COMMENTS, POST_TALLIES, REACTIONS
from common.errors import HaatError
from feed.actions import REPEATED, ActionKind
from feed.ports import Done, Reacted, Reaction

# A client that lost an answer asks again within seconds, a phone without a network perhaps tomorrow.
REPEATED_WITHIN_MS = 2 * 86_400_000
_PURGE_EVERY_MS = 3_600_000
# Calls in one transaction, so that none waits long for others.
_MOST_TOGETHER: Final = 64

# Which counter a kind moves: of the post itself, or of what is kept beside it.
_OF_POST: Final = {ActionKind.LIKE: "likes", ActionKind.SAVE: "saves"}
_BESIDE: Final = {
    ActionKind.SHARE: "shares",
    ActionKind.REPORT: "reports",
    ActionKind.HIDE: "hides",
    ActionKind.PURCHASE: "purchases",
}


class _Asked:
    """One call that waits for its transaction."""

    def __init__(self, tenant_id: str, actor_key: bytes, reactions: Sequence[Reaction], now_ms: int) -> None:
        self.tenant_id = tenant_id
        self.actor_key = actor_key
        self.reactions = reactions
        self.now_ms = now_ms
        self.answers: list[Reacted] = []
        self.failure: HaatError | None = None
        self.is_done = False


class SqlReactionStore:
    """ReactionStore over an engine of backends.sql. May be used from several threads.

    What comes while a transaction is under way forms the next one together: many share the wait for the disk.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._purged_at_ms = 0
        self._waiting: list[_Asked] = []
        self._joining = threading.Lock()
        self._writing = threading.Lock()

    def react(self, tenant_id: str, actor_key: bytes, reactions: Sequence[Reaction], now_ms: int) -> list[Reacted]:
        """Take all reactions or none, each action once."""
        asked = _Asked(tenant_id, actor_key, reactions, now_ms)
        with self._joining:
            self._waiting.append(asked)
        with self._writing:
            # Whoever wrote before may have taken this along.
            if not asked.is_done:
                with self._joining:
                    batch, self._waiting = self._waiting[:_MOST_TOGETHER], self._waiting[_MOST_TOGETHER:]
                if asked not in batch:
                    # So many came before that they filled the batch; they are taken on the way.
                    batch.append(asked)
                    with self._joining:
                        self._waiting.remove(asked)
                self._write(batch)
        if asked.failure is not None:
            raise asked.failure
        return asked.answers

    def _write(self, batch: Sequence[_Asked]) -> None:
        """Write a batch in one transaction; all of it or, with the same failure for all, nothing."""
        try:
            with writing(self._engine) as connection:
                moved: dict[str, Counter[tuple[str, ActionKind]]] = {asked.tenant_id: Counter() for asked in batch}
                answers = [_take(connection, asked, moved[asked.tenant_id]) for asked in batch]
                # A post that many like at once is counted up once, and always in the same order.
                for tenant_id in sorted(moved):
                    count(connection, tenant_id, moved[tenant_id])
                now_ms = batch[-1].now_ms
                if now_ms - self._purged_at_ms >= _PURGE_EVERY_MS:
                    connection.execute(delete(POST_COUNTS).where(POST_COUNTS.c.at_ms < now_ms - REPEATED_WITHIN_MS))
                    self._purged_at_ms = now_ms
            for asked, answer in zip(batch, answers, strict=True):
                asked.answers = answer
        except HaatError as error:
            for asked in batch:
                asked.failure = error
        finally:
            for asked in batch:
                asked.is_done = True

    def standing(self, tenant_id: str, actor_key: bytes, subject_ids: Sequence[str]) -> set[tuple[ActionKind, str]]:
        """What of this actor stands on these subjects."""
        of = REACTIONS.c
        found: set[tuple[ActionKind, str]] = set()
        with reading(self._engine) as connection:
            for some in chunks(subject_ids):
                own = (of.tenant_id == tenant_id) & (of.actor_key == actor_key) & of.subject_id.in_(some)
                rows = connection.execute(select(of.kind, of.subject_id).where(own))
                found |= {(ActionKind(row.kind), row.subject_id) for row in rows}
        return found

    def newest(self, tenant_id: str, actor_key: bytes, kind: ActionKind, limit: int) -> list[Done]:
        """What of this actor stands of a kind."""
        of = REACTIONS.c
        own = (of.tenant_id == tenant_id) & (of.actor_key == actor_key) & (of.kind == int(kind))
        latest = select(of.subject_id, of.at_ms).where(own).order_by(of.at_ms.desc(), of.subject_id).limit(limit)
        with reading(self._engine) as connection:
            return [Done(row.subject_id, row.at_ms) for row in connection.execute(latest)]


def _take(connection: Connection, asked: _Asked, moved: Counter[tuple[str, ActionKind]]) -> list[Reacted]:
    answers: list[Reacted] = []
    for one in asked.reactions:
        if not taken_first(connection, one.action_key, asked.now_ms):
            answers.append(Reacted(new=False, moved=0))
            continue
        by = _move(connection, asked.tenant_id, asked.actor_key, one, asked.now_ms)
        moved[one.subject_id, one.kind] += by
        answers.append(Reacted(new=True, moved=by))
    return answers


def taken_first(connection: Connection, action_key: bytes, now_ms: int) -> bool:
    """Note an action in the caller's transaction; False when it was taken before."""
    return insert_once(connection, POST_COUNTS, {"action_key": action_key, "at_ms": now_ms})


def count(connection: Connection, tenant_id: str, moved: Mapping[tuple[str, ActionKind], int]) -> None:
    """Move the counters of posts and comments by (subject, kind), within the caller's transaction."""
    # In the order of their ids, so that two transactions never wait for each other.
    for (subject_id, kind), by in sorted(moved.items()):
        if by and kind in _OF_POST:
            name = _OF_POST[kind]
            _add(connection, POSTS, (POSTS.c.tenant_id == tenant_id) & (POSTS.c.post_id == subject_id), {name: by})
            if kind is ActionKind.LIKE:
                of = COMMENTS.c
                _add(connection, COMMENTS, (of.tenant_id == tenant_id) & (of.comment_id == subject_id), {"likes": by})
        elif by and kind in _BESIDE:
            tally(connection, tenant_id, subject_id, {_BESIDE[kind]: by})


def tally(connection: Connection, tenant_id: str, post_id: str, by: Mapping[str, int]) -> None:
    """Move what is counted beside a post, within the caller's transaction."""
    of = POST_TALLIES.c
    insert_once(connection, POST_TALLIES, {"tenant_id": tenant_id, "post_id": post_id})
    _add(connection, POST_TALLIES, (of.tenant_id == tenant_id) & (of.post_id == post_id), by)


def take_back_all(connection: Connection, tenant_id: str, actor_keys: Iterable[bytes]) -> int:
    """Take back everything that stands of these actors, counters too; how much it was. What was bought stays bought."""
    of = REACTIONS.c
    taken = 0
    for actor_key in actor_keys:
        own = (of.tenant_id == tenant_id) & (of.actor_key == actor_key)
        rows = connection.execute(select(of.kind, of.subject_id).where(own)).all()
        once = {(row.subject_id, ActionKind(row.kind)): -1 for row in rows if row.kind not in REPEATED}
        count(connection, tenant_id, once)
        connection.execute(delete(REACTIONS).where(own))
        taken += len(rows)
    return taken


def _move(connection: Connection, tenant_id: str, actor_key: bytes, one: Reaction, now_ms: int) -> int:
    if one.kind in REPEATED and one.kind is not ActionKind.PURCHASE:
        return 1 if one.on else -1
    key = {
        "tenant_id": tenant_id, "actor_key": actor_key, "kind": int(one.kind), "subject_id": one.subject_id,
    }  # fmt: skip
    if one.on:
        moved = int(insert_once(connection, REACTIONS, {**key, "at_ms": now_ms}))
    else:
        same = [REACTIONS.c[name] == value for name, value in key.items()]
        moved = -connection.execute(delete(REACTIONS).where(*same)).rowcount
    # That something was bought is noted once, and counted each time.
    return moved if one.kind not in REPEATED else 1 if one.on else -1


def _add(connection: Connection, table: Table, where: Any, by: Mapping[str, int]) -> None:
    # What comes back and was never counted, since it was bought elsewhere, takes nothing away.
    moved = {name: (table.c[name] + step, step) for name, step in by.items()}
    values = {name: after if step > 0 else case((after < 0, 0), else_=after) for name, (after, step) in moved.items()}
    connection.execute(update(table).where(where).values(values))
