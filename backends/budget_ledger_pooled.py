"""How do several nodes spend one budget without asking the ledger each time? By a pool that holds leases for all.

The ledger leases to the pool, the pool lends to nodes, and what a node was lent is booked in the ledger as its own
lease before anything that it spent of it is counted. So spent + leased never exceeds a limit, as without the pool, and
a Redis that is gone, was restarted or has lost something costs nothing but time: nodes then lease from the ledger, and
what the lost pool had leased is free again when every node that drew from it has booked what it holds.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Final

import msgspec

from backends.budget_draws_sql import SqlBudgetDraws, is_pool
from backends.budget_ledger_sql import BudgetStanding, SqlBudgetLedger
from backends.budget_pool_redis import MOST_MICROS, RedisBudgetPool
from common.clock import Clock
from common.errors import BackendUnavailable
from exchange.ports import Budget, Spend

# The pool takes so great a part of what remains of an account at once: 1 / 4.
POOL_SHARE: Final = 4
LEAST_MICROS: Final = 1_000_000

_log = logging.getLogger(__name__)


class _Member(msgspec.Struct):
    """A holder in a pool: what it was lent of each account in all, and how much of that is booked."""

    pool: str
    lent: dict[int, int]
    booked: dict[int, int]
    at_ms: int = 0

    def unbooked(self) -> dict[int, int]:
        return {account: micros for account, micros in self.lent.items() if micros > self.booked.get(account, 0)}


class PooledBudgetLedger:
    """`BudgetLedger` of nodes that share a pool; everything that is money of record happens in `ledger`.

    `counts`: leases `from_pool`, `from_ledger` while Redis did not answer, and pools that were `lost`. Threads may
    share it. BackendUnavailable only when the ledger's store does not answer.
    """

    def __init__(
        self,
        ledger: SqlBudgetLedger,
        draws: SqlBudgetDraws,
        pool: RedisBudgetPool,
        clock: Clock,
        *,
        pool_share: int = POOL_SHARE,
        least_micros: int = LEAST_MICROS,
    ) -> None:
        """`least_micros` is lent whatever share was asked for, so that an almost empty pool is not cut to dust."""
        self.counts: Counter[str] = Counter()
        self._ledger = ledger
        self._draws = draws
        self._pool = pool
        self._clock = clock
        self._pool_share = pool_share
        self._least_micros = least_micros
        self._members: dict[str, _Member] = {}
        # Holders whose first call found no Redis: what they had drawn before is not known.
        self._unknown: set[str] = set()
        # Holders that have taken up what the process before them reserved.
        self._tended: set[str] = set()
        # Nodes that were written off, by the pool in which that was seen to, and since when they are.
        self._forgotten: dict[str, tuple[str, int]] = {}
        self._one_at_a_time = threading.RLock()

    def lease(self, holder: str, wanted: Mapping[int, int], now_ms: int, *, share: int = 1) -> dict[int, int]:
        """See BudgetLedger: out of the pool; out of the ledger while there is none, or its sums are at their end."""
        with self._one_at_a_time:
            granted = dict.fromkeys(wanted, 0)
            if share <= 1 and holder not in self._tended:
                self._book(holder)
                granted.update(self._draws.take(self._unproven(holder), holder, wanted, now_ms))
            missing = {account: micros - granted[account] for account, micros in wanted.items()}
            if not any(missing.values()):
                return granted
            try:
                found = self._lent(holder, missing, now_ms, share)
                self.counts["from_pool"] += 1
            except _NoPoolError:
                found = self._ledger.lease(holder, missing, now_ms, share=share)
                self.counts["from_ledger"] += 1
            _add(granted, found)
            return granted

    def leases_of(self, holder: str) -> tuple[dict[int, int], int]:
        """See BudgetLedger; what was drawn from the pool is booked before."""
        with self._one_at_a_time:
            self._book(holder)
            return self._ledger.leases_of(holder)

    def give_back(self, holder: str, unused: Mapping[int, int]) -> None:
        """See BudgetLedger. What the pool has left of these accounts goes back too: limits may have been lowered."""
        with self._one_at_a_time:
            everything = dict.fromkeys(unused, MOST_MICROS)
            try:
                rest = self._drawn(holder, everything, self._clock.now_ms(), 1)
            except _NoPoolError:
                rest = {}
            self._book(holder)
            more = {account: micros + rest.get(account, 0) for account, micros in unused.items()}
            self._ledger.give_back(holder, more)

    def give_back_all(self, holder: str) -> None:
        """See BudgetLedger: of a holder that is dead, in the pools as well."""
        with self._one_at_a_time:
            self._book(holder)
            self._ledger.give_back_all(holder)
            self._draws.leave(self._draws.memberships(holder), holder)
            self._members.pop(holder, None)
            self._unknown.discard(holder)

    def settle(
        self,
        holder: str,
        spends: Sequence[Spend],
        upto_offset: int,
        *,
        from_offset: int | None = None,
        carried: Mapping[int | str, int] = MappingProxyType({}),
    ) -> None:
        """See BudgetLedger. What was drawn is booked first, so that it is the holder's lease that is spent."""
        with self._one_at_a_time:
            self._book(holder)
        self._ledger.settle(holder, spends, upto_offset, from_offset=from_offset, carried=carried)

    def tend(self, holder: str, now_ms: int) -> None:
        """From time to time: see which pool is open, book what was drawn, let go of pools that were lost."""
        with self._one_at_a_time:
            try:
                self._member(holder)
            except _NoPoolError:
                return
            self._book(holder)
            self._tended.add(holder)
            self._draws.leave(self._unproven(holder), holder)
            self._forget_written_off(self._members[holder].pool, now_ms)
            self._draws.retire_older(self._members[holder].pool, now_ms)
            for pool in self._draws.close_left():
                _log.info("everybody has booked what was lent by %s: what it had left is free again", pool)

    def put_budget(self, budget: Budget) -> None:
        """Set the limits of an account; InvalidInput."""
        self._ledger.put_budget(budget)

    def standings(self, accounts: Iterable[int], now_ms: int) -> dict[int, BudgetStanding]:
        """What each account has spent and what is leased of it, by the pool too."""
        return self._ledger.standings(accounts, now_ms)

    def state(self, account: int, now_ms: int) -> BudgetStanding:
        """The standing of one account."""
        return self._ledger.state(account, now_ms)

    def holders(self) -> list[str]:
        """Who has leases that are not down to nothing, or may have drawn some; pools are none."""
        with self._one_at_a_time:
            for holder in list(self._members):
                self._book(holder)
            others = self._draws.members() - self._members.keys()
        return sorted(others.union(holder for holder in self._ledger.holders() if not is_pool(holder)))

    def counted_upto(self) -> int:
        """See BudgetLedger."""
        return self._ledger.counted_upto()

    def carried(self) -> dict[int | str, int]:
        """See BudgetLedger."""
        return self._ledger.carried()

    def time_zones(self, accounts: Iterable[int]) -> dict[int, str]:
        """See BudgetLedger."""
        return self._ledger.time_zones(accounts)

    def _lent(self, holder: str, wanted: Mapping[int, int], now_ms: int, share: int) -> dict[int, int]:
        granted = self._drawn(holder, wanted, now_ms, share)
        short = {a: m - granted[a] for a, m in wanted.items() if granted[a] < (m if share <= 1 else min(m, 1))}
        if not short:
            return granted
        # What was drawn is the holder's, whatever keeps it from drawing more.
        with suppress(_NoPoolError, BackendUnavailable):
            pool = self._members[holder].pool
            before = self._draws.leased_in_all(pool, short)
            fillable = {account: micros for account, micros in short.items() if before[account] < MOST_MICROS}
            had = dict(granted)
            if self._fill(pool, fillable, before, now_ms, share):
                _add(granted, self._drawn(holder, fillable, now_ms, share))
            # Sums of the pool only grow, and those of an account without a limit are at their end as soon as somebody
            # has given it back: the ledger has more.
            used_up = {
                account: missing
                for account, micros in short.items()
                if before[account] + (micros if share <= 1 else 1) > MOST_MICROS
                and (missing := micros - granted[account] + had[account]) > 0
            }
            if used_up:
                _add(granted, self._ledger.lease(holder, used_up, now_ms, share=share))
        return granted

    def _drawn(self, holder: str, wanted: Mapping[int, int], now_ms: int, share: int) -> dict[int, int]:
        """Out of the pool as it is; once more when the pool that was open a moment ago is not."""
        for known in (True, False):
            member = self._member(holder, known=known)
            asked = {account: (member.lent.get(account, 0), micros) for account, micros in wanted.items()}
            with _no_pool_without_redis():
                lent = self._pool.lend(member.pool, holder, asked, share=share, least_micros=self._least_micros)
            if lent is not None:
                break
        else:
            raise _NoPoolError
        granted = {account: now.lent_micros - asked[account][0] for account, now in lent.items()}
        member.lent.update((account, lent[account].lent_micros) for account, micros in granted.items() if micros)
        member.at_ms = now_ms
        return granted

    def _fill(self, pool: str, short: Mapping[int, int], before: Mapping[int, int], now_ms: int, share: int) -> bool:
        """Lease more to the pool than the `before` of each account: a part of what remains, or what is wanted exactly;
        False when there was nothing.
        """
        wanted = {
            account: min(micros if share <= 1 else MOST_MICROS, MOST_MICROS - before[account])
            for account, micros in short.items()
        }
        leased = self._ledger.lease(pool, wanted, now_ms, share=1 if share <= 1 else self._pool_share)
        if not any(leased.values()):
            return False
        in_all = self._draws.leased_in_all(pool, [account for account, micros in leased.items() if micros])
        with _no_pool_without_redis():
            return self._pool.fill(pool, in_all)

    def _member(self, holder: str, *, known: bool = False) -> _Member:
        """The holder in the pool that is open, a member by the ledger's record. `known`: Redis is not asked again."""
        member = self._members.get(holder)
        if member is not None and known:
            return member
        pool = self._open()
        while not self._draws.join(pool, holder):
            # Somebody has retired it who saw a later one, in a Redis that is no more the master.
            pool = self._open(drop=pool)
        if member is not None and member.pool == pool:
            return member
        with _no_pool_without_redis():
            lent = self._pool.lent_to(pool, holder)
        if lent is None:
            raise _NoPoolError
        if member is not None:
            self.counts["lost"] += 1
            _log.warning("Redis was begun anew: budgets are lent from a new pool, and what the old one lent is booked")
            self._book(holder)
        booked = self._draws.booked(pool, holder)
        if holder in self._unknown:
            # It has gone on without what it had drawn before it was begun anew; that is the account's again.
            self._draws.book(pool, holder, lent, 0, lost=True)
            self._unknown.discard(holder)
            booked = booked | lent
        member = self._members[holder] = _Member(pool, lent, booked)
        return member

    def _book(self, holder: str) -> None:
        """Make what was drawn the holder's own lease, in the ledger."""
        member = self._members.get(holder)
        if member is None and holder not in self._unknown:
            try:
                member = self._member(holder)
            except _NoPoolError:
                self._unknown.add(holder)
        if member is None:
            return
        unbooked = member.unbooked()
        if unbooked:
            self._draws.book(member.pool, holder, unbooked, member.at_ms)
            member.booked.update(unbooked)

    def _forget_written_off(self, pool: str, now_ms: int) -> None:
        """What nodes that were written off had drawn from the open pool, and nobody booked, is free again."""
        for holder, since_ms in self._draws.written_off().items():
            if self._forgotten.get(holder) == (pool, since_ms):
                continue
            with suppress(_NoPoolError):
                with _no_pool_without_redis():
                    lent = self._pool.lent_to(pool, holder)
                if lent is None:
                    return
                if freed := self._draws.forget(pool, holder, lent, now_ms):
                    _log.info("%s was written off: what it drew of %d accounts is free again", holder, len(freed))
                self._forgotten[holder] = (pool, since_ms)

    def _open(self, *, drop: str = "") -> str:
        with _no_pool_without_redis():
            return self._pool.open(self._clock.now_ms(), drop=drop)

    def _unproven(self, holder: str) -> list[str]:
        """Pools that the holder drew from, as far as it is not known what: those that are lost, all without Redis."""
        member = self._members.get(holder)
        return [pool for pool in self._draws.memberships(holder) if member is None or pool != member.pool]


class _NoPoolError(Exception):
    """Redis does not answer, or has no pool that can be lent from; the ledger does."""


@contextmanager
def _no_pool_without_redis() -> Iterator[None]:
    try:
        yield
    except BackendUnavailable as error:
        raise _NoPoolError from error


def _add(granted: dict[int, int], more: Mapping[int, int]) -> None:
    granted.update((account, granted[account] + micros) for account, micros in more.items())
