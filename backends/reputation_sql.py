"""How are reputations kept in SQL? ReputationStore on any engine that SQLAlchemy knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, Table, delete, func, insert, or_, select, tuple_, update

from backends import outbox_sql
from backends.sql import chunks, in_turn, reading, writing
from backends.sql_tables_reputation import CREATOR_TIERS, REPUTATION_EDGES, REPUTATION_EVENTS, REPUTATION_RECORDS
from feed.reputation.beta import Beta, added
from feed.reputation.events import HALF_LIFE_MS, WEIGHTS, EventKind, ReputationEvent, Role
from feed.reputation.ports import Edge, Link, Person, TierHeld
from feed.reputation.standing import Tier
from feed.reputation.trust import EdgeKind
from streams.topics import CREATOR_TIERS as TIERS_TOPIC

# Dropped in one transaction: others wait for it no longer than some milliseconds.
_ROWS_AT_ONCE = 500


# Records are added up in Python: one after another.
_RECORDS = "reputation records"


class SqlReputationStore:
    """ReputationStore over an engine of backends.sql; `portion` rows are read at once."""

    def __init__(self, engine: Engine, *, portion: int = 5_000) -> None:
        self._engine = engine
        self._portion = portion

    def add(self, events: Sequence[ReputationEvent]) -> int:
        """Take events, each once, and add them up, in one transaction."""
        of = REPUTATION_EVENTS.c
        new = 0
        with writing(self._engine) as connection:
            in_turn(connection, _RECORDS)
            known = _known(connection, REPUTATION_EVENTS, of.event_id, {(e.tenant_id, e.event_id) for e in events})
            for event in events:
                if (event.tenant_id, event.event_id) in known:
                    continue
                known.add((event.tenant_id, event.event_id))
                weight = WEIGHTS[event.kind]
                row = msgspec.structs.asdict(event)
                row |= {"kind": event.kind.value, "role": int(event.role), "good": weight.good, "bad": weight.bad}
                connection.execute(insert(REPUTATION_EVENTS), [row])
                _add_up(connection, event.tenant_id, event.role, event.person_id, weight.good, weight.bad, event.at_ms)
                new += 1
        return new

    def take_back(self, tenant_id: str, cause_ids: Sequence[str]) -> int:
        """The events of these decisions count no more."""
        of = REPUTATION_EVENTS.c
        wanted = [cause for cause in cause_ids if cause]
        taken = 0
        with writing(self._engine) as connection:
            in_turn(connection, _RECORDS)
            for some in chunks(wanted):
                its = of.tenant_id == tenant_id, of.cause_id.in_(some)
                rows = connection.execute(select(REPUTATION_EVENTS).where(*its)).all()
                for row in rows:
                    _add_up(connection, tenant_id, Role(row.role), row.person_id, -row.good, -row.bad, row.at_ms)
                connection.execute(delete(REPUTATION_EVENTS).where(*its))
                taken += len(rows)
        return taken

    def add_edges(self, edges: Sequence[Edge]) -> int:
        """Take edges, each once."""
        with writing(self._engine) as connection:
            in_turn(connection, "reputation edges")
            wanted = {(edge.tenant_id, edge.edge_id): edge for edge in edges}
            known = _known(connection, REPUTATION_EDGES, REPUTATION_EDGES.c.edge_id, set(wanted))
            rows = [
                msgspec.structs.asdict(edge) | {"kind": int(edge.kind)}
                for key, edge in wanted.items()
                if key not in known
            ]
            if rows:
                connection.execute(insert(REPUTATION_EDGES), rows)
        return len(rows)

    def records(self, tenant_id: str, role: Role, person_ids: Sequence[str]) -> list[Beta]:
        """One for each person."""
        of = REPUTATION_RECORDS.c
        found: dict[str, Beta] = {}
        with reading(self._engine) as connection:
            for some in chunks(dict.fromkeys(person_ids)):
                query = select(of.person_id, of.good, of.bad, of.as_of_ms).where(
                    of.tenant_id == tenant_id, of.role == int(role), of.person_id.in_(some)
                )
                found.update({person: Beta(*rest) for person, *rest in connection.execute(query)})
        return [found.get(person, Beta()) for person in person_ids]

    def people(self, tenant_id: str, role: Role) -> Iterator[Person]:
        """Everybody with a record in a role, by id."""
        of = REPUTATION_RECORDS.c
        after = ""
        while True:
            query = (
                select(of.person_id, of.good, of.bad, of.as_of_ms)
                .where(of.tenant_id == tenant_id, of.role == int(role), of.person_id > after)
                .order_by(of.person_id)
                .limit(self._portion)
            )
            with reading(self._engine) as connection:
                rows = connection.execute(query).all()
            yield from (Person(person, Beta(*rest)) for person, *rest in rows)
            if len(rows) < self._portion:
                return
            after = rows[-1].person_id

    def links(self, tenant_id: str) -> Iterator[Link]:
        """Who vouches for whom, and how often in each way."""
        of = REPUTATION_EDGES.c
        place = of.source_id, of.target_id, of.kind
        after: tuple[Any, ...] | None = None
        while True:
            query = select(*place, func.count().label("count")).where(of.tenant_id == tenant_id)
            if after is not None:
                query = query.where(tuple_(*place) > after)
            query = query.group_by(*place).order_by(*place).limit(self._portion)
            with reading(self._engine) as connection:
                rows = connection.execute(query).all()
            yield from (Link(source, target, EdgeKind(kind), count) for source, target, kind, count in rows)
            if len(rows) < self._portion:
                return
            after = tuple(rows[-1])[:3]

    def tenants(self) -> list[str]:
        """Who has records or links."""
        with reading(self._engine) as connection:
            found = {
                tenant
                for table in (REPUTATION_RECORDS, REPUTATION_EDGES)
                for tenant in connection.execute(select(table.c.tenant_id).distinct()).scalars()
            }
        return sorted(found)

    def events_of(self, tenant_id: str, person_id: str, role: Role, limit: int) -> list[ReputationEvent]:
        """A person's events, newest first."""
        of = REPUTATION_EVENTS.c
        query = (
            select(REPUTATION_EVENTS)
            .where(of.tenant_id == tenant_id, of.person_id == person_id, of.role == int(role))
            .order_by(of.at_ms.desc(), of.event_id)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [
                ReputationEvent(
                    row.tenant_id,
                    row.event_id,
                    row.person_id,
                    EventKind(row.kind),
                    row.at_ms,
                    row.subject_id,
                    row.cause_id,
                )
                for row in connection.execute(query)
            ]

    def tiers(self, tenant_id: str) -> dict[str, TierHeld]:
        """The tier of each creator."""
        of = CREATOR_TIERS.c
        with reading(self._engine) as connection:
            rows = connection.execute(select(CREATOR_TIERS).where(of.tenant_id == tenant_id)).all()
        return {
            row.creator_id: TierHeld(row.creator_id, Tier(row.tier), row.since_ms, row.reputation, row.trust)
            for row in rows
        }

    def set_tiers(self, tenant_id: str, tiers: Sequence[tuple[TierHeld, Tier]], now_ms: int) -> None:
        """Store tiers and tell of them."""
        events = []
        with writing(self._engine) as connection:
            in_turn(connection, "tiers", tenant_id)
            for held, before in tiers:
                row = msgspec.structs.asdict(held) | {"tier": int(held.tier)}
                its = (CREATOR_TIERS.c.tenant_id == tenant_id) & (CREATOR_TIERS.c.creator_id == held.creator_id)
                # Every node makes the standings anew: what another has told of already is not told again.
                stored = connection.execute(select(CREATOR_TIERS.c.tier).where(its)).scalar()
                if (Tier.NONE if stored is None else stored) == int(held.tier):
                    continue
                if connection.execute(update(CREATOR_TIERS).where(its).values(row)).rowcount == 0:
                    connection.execute(insert(CREATOR_TIERS), [row | {"tenant_id": tenant_id}])
                events.append(
                    {
                        "changed_at_ms": now_ms,
                        "tenant_id": tenant_id,
                        "creator_id": held.creator_id,
                        "tier": int(held.tier),
                        "tier_before": int(before),
                        "reputation": held.reputation,
                        "trust": held.trust,
                    }
                )
            outbox_sql.append(connection, TIERS_TOPIC.name, events, now_ms)

    def forget(self, tenant_id: str, person_id: str) -> int:
        """Drop all of a person."""
        edges = REPUTATION_EDGES.c
        whose: list[tuple[Table, ColumnElement[bool]]] = [
            (REPUTATION_EVENTS, REPUTATION_EVENTS.c.person_id == person_id),
            (REPUTATION_RECORDS, REPUTATION_RECORDS.c.person_id == person_id),
            (REPUTATION_EDGES, or_(edges.source_id == person_id, edges.target_id == person_id)),
            (CREATOR_TIERS, CREATOR_TIERS.c.creator_id == person_id),
        ]
        with writing(self._engine) as connection:
            return sum(
                connection.execute(delete(table).where(table.c.tenant_id == tenant_id, its)).rowcount
                for table, its in whose
            )

    def prune(self, before_ms: int) -> int:
        """Drop old events and links, some at a time."""
        dropped = 0
        for table in (REPUTATION_EVENTS, REPUTATION_EDGES):
            key = list(table.primary_key.columns)
            while True:
                old = select(*key).where(table.c.at_ms < before_ms).limit(_ROWS_AT_ONCE)
                with writing(self._engine) as connection:
                    rows = [tuple(row) for row in connection.execute(old)]
                    if rows:
                        connection.execute(delete(table).where(tuple_(*key).in_(rows)))
                dropped += len(rows)
                if len(rows) < _ROWS_AT_ONCE:
                    break
        return dropped


def _known(
    connection: Connection, table: Table, column: ColumnElement[str], keys: set[tuple[str, str]]
) -> set[tuple[str, str]]:
    known: set[tuple[str, str]] = set()
    for some in chunks(sorted({key for _, key in keys})):
        rows = connection.execute(select(table.c.tenant_id, column).where(column.in_(some)))
        known.update((tenant, key) for tenant, key in rows)
    return known


def _add_up(
    connection: Connection, tenant_id: str, role: Role, person_id: str, good: float, bad: float, at_ms: int
) -> None:
    of = REPUTATION_RECORDS.c
    its = (of.tenant_id == tenant_id) & (of.role == int(role)) & (of.person_id == person_id)
    row = connection.execute(select(of.good, of.bad, of.as_of_ms).where(its)).first()
    before = Beta(*row) if row is not None else Beta()
    after = added(before, good, bad, at_ms, HALF_LIFE_MS[role])
    values = {"good": after.good, "bad": after.bad, "as_of_ms": after.as_of_ms}
    if row is not None:
        connection.execute(update(REPUTATION_RECORDS).where(its).values(values))
    else:
        key = {"tenant_id": tenant_id, "role": int(role), "person_id": person_id}
        connection.execute(insert(REPUTATION_RECORDS), [key | values])
