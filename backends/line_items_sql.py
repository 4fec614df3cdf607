"""Where does the inventory snapshot come from? LineItemSource over the SQL tables, read in bulk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, Select, Table, select

from backends import outbox_sql
from backends.campaign_rows import CAPS, DEAL_IDS, HOURS, MEDIA_FILES, NUMBERS, TARGETING
from backends.sql import chunks, reading
from backends.sql_tables_campaigns import ADVERTISERS, CAMPAIGNS, CREATIVES, LINE_ITEM_CREATIVES, LINE_ITEMS
from backends.sql_tables_outbox import OUTBOX
from exchange.campaign_values import State, dimensions_of
from exchange.ports import CreativeRecord, LineItemRecord
from streams.topics import CAMPAIGN_CHANGES

_COULD_RUN = (
    (LINE_ITEMS.c.state == State.ACTIVE) & (CAMPAIGNS.c.state == State.ACTIVE) & (ADVERTISERS.c.state == State.ACTIVE)
)
# Line items of all states, with what `records` reads of them and whether they could run.
ALL_ITEMS = (
    select(
        LINE_ITEMS,
        CAMPAIGNS.c.campaign_id,
        CAMPAIGNS.c.currency,
        CAMPAIGNS.c.time_zone,
        ADVERTISERS.c.advertiser_id,
        ADVERTISERS.c.domain,
        ADVERTISERS.c.name.label("advertiser_name"),
        ADVERTISERS.c.number.label("advertiser_number"),
        _COULD_RUN.label("could_run"),
    )
    .select_from(LINE_ITEMS)
    .join(CAMPAIGNS)
    .join(ADVERTISERS)
    .order_by(LINE_ITEMS.c.number)
)
_ITEMS = ALL_ITEMS.where(_COULD_RUN)
_LINKS = select(LINE_ITEM_CREATIVES.c.line_item_number, LINE_ITEM_CREATIVES.c.creative_number).order_by(
    LINE_ITEM_CREATIVES.c.line_item_number, LINE_ITEM_CREATIVES.c.position
)


class _Changed(msgspec.Struct):
    """What is read of the event CampaignChanged."""

    kind: str
    id: str


_CHANGED = msgspec.json.Decoder(_Changed)


class SqlLineItemSource:
    """LineItemSource: its sequence is that of the outbox, so it also grows with events of other topics."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def sequence(self) -> int:
        """The sequence of the newest event."""
        with reading(self._engine) as connection:
            return outbox_sql.newest_sequence(connection)

    def active(self) -> list[LineItemRecord]:
        """All line items that could run, in three queries whatever their number."""
        with reading(self._engine) as connection:
            return _records(
                connection.execute(_ITEMS).all(),
                connection.execute(_LINKS).all(),
                connection.execute(select(CREATIVES)).all(),
            )

    def changed_since(self, sequence: int) -> tuple[int, list[LineItemRecord], list[str]]:
        """What events beyond `sequence` touched: directly, or through an advertiser, a campaign or a creative."""
        with reading(self._engine) as connection:
            newest = outbox_sql.newest_sequence(connection)
            if newest <= sequence:
                return newest, [], []
            touched = line_items_touched(connection, sequence)
            records = [record for _, record in records_of(connection, touched, _ITEMS)]
        running = {record.line_item_id for record in records}
        return newest, records, [line_item_id for line_item_id in touched.values() if line_item_id not in running]


def ids_touched(connection: Connection, sequence: int) -> dict[str, set[str]]:
    """What events beyond `sequence` say was changed: ids by kind (line_item, campaign, advertiser, creative)."""
    events = select(OUTBOX.c.fields).where(OUTBOX.c.sequence > sequence, OUTBOX.c.topic == CAMPAIGN_CHANGES.name)
    ids: dict[str, set[str]] = defaultdict(set)
    for fields in connection.execute(events).scalars():
        changed = _CHANGED.decode(fields)
        ids[changed.kind].add(changed.id)
    return ids


def line_items_touched(connection: Connection, sequence: int) -> dict[int, str]:
    """Line items that events beyond `sequence` touched, their ids by number."""
    ids = ids_touched(connection, sequence)
    numbered = select(LINE_ITEMS.c.number, LINE_ITEMS.c.line_item_id).select_from(LINE_ITEMS)
    ways: list[tuple[str, Select[Any], Table]] = [
        ("line_item", numbered, LINE_ITEMS),
        ("campaign", numbered.join(CAMPAIGNS), CAMPAIGNS),
        ("advertiser", numbered.join(CAMPAIGNS).join(ADVERTISERS), ADVERTISERS),
        ("creative", numbered.join(LINE_ITEM_CREATIVES).join(CREATIVES), CREATIVES),
    ]
    touched: dict[int, str] = {}
    for kind, rows, table in ways:
        for some in chunks(ids[kind]):
            found = connection.execute(rows.where(table.c[f"{kind}_id"].in_(some)))
            touched.update((number, line_item_id) for number, line_item_id in found)
    return touched


def records_of(
    connection: Connection, numbers: Iterable[int], which: Select[Any] = ALL_ITEMS
) -> list[tuple[Row[Any], LineItemRecord]]:
    """The rows of these line items, as `which` selects them, each with the record that it comes to."""
    items: list[Row[Any]] = []
    links: list[Row[int, int]] = []
    for some in chunks(sorted(numbers)):
        items += connection.execute(which.where(LINE_ITEMS.c.number.in_(some)))
        links += connection.execute(_LINKS.where(LINE_ITEM_CREATIVES.c.line_item_number.in_(some)))
    creatives: list[Row[Any]] = []
    for some in chunks({creative_number for _, creative_number in links}):
        creatives += connection.execute(select(CREATIVES).where(CREATIVES.c.number.in_(some)))
    return list(zip(items, _records(items, links, creatives), strict=True))


def _records(
    items: Sequence[Row[Any]], links: Sequence[Row[int, int]], creatives: Sequence[Row[Any]]
) -> list[LineItemRecord]:
    creative_of = {row.number: _creative(row) for row in creatives}
    creatives_of: dict[int, list[CreativeRecord]] = defaultdict(list)
    for line_item_number, creative_number in links:
        creatives_of[line_item_number].append(creative_of[creative_number])
    return [
        LineItemRecord(
            line_item_id=row.line_item_id,
            number=row.number,
            campaign_id=row.campaign_id,
            campaign_number=row.campaign_number,
            advertiser_id=row.advertiser_id,
            advertiser_domain=row.domain,
            strategy=row.strategy,
            pricing_model=row.pricing_model,
            bid_micros=row.bid_micros,
            currency=row.currency,
            targeting=dimensions_of(TARGETING.decode(row.targeting)),
            cap_impressions=row.cap_impressions,
            cap_window_s=row.cap_window_s,
            starts_at_ms=row.starts_at_ms,
            ends_at_ms=row.ends_at_ms,
            hours_of_week=HOURS.decode(row.hours_of_week),
            time_zone=row.time_zone,
            creatives=tuple(creatives_of[row.number]),
            revision=row.revision,
            caps=tuple(
                (-cap.scope if cap.by_session else cap.scope, cap.impressions, cap.window_s)
                for cap in CAPS.decode(row.caps)
            ),
            deal_ids=DEAL_IDS.decode(row.deal_ids),
            deals_only=row.deals_only,
            seat=row.seat,
            advertiser_number=row.advertiser_number,
        )
        for row in items
    ]


def _creative(row: Row[Any]) -> CreativeRecord:
    return CreativeRecord(
        creative_id=row.creative_id,
        number=row.number,
        format=row.format,
        width=row.width,
        height=row.height,
        title=row.title,
        image_url=row.image_url,
        landing_url=row.landing_url,
        video_url=row.video_url,
        duration_s=row.duration_s,
        product_id=row.product_id,
        category=row.category,
        review_state=row.review_state,
        attributes=NUMBERS.decode(row.attributes),
        language=row.language,
        app_bundle=row.app_bundle,
        mime=row.mime,
        protocol=row.protocol,
        skippable=row.skippable,
        body=row.body,
        call_to_action=row.call_to_action,
        icon_url=row.icon_url,
        media_files=MEDIA_FILES.decode(row.media_files),
    )
