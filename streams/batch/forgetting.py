"""How does a table forget a person? The row stays, as that of somebody unknown, so that counts still add up. Pure."""

from __future__ import annotations

from streams import schemas
from streams.batch.event_rows import Rows
from streams.batch.tables import BatchTable
from streams.erasures import Erasures
from streams.feed_events import PersonErased
from streams.ports import EventLog
from streams.topics import AUCTIONS, ERASURES, NOTICES

_READ_AT_ONCE = 1_000
# What identifies one visit and not a person: it goes with the person.
_WITH_THE_VISITOR = ("session_id", "order_id")


class ErasedPeople:
    """Who was erased by the records of some offsets of topic `erasures`."""

    def __init__(self, log: EventLog, offset: int, end: int) -> None:
        self._erasures = Erasures()
        self._tenants: set[str] = set()
        self.last_at_ms = 0
        while offset < end and (records := log.read(ERASURES.name, offset, min(_READ_AT_ONCE, end - offset))):
            for record in records:
                event = schemas.decode(ERASURES.name, record)
                if isinstance(event, PersonErased):
                    self._erasures.add(event)
                    self._tenants.add(event.tenant_id)
                self.last_at_ms = record.appended_at_ms
            offset = records[-1].offset + 1

    def __bool__(self) -> bool:
        return bool(self._tenants)

    def forgotten(self, table: BatchTable, tenant_id: str, person_id: str, at_ms: int) -> bool:
        """Was this person erased at or after `at_ms`?"""
        # A visitor's id is the same one in every shop of the exchange, and the log names the shop alone.
        tenants = self._tenants if table.topic in (AUCTIONS.name, NOTICES.name) else (tenant_id,)
        return any(self._erasures.forgotten(tenant, person_id, at_ms) for tenant in tenants)


def forget(table: BatchTable, rows: Rows, erased: ErasedPeople) -> Rows | None:
    """The rows without those who were erased; None when there are none of them."""
    if not erased or not table.personal:
        return None
    named = [name for name in table.personal if name not in _WITH_THE_VISITOR]
    changed = {name: list(rows[name]) for name in table.personal}
    found = False
    for row, (tenant, at_ms) in enumerate(zip(rows[table.tenant], rows["at_ms"], strict=True)):
        for name in named:
            person = changed[name][row]
            if person and erased.forgotten(table, tenant, person, int(at_ms)):
                found = True
                for blanked in (name, *_WITH_THE_VISITOR) if name == "visitor_id" else (name,):
                    if blanked in changed:
                        changed[blanked][row] = ""
    return {**rows, **changed} if found else None
