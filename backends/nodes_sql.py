"""How do nodes know each other by SQL? NodeRegistry: a row for each, with times of the database's own clock."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, Row, func, insert, or_, select, text, update

from backends.added_rows_sql import put_missing
from backends.budget_draws_sql import leave_all
from backends.budget_ledger_sql import end_leases
from backends.sql import reading, writing
from backends.sql_tables_nodes import DUTIES, NODES
from common.errors import Conflict
from common.nodes import NODES_AT_MOST
from exchange.nodes import DUTY_HELD_MS, NAME_HELD_MS, Claim, Node, held_by_another, of_another_folder

_AT = NODES.c
_NOW = {
    "sqlite": text("SELECT CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)"),
    "postgresql": text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"),
}


class SqlNodeRegistry:
    """NodeRegistry over an engine of backends.sql."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def claim(self, claim: Claim) -> Node:
        """See NodeRegistry."""
        with writing(self._engine) as connection:
            row = _locked(connection, claim.name)
            now_ms = now_of(connection)
            if row is None:
                number = (connection.execute(select(func.max(_AT.number))).scalar() or 0) + 1
                if number > NODES_AT_MOST:
                    raise Conflict(f"there were {NODES_AT_MOST} names of nodes already: use one of them again")
                fresh = _held(claim) | {"name": claim.name, "number": number, "address": "", "written_off_at_ms": 0}
                connection.execute(insert(NODES).values(fresh | {"heartbeat_at_ms": now_ms}))
                return Node(claim.name, number)
            age_ms = now_ms - row.heartbeat_at_ms
            # Whoever holds the lock of the very folder knows that the process before is dead.
            same_folder = (row.log_id, row.place) == (claim.log_id, claim.place)
            if row.instance and age_ms < NAME_HELD_MS and not same_folder:
                raise held_by_another(claim.name, age_ms)
            if row.log_id != claim.log_id:
                raise of_another_folder(claim.name)
            _change(connection, claim.name, _held(claim) | {"heartbeat_at_ms": now_ms})
            return Node(claim.name, row.number, row.address, written_off=bool(row.written_off_at_ms))

    def welcome(self, name: str) -> None:
        """See NodeRegistry."""
        with writing(self._engine) as connection:
            _change(connection, name, {"written_off_at_ms": 0, "heartbeat_at_ms": now_of(connection)})

    def beat(self, claim: Claim, address: str) -> bool:
        """See NodeRegistry."""
        with writing(self._engine) as connection:
            row = _locked(connection, claim.name)
            if row is None or row.instance != claim.instance or row.written_off_at_ms:
                return False
            _change(connection, claim.name, {"address": address, "heartbeat_at_ms": now_of(connection)})
            return True

    def let_go(self, claim: Claim) -> None:
        """See NodeRegistry."""
        own = (_AT.name == claim.name) & (_AT.instance == claim.instance)
        with writing(self._engine) as connection:
            connection.execute(update(NODES).where(own).values(instance=""))
            connection.execute(DUTIES.delete().where(DUTIES.c.instance == claim.instance))

    def nodes(self) -> list[Node]:
        """See NodeRegistry."""
        with reading(self._engine) as connection:
            now_ms = now_of(connection)
            return [
                Node(row.name, row.number, row.address, now_ms - row.heartbeat_at_ms, bool(row.written_off_at_ms))
                for row in connection.execute(select(NODES).order_by(_AT.number))
            ]

    def take_turn(self, duty: str, instance: str) -> bool:
        """See NodeRegistry."""
        of = DUTIES.c
        with writing(self._engine) as connection:
            now_ms = now_of(connection)
            put_missing(connection, DUTIES, [{"duty": duty, "instance": instance, "until_ms": now_ms}])
            free = or_(of.instance == instance, of.until_ms <= now_ms)
            taken = update(DUTIES).where(of.duty == duty, free)
            return bool(connection.execute(taken.values(instance=instance, until_ms=now_ms + DUTY_HELD_MS)).rowcount)

    def write_off(self, after_ms: int) -> list[str]:
        """See NodeRegistry."""
        with writing(self._engine) as connection:
            now_ms = now_of(connection)
            gone = select(_AT.name).where(_AT.heartbeat_at_ms < now_ms - after_ms, _AT.written_off_at_ms == 0)
            names = list(connection.execute(gone.order_by(_AT.name).with_for_update()).scalars())
            for name in names:
                # What it drew from pools is nobody's either. Members before leases, as whoever books does it.
                leave_all(connection, name)
                end_leases(connection, name)
                _change(connection, name, {"written_off_at_ms": now_ms})
        return names


def now_of(connection: Connection) -> int:
    """The database's time in milliseconds; on SQLite that of its machine."""
    return int(connection.execute(_NOW[connection.dialect.name]).scalar_one())


def _locked(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(select(NODES).where(_AT.name == name).with_for_update()).first()


def _change(connection: Connection, name: str, values: dict[str, Any]) -> None:
    connection.execute(update(NODES).where(_AT.name == name).values(values))


def _held(claim: Claim) -> dict[str, Any]:
    return {"log_id": claim.log_id, "place": claim.place, "instance": claim.instance}
