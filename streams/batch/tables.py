"""Which tables does the event log become for batch engines, and which of their columns tell of a person?

One topic is one table or more; a row is one thing that happened. All integers have 64 bits, times are UTC, and no value
is null. A column is only ever added, under a higher version of its table: files of another version are never mixed.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from streams.topics import (
    ALERTS,
    AUCTIONS,
    CAMPAIGN_CHANGES,
    CREATOR_TIERS,
    FEED_ACTIONS,
    FEED_PAGES,
    MODERATION,
    NOTICES,
    POSTS,
    PRODUCTS,
    SHARE_CLICKS,
)

ColumnType = Literal["int64", "float64", "string", "boolean", "timestamp"]


class Column(msgspec.Struct, frozen=True):
    """One column; `personal` ones are left empty unless they are asked for."""

    name: str
    type: ColumnType
    personal: bool = False


class BatchTable(msgspec.Struct, frozen=True):
    """One table. `topic` is empty when it is not made from the log; `tenant` is the column that says whose it is."""

    name: str
    topic: str
    version: int
    columns: tuple[Column, ...]
    tenant: str = ""

    @property
    def personal(self) -> tuple[str, ...]:
        """The columns that tell of a person."""
        return tuple(column.name for column in self.columns if column.personal)


def _columns(text: str) -> tuple[Column, ...]:
    """Of `name:type name:type …`; a name that ends with * is personal."""
    columns = []
    for word in text.split():
        name, _, type_ = word.partition(":")
        columns.append(Column(name.rstrip("*"), msgspec.convert(type_, ColumnType), name.endswith("*")))
    return tuple(columns)


# Of each row: where in the log its record is, when it happened, and in which hour since 1970 it is counted.
_OF_ALL: Final = "record_offset:int64 at:timestamp at_ms:int64 hour:int64 "


def _table(name: str, topic: str, columns: str, *, tenant: str) -> BatchTable:
    return BatchTable(name, topic, 1, _columns(_OF_ALL + columns), tenant)


PAGE_VIEWS: Final = _table(
    "page_views",
    AUCTIONS.name,
    "auction_id:string publisher_id:string permissions:int64 placements:int64 sold:int64 bids_in:int64 "
    "price_rule:int64 test:boolean session_id*:string visitor_id*:string",
    tenant="publisher_id",
)
PLACEMENTS: Final = _table(
    "placements",
    AUCTIONS.name,
    "auction_id:string publisher_id:string placement_id:string placement_index:int64 sold:boolean "
    "no_ad_reason:int64 floor_micros:int64 test:boolean",
    tenant="publisher_id",
)
# `bids` is 1 where the log names the bid; what it counts by reason alone is one row with how many there were.
BIDS: Final = _table(
    "bids",
    AUCTIONS.name,
    "auction_id:string publisher_id:string placement_id:string placement_index:int64 line_item_number:int64 "
    "creative_number:int64 bidder:string outside:boolean advertiser_domain:string outcome:int64 bids:int64 "
    "bid_micros:int64 price_micros:int64 reserved_micros:int64 ecpm_micros:int64 currency:string "
    "click_probability:float64 test:boolean",
    tenant="publisher_id",
)
# The hour of a correction is that of what it takes back. A shop knows its customer by the order's id.
TAKEN_NOTICES: Final = _table(
    "notices",
    NOTICES.name,
    "kind:int64 impression_id:string verdict:int64 validity:int64 test:boolean line_item_number:int64 "
    "campaign_number:int64 creative_number:int64 billed_micros:int64 currency:string bidder:string "
    "advertiser_domain:string placement_id:string publisher_id:string product_id:string corrects_kind:int64 "
    "order_id*:string visitor_id*:string",
    tenant="publisher_id",
)
PUT_PRODUCTS: Final = _table(
    "products",
    PRODUCTS.name,
    "tenant_id:string product_id:string name:string brand:string category:string price_micros:int64 currency:string "
    "in_stock:boolean",
    tenant="tenant_id",
)
SERVED_PAGES: Final = _table(
    "feed_pages",
    FEED_PAGES.name,
    "tenant_id:string page_id:string auction_id:string posts:int64 ad_slots:int64 ranker:string session_id*:string "
    "visitor_id*:string",
    tenant="tenant_id",
)
TAKEN_ACTIONS: Final = _table(
    "feed_actions",
    FEED_ACTIONS.name,
    "tenant_id:string kind:int64 action_id:string detail:string subject_id*:string session_id*:string "
    "visitor_id*:string",
    tenant="tenant_id",
)
FOLLOWED_SHARES: Final = _table(
    "share_clicks",
    SHARE_CLICKS.name,
    "tenant_id:string click_id:string share_id:string post_id:string disclosure:string tracking_id*:string",
    tenant="tenant_id",
)
CHANGED_POSTS: Final = _table(
    "posts", POSTS.name, "tenant_id:string post_id:string state:int64 revision:int64 creator_id*:string",
    tenant="tenant_id",
)  # fmt: skip
CHANGED_CAMPAIGNS: Final = _table(
    "campaign_changes",
    CAMPAIGN_CHANGES.name,
    "sequence:int64 tenant_id:string kind:string id:string revision:int64",
    tenant="tenant_id",
)
SENT_ALERTS: Final = _table(
    "alerts",
    ALERTS.name,
    "tenant_id:string advertiser_id:string kind:string id:string measure:string threshold_percent:int64 "
    "used_micros:int64 limit_micros:int64 currency:string alert_number:int64",
    tenant="tenant_id",
)
DECIDED_CASES: Final = _table(
    "moderation",
    MODERATION.name,
    "tenant_id:string case_id:string subject_kind:int64 outcome:int64 reason:string instance:int64 undone:boolean "
    "subject_revision:int64 subject_id*:string",
    tenant="tenant_id",
)
CHANGED_TIERS: Final = _table(
    "creator_tiers",
    CREATOR_TIERS.name,
    "tenant_id:string tier:int64 tier_before:int64 reputation:float64 trust:float64 creator_id*:string",
    tenant="tenant_id",
)

# Who stands behind a line item's number, as it is now: not from the log, replaced at each export.
LINE_ITEMS: Final = BatchTable(
    "line_items",
    "",
    1,
    _columns(
        "line_item_number:int64 line_item_id:string line_item_name:string campaign_number:int64 campaign_id:string "
        "campaign_name:string advertiser_id:string advertiser_name:string currency:string"
    ),
)

# Erasures are applied to the tables instead of being one.
EXPORTED: Final = (
    *(PAGE_VIEWS, PLACEMENTS, BIDS, TAKEN_NOTICES, PUT_PRODUCTS, SERVED_PAGES, TAKEN_ACTIONS, FOLLOWED_SHARES),
    *(CHANGED_POSTS, CHANGED_CAMPAIGNS, SENT_ALERTS, DECIDED_CASES, CHANGED_TIERS),
)
TABLES: Final = {table.name: table for table in (*EXPORTED, LINE_ITEMS)}


def tables_of(topic: str) -> tuple[BatchTable, ...]:
    """The tables that a topic becomes; none for `erasures`."""
    return tuple(table for table in EXPORTED if table.topic == topic)
