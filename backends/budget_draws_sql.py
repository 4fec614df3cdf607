"""What has the shared pool lent to whom? Booked in the ledger's own store: from the pool's lease to the holder's.

A pool is a holder of leases like any other, so the ledger's promise covers it: what it leased can be spent once. What
it lends is known by sums that only grow, and what is booked is such a sum too, so booking twice moves nothing twice.
For each account and pool: leased to it in all = its lease + everything that is booked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import Connection, Engine, func, insert, select, update

from backends import sql
from backends.budget_ledger_sql import _change_leases
from backends.sql_tables_budgets import BUDGET_LEASES
from backends.sql_tables_nodes import NODES
from backends.sql_tables_pools import BUDGET_DRAWS, BUDGET_POOL_MEMBERS, BUDGET_POOLS
from common.errors import Conflict

POOL: Final = "pool:"


def is_pool(holder: str) -> bool:
    """Is this the name of a pool and not of a process?"""
    return holder.startswith(POOL)


class SqlBudgetDraws:
    """Pools, who is a member of which, and what was drawn. Every call raises BackendUnavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def join(self, pool: str, holder: str) -> bool:
        """Become a member, before anything is drawn; False when the pool is retired."""
        pools = BUDGET_POOLS.c
        with sql.reading(self._engine) as connection:
            open_now = select(pools.pool).where(pools.pool == pool, pools.retired_at_ms == 0)
            if _is_member(connection, pool, holder) and connection.execute(open_now).first() is not None:
                return True
        try:
            with sql.writing(self._engine) as connection:
                return _join(connection, pool, holder)
        except Conflict:
            # Another node made the row of a pool in the same moment.
            with sql.writing(self._engine) as connection:
                return _join(connection, pool, holder)

    def booked(self, pool: str, holder: str) -> dict[int, int]:
        """What is booked of each account, in all."""
        draws = BUDGET_DRAWS.c
        query = select(draws.account, draws.micros).where(draws.pool == pool, draws.holder == holder)
        with sql.reading(self._engine) as connection:
            return {row.account: row.micros for row in connection.execute(query)}

    def book(self, pool: str, holder: str, drawn: Mapping[int, int], now_ms: int, *, lost: bool = False) -> None:
        """Book what was drawn of each account, in all: what is new moves from the pool's lease to the holder's.

        With `lost` it leaves the pool's lease and becomes nobody's: the holder no longer knows of it. Nothing happens
        where the holder is no member.
        """
        with sql.writing(self._engine) as connection:
            if not _is_member(connection, pool, holder, lock=True):
                return
            before = _draws(connection, pool, holder, drawn)
            new = {a: micros - before.get(a, 0) for a, micros in sorted(drawn.items()) if micros > before.get(a, 0)}
            if not new:
                return
            _move(connection, pool, None if lost else holder, new, now_ms)
            _write_draws(connection, pool, holder, {account: drawn[account] for account in new}, before)

    def written_off(self) -> dict[str, int]:
        """Nodes that are written off, and since when."""
        query = select(NODES.c.name, NODES.c.written_off_at_ms).where(NODES.c.written_off_at_ms > 0)
        with sql.reading(self._engine) as connection:
            return {row.name: row.written_off_at_ms for row in connection.execute(query)}

    def forget(self, pool: str, holder: str, drawn: Mapping[int, int], now_ms: int) -> dict[int, int]:
        """A node that is written off had drawn so much of each account, in all: what is not booked is nobody's again.

        What was freed. Nothing happens once the node is a member of the pool: then it books this itself.
        """
        with sql.writing(self._engine) as connection:
            # Whoever joins waits for this, and then reads what is booked.
            connection.execute(select(BUDGET_POOLS.c.pool).where(BUDGET_POOLS.c.pool == pool).with_for_update())
            if _is_member(connection, pool, holder):
                return {}
            before = _draws(connection, pool, holder, drawn)
            new = {a: micros - before.get(a, 0) for a, micros in sorted(drawn.items()) if micros > before.get(a, 0)}
            freed = _move(connection, pool, None, new, now_ms)
            _write_draws(connection, pool, holder, {account: drawn[account] for account in new}, before)
        return freed

    def take(self, pools: Iterable[str], holder: str, wanted: Mapping[int, int], now_ms: int) -> dict[int, int]:
        """Move up to `wanted` to the holder out of pools that it drew from, and book it as drawn; what was moved.

        For what it reserved and cannot prove any more: Redis does not say what it drew, its own log does.
        """
        taken: dict[int, int] = {}
        for pool in pools:
            missing = {a: m - taken.get(a, 0) for a, m in wanted.items() if m > taken.get(a, 0)}
            with sql.writing(self._engine) as connection:
                if not _is_member(connection, pool, holder, lock=True):
                    continue
                moved = _move(connection, pool, holder, missing, now_ms)
                before = _draws(connection, pool, holder, moved)
                drawn = {account: micros + before.get(account, 0) for account, micros in moved.items()}
                _write_draws(connection, pool, holder, drawn, before)
            for account, micros in moved.items():
                taken[account] = taken.get(account, 0) + micros
        return taken

    def leased_in_all(self, pool: str, accounts: Iterable[int]) -> dict[int, int]:
        """What the pool has leased of each account since it was opened, given out or not."""
        listed = list(accounts)
        found = dict.fromkeys(listed, 0)
        with sql.reading(self._engine) as connection:
            for part in sql.chunks(listed):
                found.update((a, found[a] + m) for a, m in _leases(connection, pool, part).items())
                draws = BUDGET_DRAWS.c
                query = (
                    select(draws.account, func.sum(draws.micros))
                    .where(draws.pool == pool, draws.account.in_(part))
                    .group_by(draws.account)
                )
                found.update((account, found[account] + int(micros)) for account, micros in connection.execute(query))
        return found

    def retire_older(self, pool: str, now_ms: int) -> None:
        """Pools that were opened before this one lend no more."""
        pools = BUDGET_POOLS.c
        number = select(pools.number).where(pools.pool == pool).scalar_subquery()
        older = (pools.number < number, pools.retired_at_ms == 0)
        with sql.reading(self._engine) as connection:
            if connection.execute(select(BUDGET_POOLS.c.pool).where(*older).limit(1)).first() is None:
                return
        with sql.writing(self._engine) as connection:
            connection.execute(update(BUDGET_POOLS).where(*older).values(retired_at_ms=now_ms))

    def memberships(self, holder: str) -> list[str]:
        """The pools that a holder is a member of, oldest first."""
        members = BUDGET_POOL_MEMBERS.c
        with sql.reading(self._engine) as connection:
            query = select(members.pool).where(members.holder == holder).order_by(members.pool)
            return list(connection.execute(query).scalars())

    def members(self) -> set[str]:
        """Who is a member of any pool."""
        with sql.reading(self._engine) as connection:
            return set(connection.execute(select(BUDGET_POOL_MEMBERS.c.holder).distinct()).scalars())

    def leave(self, pools: Iterable[str], holder: str) -> None:
        """The holder has booked all that it drew: nothing of these pools is in its hands any more."""
        members = BUDGET_POOL_MEMBERS.c
        with sql.writing(self._engine) as connection:
            gone = BUDGET_POOL_MEMBERS.delete().where(members.holder == holder, members.pool.in_(list(pools)))
            connection.execute(gone)

    def close_left(self) -> list[str]:
        """Retired pools without members end, and what they still had leased is free again; which those are."""
        pools, members = BUDGET_POOLS.c, BUDGET_POOL_MEMBERS.c
        left = select(pools.pool).where(
            pools.retired_at_ms > 0, ~select(members.pool).where(members.pool == pools.pool).exists()
        )
        with sql.reading(self._engine) as connection:
            if connection.execute(left.limit(1)).first() is None:
                return []
        with sql.writing(self._engine) as connection:
            closed = list(connection.execute(left).scalars())
            connection.execute(BUDGET_LEASES.delete().where(BUDGET_LEASES.c.holder.in_(closed)))
            connection.execute(BUDGET_DRAWS.delete().where(BUDGET_DRAWS.c.pool.in_(closed)))
            # The row stays, so that nobody joins who still hears of the pool from a Redis that was cut off.
        return closed


def leave_all(connection: Connection, holder: str) -> None:
    """Within the caller's transaction: nothing of any pool is in this holder's hands any more."""
    connection.execute(BUDGET_POOL_MEMBERS.delete().where(BUDGET_POOL_MEMBERS.c.holder == holder))


def _join(connection: Connection, pool: str, holder: str) -> bool:
    pools, members = BUDGET_POOLS.c, BUDGET_POOL_MEMBERS.c
    query = select(pools.retired_at_ms).where(pools.pool == pool).with_for_update()
    retired_at_ms = connection.execute(query).scalar_one_or_none()
    if retired_at_ms:
        return False
    if retired_at_ms is None:
        number = connection.execute(select(func.coalesce(func.max(pools.number), 0) + 1)).scalar_one()
        connection.execute(insert(BUDGET_POOLS).values(pool=pool, number=number, retired_at_ms=0))
    known = select(members.holder).where(members.pool == pool, members.holder == holder)
    if connection.execute(known).first() is None:
        connection.execute(insert(BUDGET_POOL_MEMBERS).values(pool=pool, holder=holder))
    return True


def _is_member(connection: Connection, pool: str, holder: str, *, lock: bool = False) -> bool:
    members = BUDGET_POOL_MEMBERS.c
    query = select(members.holder).where(members.pool == pool, members.holder == holder)
    return connection.execute(query.with_for_update() if lock else query).first() is not None


def _draws(connection: Connection, pool: str, holder: str, accounts: Iterable[int]) -> dict[int, int]:
    draws = BUDGET_DRAWS.c
    found: dict[int, int] = {}
    for part in sql.chunks(accounts):
        query = select(draws.account, draws.micros).where(
            draws.pool == pool, draws.holder == holder, draws.account.in_(part)
        )
        found.update((row.account, row.micros) for row in connection.execute(query))
    return found


def _write_draws(
    connection: Connection, pool: str, holder: str, drawn: Mapping[int, int], before: Mapping[int, int]
) -> None:
    draws = BUDGET_DRAWS.c
    for account, micros in drawn.items():
        if account in before:
            row = (draws.pool == pool, draws.holder == holder, draws.account == account)
            connection.execute(update(BUDGET_DRAWS).where(*row).values(micros=micros))
    new = [
        {"pool": pool, "holder": holder, "account": account, "micros": micros}
        for account, micros in drawn.items()
        if account not in before
    ]
    if new:
        connection.execute(insert(BUDGET_DRAWS), new)


def _leases(connection: Connection, holder: str, accounts: Iterable[int], *, lock: bool = False) -> dict[int, int]:
    leases = BUDGET_LEASES.c
    found: dict[int, int] = {}
    for part in sql.chunks(sorted(accounts)):
        query = (
            select(leases.account, leases.micros)
            .where(leases.holder == holder, leases.account.in_(part))
            .order_by(leases.account)
        )
        rows = connection.execute(query.with_for_update() if lock else query)
        found.update((row.account, row.micros) for row in rows)
    return found


def _move(
    connection: Connection, pool: str, holder: str | None, wanted: Mapping[int, int], now_ms: int
) -> dict[int, int]:
    """Up to what the pool has leased: by the promise of the sums it never has less than was drawn of it."""
    leased = _leases(connection, pool, wanted, lock=True)
    moved = {a: min(micros, leased.get(a, 0)) for a, micros in wanted.items() if min(micros, leased.get(a, 0)) > 0}
    if moved:
        _change_leases(connection, pool, {account: -micros for account, micros in moved.items()})
        if holder is not None:
            _change_leases(connection, holder, moved, now_ms)
    return moved
