"""How are campaigns kept in SQL? CampaignStore on any engine that SQLAlchemy knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, Row, Select, Table, insert, select, update

from backends import outbox_sql
from backends.budget_ledger_sql import write_budget
from backends.campaign_rows import advertiser_of, campaign_of, creative_of, creative_row, line_item_of, line_item_row
from backends.change_history_sql import HistoryRows, Thing
from backends.sql import chunks, in_turn, reading, writing
from backends.sql_tables_accounts import AUDIT, TENANTS
from backends.sql_tables_campaigns import (
    ADVERTISERS,
    CAMPAIGNS,
    CREATIVES,
    IDEMPOTENCY,
    LINE_ITEM_CREATIVES,
    LINE_ITEMS,
)
from common.errors import Conflict
from exchange import ports
from exchange.campaign_ports import Answered, Audit, CampaignReads, CampaignWrites, Change
from exchange.campaign_values import (
    Advertiser,
    Budget,
    Campaign,
    Creative,
    LineItem,
)
from exchange.ports import CAMPAIGN_ACCOUNTS
from streams.topics import CAMPAIGN_CHANGES

_TABLES = {"advertiser": ADVERTISERS, "campaign": CAMPAIGNS, "creative": CREATIVES, "line_item": LINE_ITEMS}

_CAMPAIGN_ROWS = select(CAMPAIGNS, ADVERTISERS.c.advertiser_id).join(ADVERTISERS)
_CREATIVE_ROWS = select(CREATIVES, ADVERTISERS.c.advertiser_id).join(ADVERTISERS)
_LINE_ITEM_ROWS = select(LINE_ITEMS, CAMPAIGNS.c.campaign_id).join(CAMPAIGNS)


class SqlCampaignStore:
    """CampaignStore over an engine of backends.sql."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def reading(self) -> Iterator[CampaignReads]:
        """One state of everything."""
        with reading(self._engine) as connection:
            yield _Unit(connection, to_write=False)

    @contextmanager
    def writing(self) -> Iterator[CampaignWrites]:
        """One transaction."""
        with writing(self._engine) as connection:
            yield _Unit(connection, to_write=True)


class _Unit(HistoryRows):
    """CampaignWrites over one connection within a transaction."""

    def __init__(self, connection: Connection, *, to_write: bool) -> None:
        super().__init__(connection)
        self._to_write = to_write

    def has_tenant(self, tenant_id: str) -> bool:
        return _is_id(tenant_id) and self._first(select(TENANTS).where(TENANTS.c.tenant_id == tenant_id)) is not None

    def advertiser(self, tenant_id: str, advertiser_id: str) -> Advertiser | None:
        row = self._own(select(ADVERTISERS), ADVERTISERS, "advertiser_id", tenant_id, advertiser_id)
        return row and advertiser_of(row)

    def campaign(self, tenant_id: str, campaign_id: str) -> Campaign | None:
        row = self._own(_CAMPAIGN_ROWS, CAMPAIGNS, "campaign_id", tenant_id, campaign_id)
        return row and campaign_of(row)

    def creative(self, tenant_id: str, creative_id: str) -> Creative | None:
        row = self._own(_CREATIVE_ROWS, CREATIVES, "creative_id", tenant_id, creative_id)
        return row and creative_of(row)

    def line_item(self, tenant_id: str, line_item_id: str) -> LineItem | None:
        row = self._own(_LINE_ITEM_ROWS, LINE_ITEMS, "line_item_id", tenant_id, line_item_id)
        return row and self._line_items([row])[0]

    def creatives_by_id(self, tenant_id: str, creative_ids: Sequence[str]) -> dict[str, Creative]:
        own = _CREATIVE_ROWS.where(CREATIVES.c.tenant_id == tenant_id)
        found: dict[str, Creative] = {}
        for some in chunks(filter(_is_id, creative_ids)):
            for row in self._connection.execute(own.where(CREATIVES.c.creative_id.in_(some))):
                found[row.creative_id] = creative_of(row)
        return found

    def advertisers(self, tenant_id: str, after_number: int, limit: int) -> list[Advertiser]:
        return [
            advertiser_of(row) for row in self._page(select(ADVERTISERS), ADVERTISERS, tenant_id, after_number, limit)
        ]

    def campaigns(self, tenant_id: str, advertiser_id: str, after_number: int, limit: int) -> list[Campaign]:
        below = _CAMPAIGN_ROWS.where(ADVERTISERS.c.advertiser_id == advertiser_id)
        return [campaign_of(row) for row in self._page(below, CAMPAIGNS, tenant_id, after_number, limit)]

    def creatives(self, tenant_id: str, advertiser_id: str, after_number: int, limit: int) -> list[Creative]:
        below = _CREATIVE_ROWS.where(ADVERTISERS.c.advertiser_id == advertiser_id)
        return [creative_of(row) for row in self._page(below, CREATIVES, tenant_id, after_number, limit)]

    def line_items(self, tenant_id: str, campaign_id: str, after_number: int, limit: int) -> list[LineItem]:
        below = _LINE_ITEM_ROWS.where(CAMPAIGNS.c.campaign_id == campaign_id)
        return self._line_items(self._page(below, LINE_ITEMS, tenant_id, after_number, limit))

    def answered(self, tenant_id: str, idempotency_key: str) -> Answered | None:
        if self._to_write:
            in_turn(self._connection, "campaign write", tenant_id, idempotency_key)
        row = self._first(
            select(IDEMPOTENCY).where(
                IDEMPOTENCY.c.tenant_id == tenant_id, IDEMPOTENCY.c.idempotency_key == idempotency_key
            )
        )
        return row and Answered(row.method, row.request_sha256, row.response)

    def remember(self, tenant_id: str, idempotency_key: str, answered: Answered, at_ms: int) -> None:
        row = {"tenant_id": tenant_id, "idempotency_key": idempotency_key, "at_ms": at_ms}
        self._connection.execute(insert(IDEMPOTENCY), row | msgspec.structs.asdict(answered))

    def add_advertiser(self, tenant_id: str, advertiser: Advertiser) -> Advertiser:
        row = msgspec.structs.asdict(advertiser) | {"tenant_id": tenant_id}
        return self._made("advertiser", replace(advertiser, number=self._insert(ADVERTISERS, [row])[0]))

    def add_campaign(self, tenant_id: str, campaign: Campaign) -> Campaign:
        row = msgspec.structs.asdict(campaign) | {
            "tenant_id": tenant_id,
            "advertiser_number": self._number(ADVERTISERS, "advertiser_id", campaign.advertiser_id),
            "total_micros": campaign.budget.total_micros,
            "daily_micros": campaign.budget.daily_micros,
        }
        added = replace(campaign, number=self._insert(CAMPAIGNS, [row])[0])
        self._write_budget(added.number + CAMPAIGN_ACCOUNTS, campaign.budget, campaign)
        return self._made("campaign", added)

    def add_creative(self, tenant_id: str, creative: Creative) -> Creative:
        row = creative_row(creative) | {
            "tenant_id": tenant_id,
            "advertiser_number": self._number(ADVERTISERS, "advertiser_id", creative.advertiser_id),
        }
        return self._made("creative", replace(creative, number=self._insert(CREATIVES, [row])[0]))

    def add_line_items(self, tenant_id: str, line_items: Sequence[LineItem]) -> list[LineItem]:
        campaigns = self._campaigns_by_id({item.campaign_id for item in line_items})
        wanted = {creative_id for item in line_items for creative_id in item.creative_ids}
        creatives = self._numbers(CREATIVES, "creative_id", wanted)
        rows = [line_item_row(tenant_id, item, campaigns[item.campaign_id].number) for item in line_items]
        added = [
            replace(item, number=number)
            for item, number in zip(line_items, self._insert(LINE_ITEMS, rows), strict=True)
        ]
        self._link(added, creatives)
        for item in added:
            self._write_budget(item.number, item.budget, campaigns[item.campaign_id])
            self._made("line_item", item)
        return added

    def replace_advertiser(self, tenant_id: str, advertiser: Advertiser) -> None:
        row = msgspec.structs.asdict(advertiser)
        self._update("advertiser", advertiser.advertiser_id, _settable(ADVERTISERS, row))

    def replace_campaign(self, tenant_id: str, campaign: Campaign) -> None:
        row = msgspec.structs.asdict(campaign) | msgspec.structs.asdict(campaign.budget)
        self._update("campaign", campaign.campaign_id, _settable(CAMPAIGNS, row))
        self._write_budget(campaign.number + CAMPAIGN_ACCOUNTS, campaign.budget, campaign)

    def replace_line_item(self, tenant_id: str, line_item: LineItem) -> None:
        campaign = self._campaigns_by_id({line_item.campaign_id})[line_item.campaign_id]
        # The links first: the history reads what the line item has become when its row is written.
        old = LINE_ITEM_CREATIVES.c.line_item_number == line_item.number
        before = self._of("line_item", line_item.line_item_id)
        self._connection.execute(LINE_ITEM_CREATIVES.delete().where(old))
        self._link([line_item], self._numbers(CREATIVES, "creative_id", set(line_item.creative_ids)))
        row = line_item_row(tenant_id, line_item, campaign.number)
        self._update("line_item", line_item.line_item_id, _settable(LINE_ITEMS, row), before)
        self._write_budget(line_item.number, line_item.budget, campaign)

    def set_state(self, kind: str, id: str, state: int, revision: int) -> None:
        self._update(kind, id, {"state": state, "revision": revision})

    def set_review_state(self, creative_id: str, review_state: int, revision: int) -> None:
        self._update("creative", creative_id, {"review_state": review_state, "revision": revision})

    def set_creative(self, creative: Creative) -> None:
        known = {column.name for column in CREATIVES.columns} - {"number", "creative_id"}
        values = {name: value for name, value in creative_row(creative).items() if name in known}
        self._update("creative", creative.creative_id, values)

    def set_bid(self, line_item_id: str, bid_micros: int, revision: int) -> None:
        self._update("line_item", line_item_id, {"bid_micros": bid_micros, "revision": revision})

    def set_budget(self, kind: str, id: str, budget: Budget, revision: int) -> None:
        self._update(kind, id, msgspec.structs.asdict(budget) | {"revision": revision})
        if kind == "campaign":
            campaign = self._campaigns_by_id({id})[id]
            self._write_budget(campaign.number + CAMPAIGN_ACCOUNTS, budget, campaign)
        else:
            row = self._connection.execute(_CAMPAIGN_ROWS.join(LINE_ITEMS).where(LINE_ITEMS.c.line_item_id == id)).one()
            self._write_budget(self._number(LINE_ITEMS, "line_item_id", id), budget, campaign_of(row))

    def set_pacing(self, campaign_id: str, pacing: int, revision: int) -> None:
        self._update("campaign", campaign_id, {"pacing": pacing, "revision": revision})

    def record(self, audit: Audit, changes: Sequence[Change]) -> None:
        if not changes:
            return
        who = msgspec.structs.asdict(audit)
        self._connection.execute(insert(AUDIT), [who | {"kind": change.kind, "id": change.id} for change in changes])
        self._write_history(audit)
        events = [
            {"changed_at_ms": audit.at_ms, "tenant_id": audit.tenant_id} | msgspec.structs.asdict(change)
            for change in changes
        ]
        outbox_sql.append(self._connection, CAMPAIGN_CHANGES.name, events, audit.at_ms)

    def _first(self, statement: Select[Any]) -> Row[Any] | None:
        return self._connection.execute(statement).first()

    def _own(self, rows: Select[Any], table: Table, id_name: str, tenant_id: str, id: str) -> Row[Any] | None:
        if not (_is_id(id) and _is_id(tenant_id)):
            return None
        return self._first(rows.where(table.c[id_name] == id, table.c.tenant_id == tenant_id))

    def _page(
        self, rows: Select[Any], table: Table, tenant_id: str, after_number: int, limit: int
    ) -> Sequence[Row[Any]]:
        if not _is_id(tenant_id):
            return []
        beyond = rows.where(table.c.tenant_id == tenant_id, table.c.number > after_number)
        return self._connection.execute(beyond.order_by(table.c.number).limit(limit)).all()

    def _insert(self, table: Table, rows: list[dict[str, Any]]) -> list[int]:
        columns = {column.name for column in table.columns} - {"number"}
        known = [{name: value for name, value in row.items() if name in columns} for row in rows]
        if not known:
            return []
        giving_numbers = insert(table).returning(table.c.number, sort_by_parameter_order=True)
        return list(self._connection.execute(giving_numbers, known).scalars())

    def _number(self, table: Table, id_name: str, id: str) -> int:
        return self._numbers(table, id_name, {id})[id]

    def _numbers(self, table: Table, id_name: str, ids: set[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for some in chunks(ids):
            rows = self._connection.execute(select(table.c[id_name], table.c.number).where(table.c[id_name].in_(some)))
            found.update((id, number) for id, number in rows)
        return found

    def _campaigns_by_id(self, campaign_ids: set[str]) -> dict[str, Campaign]:
        found: dict[str, Campaign] = {}
        for some in chunks(campaign_ids):
            rows = self._connection.execute(_CAMPAIGN_ROWS.where(CAMPAIGNS.c.campaign_id.in_(some)))
            found.update((row.campaign_id, campaign_of(row)) for row in rows)
        return found

    def _write_budget(self, account: int, budget: Budget, campaign: Campaign) -> None:
        # The ledger keeps the limits by which money is leased; they change in the same transaction.
        limits = ports.Budget(account, budget.total_micros, budget.daily_micros, campaign.currency, campaign.time_zone)
        write_budget(self._connection, limits)

    def _link(self, line_items: Sequence[LineItem], creatives: dict[str, int]) -> None:
        links = [
            {"line_item_number": item.number, "position": position, "creative_number": creatives[creative_id]}
            for item in line_items
            for position, creative_id in enumerate(item.creative_ids)
        ]
        if links:
            self._connection.execute(insert(LINE_ITEM_CREATIVES), links)

    def _of(self, kind: str, id: str) -> Thing | None:
        """The thing as it stands now, whoever's it is."""
        table = _TABLES[kind]
        rows = {"campaign": _CAMPAIGN_ROWS, "creative": _CREATIVE_ROWS, "line_item": _LINE_ITEM_ROWS}
        row = self._first(rows.get(kind, select(table)).where(table.c[f"{kind}_id"] == id))
        if row is None:
            return None
        if kind == "line_item":
            return self._line_items([row])[0]
        if kind == "creative":
            return creative_of(row)
        return campaign_of(row) if kind == "campaign" else advertiser_of(row)

    def _update(self, kind: str, id: str, values: dict[str, Any], before: Thing | None = None) -> None:
        table = _TABLES[kind]
        before = before or self._of(kind, id)
        # Compare and set: on an engine with several writers at once, another's change is never overwritten unseen.
        unchanged = (table.c[f"{kind}_id"] == id) & (table.c.revision == values["revision"] - 1)
        if self._connection.execute(update(table).where(unchanged).values(values)).rowcount != 1:
            raise Conflict(f"the {kind.replace('_', ' ')} changed meanwhile: send the request again")
        self._became(kind, before, self._of(kind, id))

    def _line_items(self, rows: Sequence[Row[Any]]) -> list[LineItem]:
        creative_ids: dict[int, list[str]] = {row.number: [] for row in rows}
        for some in chunks(creative_ids):
            links = (
                select(LINE_ITEM_CREATIVES.c.line_item_number, CREATIVES.c.creative_id)
                .join(CREATIVES)
                .where(LINE_ITEM_CREATIVES.c.line_item_number.in_(some))
                .order_by(LINE_ITEM_CREATIVES.c.line_item_number, LINE_ITEM_CREATIVES.c.position)
            )
            for number, creative_id in self._connection.execute(links):
                creative_ids[number].append(creative_id)
        return [line_item_of(row, creative_ids[row.number]) for row in rows]


def _settable(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """What of a row may change: neither ids, nor the thing that it belongs to."""
    fixed = {"number", "tenant_id", "advertiser_number", "campaign_number"}
    return {
        column.name: row[column.name]
        for column in table.columns
        if column.name in row and column.name not in fixed and not column.unique
    }


def _is_id(text: str) -> bool:
    # What cannot be an id is not looked for: not every engine takes every character.
    return len(text) <= 32 and text.isascii() and text.isalnum()
