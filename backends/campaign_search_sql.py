"""How are campaigns, line items and creatives found without a search engine? Narrowed by SQL, words compared here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, select

from backends.sql import chunks, reading
from backends.sql_tables_campaigns import ADVERTISERS, CAMPAIGNS, CREATIVES, LINE_ITEM_CREATIVES, LINE_ITEMS
from exchange.campaign_search import CampaignHit, CampaignHits, CampaignQuery, Found, check, concerns, words_of

_ADVERTISER = (ADVERTISERS.c.advertiser_id, ADVERTISERS.c.name.label("advertiser_name"))


class SqlCampaignSearch:
    """CampaignSearch over the record itself: never behind it, and as slow as a tenant is large (names are read)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, query: CampaignQuery) -> CampaignHits:
        """As exchange.campaign_search.CampaignSearch; InvalidInput, BackendUnavailable."""
        check(query)
        words = words_of(query.text)
        # Creatives have no name of their own: people know them by their title.
        found: list[CampaignHit] = []
        with reading(self._engine) as connection:
            for kind in concerns(query):
                rows = connection.execute(_ROWS[kind](query)).all()
                met = [row for row in rows if _meets(words, row.name)]
                formats = _formats_of(connection, kind, [row.number for row in met])
                found += [
                    CampaignHit(
                        kind=kind,
                        id=row.id,
                        number=row.number,
                        name=row.name,
                        state=row.state if kind is not Found.CREATIVE else 0,
                        advertiser_id=row.advertiser_id,
                        advertiser_name=row.advertiser_name,
                        campaign_id=row.campaign_id if kind is not Found.CREATIVE else "",
                        formats=formats.get(row.number, ()),
                    )
                    for row in met
                ]
        return CampaignHits(tuple(found[query.offset : query.offset + query.limit]), len(found))


def _campaigns(query: CampaignQuery) -> Select[Any]:
    rows = select(CAMPAIGNS, CAMPAIGNS.c.campaign_id.label("id"), *_ADVERTISER).select_from(CAMPAIGNS).join(ADVERTISERS)
    asked = (
        (CAMPAIGNS.c.state, query.states),
        (CAMPAIGNS.c.campaign_id, query.campaign_ids),
        (CAMPAIGNS.c.currency, query.currencies),
    )
    return _narrowed(rows, CAMPAIGNS.c, query, asked)


def _line_items(query: CampaignQuery) -> Select[Any]:
    rows = (
        select(LINE_ITEMS, LINE_ITEMS.c.line_item_id.label("id"), CAMPAIGNS.c.campaign_id, *_ADVERTISER)
        .select_from(LINE_ITEMS)
        .join(CAMPAIGNS)
        .join(ADVERTISERS)
    )
    asked = (
        (LINE_ITEMS.c.state, query.states),
        (CAMPAIGNS.c.campaign_id, query.campaign_ids),
        (CAMPAIGNS.c.currency, query.currencies),
        (LINE_ITEMS.c.pricing_model, query.pricing_models),
    )
    for column, values in ((CREATIVES.c.format, query.formats), (CREATIVES.c.review_state, query.review_states)):
        if values:
            shown = select(LINE_ITEM_CREATIVES.c.line_item_number).join(CREATIVES).where(column.in_(values))
            rows = rows.where(LINE_ITEMS.c.number.in_(shown))
    return _narrowed(rows, LINE_ITEMS.c, query, asked)


def _creatives(query: CampaignQuery) -> Select[Any]:
    rows = (
        select(CREATIVES, CREATIVES.c.creative_id.label("id"), CREATIVES.c.title.label("name"), *_ADVERTISER)
        .select_from(CREATIVES)
        .join(ADVERTISERS)
    )
    asked = ((CREATIVES.c.format, query.formats), (CREATIVES.c.review_state, query.review_states))
    return _narrowed(rows, CREATIVES.c, query, asked)


_ROWS = {Found.CAMPAIGN: _campaigns, Found.LINE_ITEM: _line_items, Found.CREATIVE: _creatives}


def _narrowed(
    rows: Select[Any], columns: Any, query: CampaignQuery, asked: Sequence[tuple[ColumnElement[Any], Sequence[Any]]]
) -> Select[Any]:
    rows = rows.where(columns.tenant_id == query.tenant_id).order_by(columns.number.desc())
    for column, values in (*asked, (ADVERTISERS.c.advertiser_id, query.advertiser_ids)):
        if values:
            rows = rows.where(column.in_(values))
    return rows


def _meets(words: Sequence[str], name: str) -> bool:
    if not words:
        return True
    said = words_of(name)
    return all(any(one.startswith(word) for one in said) for word in words)


def _formats_of(connection: Connection, kind: Found, numbers: Sequence[int]) -> dict[int, tuple[int, ...]]:
    found: dict[int, set[int]] = {}
    for number, format_ in _formats(connection, kind, numbers):
        found.setdefault(number, set()).add(format_)
    return {number: tuple(sorted(formats)) for number, formats in found.items()}


def _formats(connection: Connection, kind: Found, numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    if kind is Found.CAMPAIGN:
        return
    for some in chunks(numbers):
        if kind is Found.CREATIVE:
            rows = select(CREATIVES.c.number, CREATIVES.c.format).where(CREATIVES.c.number.in_(some))
        else:
            rows = (
                select(LINE_ITEM_CREATIVES.c.line_item_number, CREATIVES.c.format)
                .join(CREATIVES)
                .where(LINE_ITEM_CREATIVES.c.line_item_number.in_(some))
            )
        yield from ((number, format_) for number, format_ in connection.execute(rows))
