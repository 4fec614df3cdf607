"""How is kept what each write made of a thing? The history, and the names that tenants call their things by.

What goes through a unit of campaigns is in its history, whoever wrote it and however.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Row, insert, select

from backends.sql import chunks
from backends.sql_tables_money import CHANGES, EXTERNAL_IDS
from exchange.campaign_ports import Audit, ChangeMade
from exchange.campaign_values import Advertiser, Campaign, Creative, LineItem

Thing = Advertiser | Campaign | Creative | LineItem
ThingT = TypeVar("ThingT", Advertiser, Campaign, Creative, LineItem)


class HistoryRows:
    """The part of a unit of campaigns that knows what the transaction has written so far."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # Kind, id, revision, before, after.
        self._written: list[tuple[str, str, int, str, str]] = []

    def changes(self, tenant_id: str, id: str, after_number: int, limit: int) -> list[ChangeMade]:
        """What was changed of a thing, of everything without an id; oldest first."""
        query = select(CHANGES).where(CHANGES.c.tenant_id == tenant_id, CHANGES.c.number > after_number)
        if id:
            query = query.where(CHANGES.c.id == id)
        return [_change(row) for row in self._connection.execute(query.order_by(CHANGES.c.number).limit(limit))]

    def change(self, tenant_id: str, number: int) -> ChangeMade | None:
        """One entry of the history."""
        query = select(CHANGES).where(CHANGES.c.tenant_id == tenant_id, CHANGES.c.number == number)
        row = self._connection.execute(query).first()
        return _change(row) if row is not None else None

    def by_external_id(self, tenant_id: str, kind: str, external_ids: Sequence[str]) -> dict[str, str]:
        """Our ids, by the tenant's names."""
        of = EXTERNAL_IDS.c
        found: dict[str, str] = {}
        for some in chunks(external_ids):
            query = select(of.external_id, of.id).where(
                of.tenant_id == tenant_id, of.kind == kind, of.external_id.in_(some)
            )
            found.update((name, id) for name, id in self._connection.execute(query))
        return found

    def external_ids(self, tenant_id: str, kind: str, ids: Sequence[str]) -> dict[str, str]:
        """The tenant's names, by our ids."""
        of = EXTERNAL_IDS.c
        found: dict[str, str] = {}
        for some in chunks(ids):
            query = select(of.id, of.external_id).where(of.tenant_id == tenant_id, of.kind == kind, of.id.in_(some))
            found.update((id, name) for id, name in self._connection.execute(query))
        return found

    def call_by(self, tenant_id: str, kind: str, names: Mapping[str, str]) -> None:
        """From now on the tenant calls things by these names."""
        rows = [{"tenant_id": tenant_id, "kind": kind, "external_id": name, "id": id} for name, id in names.items()]
        if rows:
            self._connection.execute(insert(EXTERNAL_IDS), rows)

    def _made(self, kind: str, thing: ThingT) -> ThingT:
        self._became(kind, None, thing)
        return thing

    def _became(self, kind: str, before: Thing | None, after: Thing | None) -> None:
        assert after is not None, "what was written is there"
        self._written.append((kind, str(getattr(after, f"{kind}_id")), after.revision, _json(before), _json(after)))

    def _write_history(self, audit: Audit) -> None:
        who = {
            "at_ms": audit.at_ms,
            "tenant_id": audit.tenant_id,
            "actor_tenant_id": audit.actor_tenant_id,
            "actor_role": audit.actor_role,
            "action": audit.action,
        }
        names = ("kind", "id", "revision", "before", "after")
        rows = [who | dict(zip(names, written, strict=True)) for written in self._written]
        self._written = []
        if rows:
            self._connection.execute(insert(CHANGES), rows)


def _json(thing: Thing | None) -> str:
    return "" if thing is None else msgspec.json.encode(thing).decode()


def _change(row: Row[Any]) -> ChangeMade:
    values = row._mapping
    return ChangeMade(**{name: values[name] for name in ChangeMade.__struct_fields__})
