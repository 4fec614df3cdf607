"""Nodes that share budgets through a pool in Redis, with all that can happen to them; the audit knows only the facts.

A node sells (reserves), hears notices (bills), counts what it billed into the ledger, and may die at any moment: what
its log holds is all that it has then. Redis may be cut off, be emptied, or turn out to be another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from random import Random
from threading import Lock
from typing import Protocol

from sqlalchemy import Engine, event, update

from backends.budget_draws_sql import SqlBudgetDraws
from backends.budget_ledger_pooled import PooledBudgetLedger
from backends.budget_ledger_sql import SqlBudgetLedger
from backends.budget_pool_redis import RedisBudgetPool
from backends.nodes_sql import SqlNodeRegistry
from backends.redis_connection import RedisConnection
from backends.sql_tables_nodes import NODES
from common.clock import Clock
from common.errors import BackendUnavailable
from exchange.budgets import BudgetBook
from exchange.nodes import Claim
from exchange.ports import CAMPAIGN_ACCOUNTS, Budget, Spend
from tests.databases import open_database

LINE_ITEM, CAMPAIGN = 7, 1
MONTH_MS = 30 * 86_400_000
ACCOUNTS = (LINE_ITEM, CAMPAIGN_ACCOUNTS + CAMPAIGN)


class Counts(Protocol):
    """Who counts spends into the ledger at the next offset."""

    def count(self, ledger: PooledBudgetLedger, holder: str, spends: list[Spend]) -> None: ...


class Counting:
    """The offset of the log of notices, which all nodes of a test share."""

    def __init__(self) -> None:
        self._next = count(1)
        self._lock = Lock()

    def count(self, ledger: PooledBudgetLedger, holder: str, spends: list[Spend]) -> None:
        with self._lock:
            ledger.settle(holder, spends, next(self._next))


class Node:
    """One exchange process as its budgets see it. `open` and `unbilled` are what its log says; a kill leaves them."""

    def __init__(
        self, name: str, engine: Engine, redis: RedisConnection, clock: Clock, counting: Counts, *, least: int = 20_000
    ) -> None:
        self.name, self.redis, self.clock = name, redis, clock
        self._engine, self._counting, self._least = engine, counting, least
        self.open: dict[int, int] = {}
        self.uncounted: list[Spend] = []
        self.billed_micros = 0
        self._ids = count(1)
        self.alive = False
        self._registry = SqlNodeRegistry(engine)
        self._registry.claim(Claim(name, f"log of {name}", "here", "a process"))
        self.start()

    def start(self) -> None:
        """As exchange.recovery does: count what the log holds, take up the leases, cover what is reserved."""
        self._registry.welcome(self.name)
        in_sql = SqlBudgetLedger(self._engine, least_lease_micros=5 * self._least)
        pool = RedisBudgetPool(self.redis)
        self.ledger = PooledBudgetLedger(
            in_sql, SqlBudgetDraws(self._engine), pool, self.clock, least_micros=self._least
        )
        self.book = BudgetBook(self.ledger, self.name, self.clock, share=4)
        self.count()
        leases, _ = self.ledger.leases_of(self.name)
        reserved = dict.fromkeys(ACCOUNTS, sum(self.open.values()))
        self.book.adopt(leases, reserved)
        lacking = {a: -self.book.standing(a).available_micros for a in ACCOUNTS}
        if missing := {a: micros for a, micros in lacking.items() if micros > 0}:
            self.book.cover_now(missing)
        self.rows = [self.book.row_of(account) for account in ACCOUNTS]
        self.alive = True

    def kill(self) -> None:
        self.alive = False

    def write_off(self) -> None:
        """Dead, and away for so long that the time of all its ads is over; what it did not count is not billed."""
        self.kill()
        with self._engine.begin() as connection:
            connection.execute(update(NODES).where(NODES.c.name == self.name).values(heartbeat_at_ms=0))
        self._registry.write_off(MONTH_MS)
        self.open.clear()
        self.billed_micros -= sum(spend.billed_micros for spend in self.uncounted)
        self.uncounted.clear()

    async def begin(self) -> None:
        """Start, and lease anew, as the first snapshot of line items makes a process do."""
        self.start()
        await self.book.renew(ACCOUNTS)
        await self.book.top_up()

    def tend(self) -> None:
        self.ledger.tend(self.name, self.clock.now_ms())

    def sell(self, micros: int) -> bool:
        if any(int(self.book.available[row]) < micros for row in self.rows):
            return False
        for row in self.rows:
            self.book.available[row] -= micros
        self.open[next(self._ids)] = micros
        return True

    def hear(self, chance: Random) -> None:
        """A notice of one open ad bills all or a part of its reservation, or its time is over."""
        if not self.open:
            return
        ad = chance.choice(list(self.open))
        reserved = self.open.pop(ad)
        billed = chance.choice([reserved, reserved, reserved // 2, 0])
        self.book.settle(dict.fromkeys(self.rows, reserved - billed), dict.fromkeys(self.rows, billed))
        if billed:
            self.billed_micros += billed
            self.uncounted.append(Spend(LINE_ITEM, CAMPAIGN, billed, self.clock.now_ms(), 1))

    def count(self) -> None:
        spends, self.uncounted = self.uncounted, []
        try:
            self._counting.count(self.ledger, self.name, spends)
        except BackendUnavailable:
            self.uncounted = spends
            raise

    def committed_micros(self) -> int:
        """What was billed, may still be billed, and may still be sold, by the smaller of the two accounts."""
        available = min(int(self.book.available[row]) for row in self.rows) if self.alive else 0
        return self.billed_micros + sum(self.open.values()) + max(available, 0)


def a_store(folder: Path) -> Engine:
    """A store that leaves the disk alone: what is killed here is nodes, and never the machine."""
    engine = open_database(folder)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
        engine.dispose()
    return engine


def put_limits(engine: Engine, total_micros: int) -> None:
    ledger = SqlBudgetLedger(engine)
    for account in ACCOUNTS:
        ledger.put_budget(Budget(account, total_micros, 0, "EUR", "UTC"))


def on_paper(engine: Engine, now_ms: int) -> Mapping[int, int]:
    """What the ledger holds of each account as spent or leased."""
    standings = SqlBudgetLedger(engine).standings(ACCOUNTS, now_ms)
    return {account: s.spent_total_micros + s.leased_micros for account, s in standings.items()}
