"""How are the counts of reports kept and asked for? In SQL: one row for each place and hour."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    String,
    Table,
    and_,
    cast,
    func,
    literal,
    select,
)

from backends.added_rows_sql import add_up
from backends.projections_sql import move, read_upto, seen
from backends.sql import reading, writing
from backends.sql_tables_campaigns import ADVERTISERS, CAMPAIGNS, CREATIVES, LINE_ITEMS
from backends.sql_tables_measurement import PROJECTIONS, REPORT_COUNTS, REPORT_REASONS
from common.nodes import DEFAULT_NODE
from exchange.report_counts import HOUR_MS, METRICS, Counts
from exchange.reports import REASON, ReportAsk, ReportRow, meaning_of

_PROJECTION: Final = "reports"
_HOURS_A_DAY: Final = 24


class SqlReportStore:
    """ReportStore over an engine of backends.sql: counts the log of one node, and shows what all have counted."""

    def __init__(self, engine: Engine, node: str = DEFAULT_NODE) -> None:
        self._engine = engine
        self._node = node

    def read_upto(self, topic: str) -> int:
        """See ReportStore."""
        return read_upto(self._engine, _PROJECTION, topic, self._node)[0]

    def as_of_ms(self) -> int:
        """See ReportStore."""
        newest = select(func.max(PROJECTIONS.c.as_of_ms)).where(PROJECTIONS.c.projection == _PROJECTION)
        with reading(self._engine) as connection:
            return connection.execute(newest).scalar() or 0

    def add(self, topic: str, counts: Counts, from_offset: int, upto_offset: int) -> bool:
        """See ReportStore."""
        with writing(self._engine) as connection:
            if not move(connection, _PROJECTION, topic, from_offset, upto_offset, counts.as_of_ms, self._node):
                return False
            _add_counts(connection, counts)
        return True

    def rows(self, ask: ReportAsk, offset: int, limit: int) -> list[ReportRow]:
        """See ReportStore."""
        by_reason = REASON in ask.dimensions
        table = REPORT_REASONS if by_reason else REPORT_COUNTS
        columns = _columns(table)
        keys = [columns[name][0] for name in ask.dimensions]
        names = [columns[name][1] for name in ask.dimensions]
        summed = [func.sum(table.c[name]) for name in (("count",) if by_reason else METRICS)]
        statement = (
            # One of the names: they are the same for the same key.
            select(*keys, *(func.max(name) for name in names), *summed)
            .select_from(_joined(table))
            .where(_where(table, ask))
            .limit(limit)
            .offset(offset)
        )
        if keys:
            statement = statement.group_by(*keys).order_by(*keys)
        with reading(self._engine) as connection:
            found = connection.execute(statement).all()
        width = len(keys)
        return [
            _row(ask.dimensions, row[:width], row[width : 2 * width], row[2 * width :])
            for row in found
            if row[2 * width] is not None
        ]

    def counted_apart(self, ask: ReportAsk) -> int:
        """See ReportStore."""
        table = REPORT_COUNTS
        hours = table.c.hour.between(ask.from_ms // HOUR_MS, (ask.to_ms - 1) // HOUR_MS)
        nobodys = and_(hours, table.c.line_item_number == 0, table.c.bidder == "")
        if ask.publisher_tenant:
            nobodys = and_(nobodys, table.c.publisher_id == ask.publisher_tenant)
        with reading(self._engine) as connection:
            counted: int | None = connection.execute(select(func.sum(table.c.bids)).where(nobodys)).scalar()
        return counted or 0


def add_consumed(connection: Connection, topic: str, counts: Counts) -> None:
    """Add what a group of consumers counted, within the transaction that keeps how far it has read."""
    _add_counts(connection, counts)
    seen(connection, _PROJECTION, topic, counts.as_of_ms)


def _add_counts(connection: Connection, counts: Counts) -> None:
    metrics = [
        place._asdict() | dict(zip(METRICS, sums, strict=True)) for place, sums in counts.metrics.items() if any(sums)
    ]
    reasons = [place._asdict() | {"code": code, "count": count} for (place, code), count in counts.reasons.items()]
    for table, rows, summed in ((REPORT_COUNTS, metrics, METRICS), (REPORT_REASONS, reasons, ("count",))):
        add_up(connection, table, [column.name for column in table.primary_key], summed, rows)


def _joined(table: Table) -> FromClause:
    return (
        table.outerjoin(LINE_ITEMS, LINE_ITEMS.c.number == table.c.line_item_number)
        .outerjoin(CAMPAIGNS, CAMPAIGNS.c.number == LINE_ITEMS.c.campaign_number)
        .outerjoin(ADVERTISERS, ADVERTISERS.c.number == CAMPAIGNS.c.advertiser_number)
        .outerjoin(CREATIVES, CREATIVES.c.number == table.c.creative_number)
    )


def _columns(table: Table) -> dict[str, tuple[ColumnElement[Any], ColumnElement[Any]]]:
    """Each dimension's key and name."""
    nothing = literal("")
    columns: dict[str, tuple[ColumnElement[Any], ColumnElement[Any]]] = {
        "hour": (table.c.hour, nothing),
        "day": (table.c.hour // _HOURS_A_DAY, nothing),
        # Outside bidders' advertisers have no id here; their domain is what they are known by.
        "advertiser": (
            func.coalesce(ADVERTISERS.c.advertiser_id, table.c.advertiser_domain),
            func.coalesce(ADVERTISERS.c.name, table.c.advertiser_domain),
        ),
        "campaign": (func.coalesce(CAMPAIGNS.c.campaign_id, ""), func.coalesce(CAMPAIGNS.c.name, "")),
        "line_item": (func.coalesce(LINE_ITEMS.c.line_item_id, ""), func.coalesce(LINE_ITEMS.c.name, "")),
        "creative": (func.coalesce(CREATIVES.c.creative_id, ""), func.coalesce(CREATIVES.c.title, "")),
        "placement": (table.c.placement_id, nothing),
        "publisher": (table.c.publisher_id, nothing),
        "bidder": (table.c.bidder, nothing),
    }
    if table is REPORT_REASONS:
        columns[REASON] = (table.c.code, cast(table.c.code, String(20)))
    return columns


def _where(table: Table, ask: ReportAsk) -> ColumnElement[bool]:
    columns = _columns(table)
    rules: list[ColumnElement[bool]] = [
        table.c.hour.between(ask.from_ms // HOUR_MS, (ask.to_ms - 1) // HOUR_MS),
        *(columns[name][0].in_(values) for name, values in ask.filters.items()),
    ]
    if ask.advertiser_tenant:
        rules.append(CAMPAIGNS.c.tenant_id == ask.advertiser_tenant)
    if ask.publisher_tenant:
        rules.append(table.c.publisher_id == ask.publisher_tenant)
    return and_(*rules)


def _row(dimensions: tuple[str, ...], keys: Any, names: Any, values: Any) -> ReportRow:
    shown_keys, shown_names = [], []
    for dimension, key, name in zip(dimensions, keys, names, strict=True):
        if dimension in ("hour", "day"):
            at_s = key * HOUR_MS // 1000 * (_HOURS_A_DAY if dimension == "day" else 1)
            moment = datetime.fromtimestamp(at_s, UTC)
            shown_keys.append(moment.strftime("%Y-%m-%dT%H:00Z" if dimension == "hour" else "%Y-%m-%d"))
            shown_names.append("")
        elif dimension == REASON:
            shown_keys.append(str(key))
            shown_names.append(meaning_of(key))
        else:
            shown_keys.append(str(key))
            shown_names.append(str(name))
    return ReportRow(tuple(shown_keys), tuple(shown_names), tuple(int(value) for value in values))
