"""Which budgets are to last? PacedAccounts over the SQL tables: limits and spend beside the dates, in one query."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, Row, or_, select

from backends.campaign_rows import HOURS
from backends.sql import reading
from backends.sql_tables_budgets import BUDGET_ACCOUNTS
from backends.sql_tables_campaigns import ADVERTISERS, CAMPAIGNS, LINE_ITEMS
from exchange.campaign_days import day_of
from exchange.campaign_values import State
from exchange.pacing_ports import PacedAccount, Pacing
from exchange.ports import CAMPAIGN_ACCOUNTS

_OWN = BUDGET_ACCOUNTS.alias("own")
_WHOLE = BUDGET_ACCOUNTS.alias("whole")
_FIELDS = ("total_micros", "daily_micros", "time_zone", "spent_total_micros", "spent_day_micros", "day")
_ROWS = (
    select(
        LINE_ITEMS.c.number,
        LINE_ITEMS.c.campaign_number,
        LINE_ITEMS.c.starts_at_ms,
        LINE_ITEMS.c.ends_at_ms,
        LINE_ITEMS.c.hours_of_week,
        *(_OWN.c[name].label(f"own_{name}") for name in _FIELDS),
        *(_WHOLE.c[name].label(f"whole_{name}") for name in _FIELDS),
    )
    .select_from(LINE_ITEMS)
    .join(CAMPAIGNS)
    .join(ADVERTISERS)
    .outerjoin(_OWN, _OWN.c.account == LINE_ITEMS.c.number)
    .outerjoin(_WHOLE, _WHOLE.c.account == CAMPAIGNS.c.number + CAMPAIGN_ACCOUNTS)
    .where(
        LINE_ITEMS.c.state == State.ACTIVE,
        CAMPAIGNS.c.state == State.ACTIVE,
        ADVERTISERS.c.state == State.ACTIVE,
        CAMPAIGNS.c.pacing == Pacing.EVEN,
        or_(
            *(alias.c[name] > 0 for alias in (_OWN, _WHOLE) for name in ("total_micros", "daily_micros")),
        ),
    )
    .order_by(LINE_ITEMS.c.number)
)


class SqlPacedAccounts:
    """PacedAccounts over an engine of backends.sql."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def paced(self, now_ms: int) -> list[PacedAccount]:
        """Line items with limits of their own, then campaigns, from the first to the last of their dates."""
        with reading(self._engine) as connection:
            rows = connection.execute(_ROWS).all()
        own = [_account(row, "own", row.number, [row], now_ms) for row in rows if _limited(row, "own")]
        of_campaign: dict[int, list[Row[Any]]] = {}
        for row in rows:
            of_campaign.setdefault(row.campaign_number, []).append(row)
        return own + [
            _account(items[0], "whole", number + CAMPAIGN_ACCOUNTS, items, now_ms)
            for number, items in of_campaign.items()
            if _limited(items[0], "whole")
        ]


def _limited(row: Row[Any], whose: str) -> bool:
    return bool(row._mapping[f"{whose}_total_micros"] or row._mapping[f"{whose}_daily_micros"])


def _account(row: Row[Any], whose: str, account: int, items: list[Row[Any]], now_ms: int) -> PacedAccount:
    limits = {name: row._mapping[f"{whose}_{name}"] for name in _FIELDS}
    hours = [HOURS.decode(item.hours_of_week) for item in items]
    endless = any(not item.ends_at_ms for item in items)
    today = day_of(now_ms, limits["time_zone"])
    return PacedAccount(
        account=account,
        time_zone=limits["time_zone"],
        total_micros=limits["total_micros"],
        daily_micros=limits["daily_micros"],
        starts_at_ms=min(item.starts_at_ms for item in items),
        ends_at_ms=0 if endless else max(item.ends_at_ms for item in items),
        hours_of_week=tuple(sorted(set().union(*hours))) if all(hours) else (),
        spent_total_micros=limits["spent_total_micros"],
        spent_today_micros=limits["spent_day_micros"] if limits["day"] == today else 0,
    )
