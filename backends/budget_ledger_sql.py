"""Where is the record of money? In SQL: limits, spend and leases change in one transaction, or not at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, Engine, bindparam, func, insert, select, update

from backends import settled_days_sql, sql
from backends.added_rows_sql import put_missing
from backends.postings_sql import SETTLEMENT, LeaseCaps, post_settlement
from backends.sql_tables_budgets import BUDGET_ACCOUNTS, BUDGET_CARRIES, BUDGET_LEASES, NOTICES_COUNTED
from backends.sql_tables_nodes import NODES
from common.errors import Conflict, FieldError, InvalidInput
from common.money import ABSURD_BUDGET_MICROS
from common.nodes import DEFAULT_NODE
from exchange.campaign_days import day_of
from exchange.ports import CAMPAIGN_ACCOUNTS, Budget, Spend
from exchange.settlement import DEFAULT_SHARE, settlement

# What an account without limits may have spent and leased at most: about 10^12 units of any currency.
UNLIMITED_MICROS: Final = 1 << 60

_NO_CARRY: Final[Mapping[int | str, int]] = MappingProxyType({})
_BIDDER: Final = "bidder "


class BudgetStanding(msgspec.Struct, frozen=True):
    """What an account has spent, in all and today, and what is leased of it, in micros."""

    spent_total_micros: int
    spent_today_micros: int
    leased_micros: int


class _Account(msgspec.Struct):
    """A row of budget_accounts while it is worked on."""

    account: int
    total_micros: int = 0
    daily_micros: int = 0
    time_zone: str = "UTC"
    spent_total_micros: int = 0
    spent_day_micros: int = 0
    day: int = 0

    def spent_on(self, day: int) -> int:
        return self.spent_day_micros if self._current(day) == self.day else 0

    def remaining(self, leased_micros: int, day: int) -> int:
        left = (self.total_micros or UNLIMITED_MICROS) - self.spent_total_micros - leased_micros
        if self.daily_micros:
            left = min(left, self.daily_micros - self.spent_on(day) - leased_micros)
        return max(left, 0)

    def spend(self, micros: int, day: int) -> None:
        self.spent_total_micros += micros
        if day == self.day:
            self.spent_day_micros += micros
        elif self._current(day) == day:
            self.day, self.spent_day_micros = day, micros

    def _current(self, day: int) -> int:
        # A clock that is set back over midnight does not open yesterday again. One that was wrong by more than a day
        # and is set right begins anew.
        return self.day if day == self.day - 1 else day


class SqlBudgetLedger:
    """`BudgetLedger` on SQL, with what the budget book asks beyond it.

    `least_lease_micros` is granted whatever share was asked for, so that an almost empty account is not cut to dust.
    `publisher_share` (0 to 1) is what publishers get of what is billed. A campaign leases no more than its advertiser
    has paid for or is trusted with. `node` is whose log is counted: each has an offset and remainders of its own. Every
    call raises BackendUnavailable when the store does not answer.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        least_lease_micros: int = 5_000_000,
        publisher_share: Decimal = DEFAULT_SHARE,
        node: str = DEFAULT_NODE,
    ) -> None:
        self._engine = engine
        self._node = node
        self._publisher_share = publisher_share
        self._least_lease_micros = least_lease_micros

    def put_budget(self, budget: Budget) -> None:
        """Set the limits of an account; InvalidInput. Limits below what is spent and leased end new leases, no more."""
        with sql.writing(self._engine) as connection:
            write_budget(connection, budget)

    def standings(self, accounts: Iterable[int], now_ms: int) -> dict[int, BudgetStanding]:
        """What each account has spent and what is leased of it; "today" is the day of the account's time zone."""
        wanted = list(dict.fromkeys(accounts))
        with sql.reading(self._engine) as connection:
            rows = _accounts(connection, wanted)
            leased = _leased(connection, wanted)
        return {
            account: BudgetStanding(
                spent_total_micros=row.spent_total_micros,
                spent_today_micros=row.spent_on(day_of(now_ms, row.time_zone)),
                leased_micros=leased.get(account, 0),
            )
            for account, row in rows.items()
        }

    def state(self, account: int, now_ms: int) -> BudgetStanding:
        """The standing of one account."""
        return self.standings([account], now_ms)[account]

    def lease(self, holder: str, wanted: Mapping[int, int], now_ms: int, *, share: int = 1) -> dict[int, int]:
        """Carve up to `wanted` micros out of each account, at most one `share`-th of what remains."""
        with sql.writing(self._engine) as connection:
            rows = _accounts(connection, wanted, lock=True)
            leased = _leased(connection, wanted)
            caps = LeaseCaps(connection, wanted)
            granted = {}
            for account, row in rows.items():
                remaining = row.remaining(leased.get(account, 0), day_of(now_ms, row.time_zone))
                funded = caps.left(account)
                if funded is not None:
                    remaining = min(remaining, funded)
                most = remaining if share <= 1 else max(remaining // share, self._least_lease_micros)
                granted[account] = max(min(wanted[account], most, remaining), 0)
                caps.take(account, granted[account])
            _change_leases(connection, holder, {a: m for a, m in granted.items() if m}, now_ms)
        return granted

    def give_back(self, holder: str, unused: Mapping[int, int]) -> None:
        """Return leased micros that were not spent; Conflict when the holder has less than that."""
        with sql.writing(self._engine) as connection:
            _accounts(connection, unused, lock=True)
            _change_leases(connection, holder, {account: -micros for account, micros in unused.items() if micros})

    def give_back_all(self, holder: str) -> None:
        """Every lease of `holder` ends. Count its notices first: what is not settled by then is free again."""
        with sql.writing(self._engine) as connection:
            end_leases(connection, holder)

    def leases_of(self, holder: str) -> tuple[dict[int, int], int]:
        """(what `holder` has leased of each account, when it last leased, 0 for never)."""
        columns = (BUDGET_LEASES.c.account, BUDGET_LEASES.c.micros, BUDGET_LEASES.c.leased_at_ms)
        with sql.reading(self._engine) as connection:
            rows = connection.execute(select(*columns).where(BUDGET_LEASES.c.holder == holder)).all()
        return {row.account: row.micros for row in rows}, max((row.leased_at_ms for row in rows), default=0)

    def holders(self) -> list[str]:
        """Who has leases that are not down to nothing."""
        query = select(BUDGET_LEASES.c.holder).where(BUDGET_LEASES.c.micros > 0).distinct()
        with sql.reading(self._engine) as connection:
            return sorted(connection.execute(query).scalars())

    def time_zones(self, accounts: Iterable[int]) -> dict[int, str]:
        """The time zone in which each account counts its days; UTC for one without limits."""
        with sql.reading(self._engine) as connection:
            return {account: row.time_zone for account, row in _accounts(connection, accounts).items()}

    def settle(
        self,
        holder: str,
        spends: Sequence[Spend],
        upto_offset: int,
        *,
        from_offset: int | None = None,
        carried: Mapping[int | str, int] = _NO_CARRY,
    ) -> None:
        """Add spends out of the holder's leases and remember how far topic `notices` is counted.

        Nothing happens when it is counted to `upto_offset` already; Conflict when it is not counted to `from_offset`,
        because another projector was at work. `carried` replaces the remainders of these payers. A spend is a fact of
        the log: it is counted even when the lease is smaller.
        """
        billed: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for spend in spends:
            if spend.line_item_number and spend.billed_micros:
                entry = (spend.taken_at_ms, spend.billed_micros)
                billed[spend.line_item_number].append(entry)
                billed[CAMPAIGN_ACCOUNTS + spend.campaign_number].append(entry)
        settled = settlement(spends, self._publisher_share)
        latest_ms = max((spend.taken_at_ms for spend in spends), default=0)
        with sql.writing(self._engine) as connection:
            sql.in_turn(connection, SETTLEMENT)
            _refuse_written_off(connection, self._node)
            counted = _counted_upto(connection, self._node, lock=True)
            if counted is not None and counted >= upto_offset:
                return
            if from_offset is not None and (counted or 0) != from_offset:
                raise Conflict(
                    f"notices are counted up to {counted or 0}, not up to {from_offset}: read again from there"
                )
            _add_spends(connection, holder, billed)
            _write_carries(connection, self._node, carried)
            settled_days_sql.add(connection, settled)
            whose = "notices " if self._node == DEFAULT_NODE else f"{self._node}:"
            post_settlement(connection, settled, f"{whose}{counted or 0}-{upto_offset}", latest_ms)
            if counted is None:
                connection.execute(insert(NOTICES_COUNTED).values(node=self._node, upto_offset=upto_offset))
            else:
                own = NOTICES_COUNTED.c.node == self._node
                connection.execute(update(NOTICES_COUNTED).where(own).values(upto_offset=upto_offset))

    def counted_upto(self) -> int:
        """The offset of the node's topic `notices` up to which spends are counted."""
        with sql.reading(self._engine) as connection:
            return _counted_upto(connection, self._node) or 0

    def carried(self) -> dict[int | str, int]:
        """The node's remainder of each line item (by number) and outside bidder (by name), as counted."""
        carries = BUDGET_CARRIES.c
        with sql.reading(self._engine) as connection:
            rows = connection.execute(
                select(carries.payer, carries.thousandths).where(carries.node == self._node)
            ).all()
        return {_payer_of(row.payer): row.thousandths for row in rows}


def write_budget(connection: Connection, budget: Budget) -> None:
    """Set the limits of an account within the caller's transaction; InvalidInput names every field that is wrong."""
    errors = []
    for field in ("total_micros", "daily_micros"):
        value = getattr(budget, field)
        if not 0 <= value <= ABSURD_BUDGET_MICROS:
            errors.append(FieldError(field, str(value), f"give 0 (no limit) to {ABSURD_BUDGET_MICROS} micros"))
    try:
        ZoneInfo(budget.time_zone)
    except (ValueError, OSError, KeyError):  # unknown names, folders of the zone database and paths out of it
        errors.append(FieldError("time_zone", repr(budget.time_zone[:64]), "give an IANA name such as Asia/Kolkata"))
    if errors:
        raise InvalidInput(errors)
    limits = {
        "total_micros": budget.total_micros,
        "daily_micros": budget.daily_micros,
        "currency": budget.currency,
        "time_zone": budget.time_zone,
    }
    known = connection.execute(
        update(BUDGET_ACCOUNTS).where(BUDGET_ACCOUNTS.c.account == budget.account).values(limits)
    )
    if not known.rowcount:
        unspent = {"account": budget.account, "spent_total_micros": 0, "spent_day_micros": 0, "day": 0}
        connection.execute(insert(BUDGET_ACCOUNTS).values(limits | unspent))


def _accounts(connection: Connection, accounts: Iterable[int], *, lock: bool = False) -> dict[int, _Account]:
    """The accounts as they stand, a blank one where there is no row; locked in the order of their numbers."""
    columns = [BUDGET_ACCOUNTS.c[name] for name in _Account.__struct_fields__]
    wanted = sorted(set(accounts))
    found = {account: _Account(account) for account in wanted}
    for part in sql.chunks(wanted):
        query = select(*columns).where(BUDGET_ACCOUNTS.c.account.in_(part)).order_by(BUDGET_ACCOUNTS.c.account)
        for row in connection.execute(query.with_for_update() if lock else query):
            found[row.account] = _Account(*row)
    return found


def _leased(connection: Connection, accounts: Iterable[int]) -> dict[int, int]:
    """What is leased of each account, by all holders together."""
    leases = BUDGET_LEASES.c
    found: dict[int, int] = {}
    for part in sql.chunks(accounts):
        query = select(leases.account, func.sum(leases.micros)).where(leases.account.in_(part)).group_by(leases.account)
        found.update((account, int(micros)) for account, micros in connection.execute(query))
    return found


def _change_leases(connection: Connection, holder: str, change: Mapping[int, int], now_ms: int | None = None) -> None:
    """Add to the holder's leases; with a time they are leased now. A lease below zero breaks its CHECK."""
    leases = BUDGET_LEASES.c
    known: set[int] = set()
    sql.in_turn(connection, "leases", holder)
    for part in sql.chunks(change):
        query = select(leases.account).where(leases.holder == holder, leases.account.in_(part))
        known.update(connection.execute(query).scalars())
    stamp = {} if now_ms is None else {"leased_at_ms": now_ms}
    old = [{"of_account": account, "micros_more": micros} for account, micros in change.items() if account in known]
    if old:
        statement = (
            update(BUDGET_LEASES)
            .where(leases.holder == holder, leases.account == bindparam("of_account"))
            .values(micros=leases.micros + bindparam("micros_more"), **stamp)
        )
        connection.execute(statement, old)
    new = [
        {"holder": holder, "account": account, "micros": micros, "leased_at_ms": now_ms or 0}
        for account, micros in change.items()
        if account not in known
    ]
    if new:
        connection.execute(insert(BUDGET_LEASES), new)


def end_leases(connection: Connection, holder: str) -> None:
    """Within the caller's transaction: the holder has none any more."""
    connection.execute(BUDGET_LEASES.delete().where(BUDGET_LEASES.c.holder == holder))


def _add_spends(connection: Connection, holder: str, billed: Mapping[int, Sequence[tuple[int, int]]]) -> None:
    # Rows first, so that there is something to lock: another node may spend of the same account for the first time.
    blank = [msgspec.structs.asdict(_Account(account)) | {"currency": ""} for account in sorted(billed)]
    put_missing(connection, BUDGET_ACCOUNTS, blank)
    rows = _accounts(connection, billed, lock=True)
    leased: dict[int, int] = {}
    for part in sql.chunks(billed):
        query = select(BUDGET_LEASES.c.account, BUDGET_LEASES.c.micros).where(
            BUDGET_LEASES.c.holder == holder, BUDGET_LEASES.c.account.in_(part)
        )
        leased.update((account, micros) for account, micros in connection.execute(query))
    off: dict[int, int] = {}
    for account, entries in billed.items():
        row = rows[account]
        for taken_at_ms, micros in entries:
            row.spend(micros, day_of(taken_at_ms, row.time_zone))
        # What is refunded goes to the account, not to a lease: it may be of a day that is over.
        spent = min(sum(micros for _, micros in entries if micros > 0), leased.get(account, 0))
        if spent:
            off[account] = -spent
    _change_leases(connection, holder, off)

    spent_now = [
        {"of_account": a, "total": r.spent_total_micros, "day_spend": r.spent_day_micros, "on_day": r.day}
        for a, r in rows.items()
    ]
    if spent_now:
        statement = (
            update(BUDGET_ACCOUNTS)
            .where(BUDGET_ACCOUNTS.c.account == bindparam("of_account"))
            .values(
                spent_total_micros=bindparam("total"), spent_day_micros=bindparam("day_spend"), day=bindparam("on_day")
            )
        )
        connection.execute(statement, spent_now)


def _write_carries(connection: Connection, node: str, carried: Mapping[int | str, int]) -> None:
    payers, own = BUDGET_CARRIES.c.payer, BUDGET_CARRIES.c.node == node
    rows = {(_BIDDER + payer if isinstance(payer, str) else str(payer)): left for payer, left in carried.items()}
    known: set[str] = set()
    for part in sql.chunks(rows):
        known.update(connection.execute(select(payers).where(own, payers.in_(part))).scalars())
    old = [{"of_payer": payer, "thousandths": left} for payer, left in rows.items() if payer in known]
    if old:
        connection.execute(update(BUDGET_CARRIES).where(own, payers == bindparam("of_payer")), old)
    new = [{"node": node, "payer": payer, "thousandths": left} for payer, left in rows.items() if payer not in known]
    if new:
        connection.execute(insert(BUDGET_CARRIES), new)


def _payer_of(key: str) -> int | str:
    return key.removeprefix(_BIDDER) if key.startswith(_BIDDER) else int(key)


def _refuse_written_off(connection: Connection, node: str) -> None:
    """What was leased to a node that was written off is others' now: nothing comes out of it any more."""
    query = select(NODES.c.written_off_at_ms).where(NODES.c.name == node).with_for_update(read=True)
    if connection.execute(query).scalar():
        raise Conflict(f"node {node!r} was written off: restart it, then it goes on from its log")


def _counted_upto(connection: Connection, node: str, *, lock: bool = False) -> int | None:
    query = select(NOTICES_COUNTED.c.upto_offset).where(NOTICES_COUNTED.c.node == node)
    return connection.execute(query.with_for_update() if lock else query).scalar_one_or_none()
