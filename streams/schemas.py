"""How does an event become bytes, and bytes an event again, whichever version wrote them?

Fields are only ever added (protos/events.proto), so a record of a newer version is read as far as it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from google.protobuf.message import DecodeError, Message

from protos import catalogue_pb2, events_pb2
from streams import auction_block
from streams.auction_block import (
    COLUMN_GROUPS,
    OPTIONAL_COLUMNS,
    AuctionColumns,
    OfferedDeal,
    OutsideBid,
    encode_auctions,
)
from streams.feed_events import FeedActionTaken, FeedPageServed, PersonErased, PostChanged, ShareClicked
from streams.moderation_events import CaseDecided, TierChanged
from streams.notice_events import NoticeForwarded as NoticeForwarded
from streams.notice_events import NoticesForwarded as NoticesForwarded
from streams.notice_events import NoticesTaken as NoticesTaken
from streams.notice_events import NoticeTaken as NoticeTaken
from streams.ports import Record
from streams.product import Product
from streams.topics import (
    ALERTS,
    AUCTIONS,
    CAMPAIGN_CHANGES,
    CREATOR_TIERS,
    ERASURES,
    FEED_ACTIONS,
    FEED_PAGES,
    FORWARDED_NOTICES,
    MODERATION,
    NOTICES,
    POSTS,
    PRODUCTS,
    SHARE_CLICKS,
)

SCHEMA_VERSION: Final[Mapping[str, int]] = MappingProxyType(
    {
        AUCTIONS.name: auction_block.SCHEMA_VERSION,
        NOTICES.name: 1,
        FORWARDED_NOTICES.name: 1,
        CAMPAIGN_CHANGES.name: 1,
        ALERTS.name: 1,
        PRODUCTS.name: 1,
        POSTS.name: 1,
        ERASURES.name: 1,
        SHARE_CLICKS.name: 1,
        FEED_PAGES.name: 1,
        FEED_ACTIONS.name: 1,
        MODERATION.name: 1,
        CREATOR_TIERS.name: 1,
    }
)

_S = TypeVar("_S", bound=msgspec.Struct)


class CampaignChanged(msgspec.Struct, frozen=True):
    """Topic `campaign_changes`: `kind` is advertiser, campaign, creative or line_item."""

    sequence: int
    changed_at_ms: int
    tenant_id: str
    kind: str
    id: str
    revision: int


class BudgetAlerted(msgspec.Struct, frozen=True):
    """Topic `alerts`: `measure` is total, daily or balance; `kind` is campaign or advertiser."""

    alerted_at_ms: int
    tenant_id: str
    advertiser_id: str
    kind: str
    id: str
    measure: str
    threshold_percent: int
    used_micros: int
    limit_micros: int
    currency: str
    alert_number: int


class ProductsPut(msgspec.Struct, frozen=True):
    """Topic `products`: products that one tenant put together, all or nothing."""

    tenant_id: str
    products: tuple[Product, ...]


Event = (
    AuctionColumns
    | NoticesTaken
    | NoticesForwarded
    | CampaignChanged
    | BudgetAlerted
    | PostChanged
    | FeedPageServed
    | FeedActionTaken
    | PersonErased
    | ShareClicked
    | CaseDecided
    | TierChanged
    | ProductsPut
)


class Unreadable(msgspec.Struct, frozen=True):
    """A record that cannot be read: its offset and why. A reader counts it and goes on."""

    offset: int
    reason: str


def encode(event: Event) -> bytes:
    """The bytes of one record. ValueError or TypeError when a value does not fit its field: our own bug."""
    if isinstance(event, AuctionColumns):
        return encode_auctions(event)
    if isinstance(event, ProductsPut):
        return _products_message(event).SerializeToString()
    topic, message_type = _TOPIC_OF[type(event)]
    fields: dict[str, Any] = {name: getattr(event, name) for name in event.__struct_fields__}
    if isinstance(event, NoticesTaken):
        fields["notices"] = [events_pb2.NoticeTaken(**msgspec.structs.asdict(notice)) for notice in event.notices]
    if isinstance(event, NoticesForwarded):
        fields["notices"] = [events_pb2.NoticeForwarded(**msgspec.structs.asdict(notice)) for notice in event.notices]
    return message_type(schema_version=SCHEMA_VERSION[topic], **fields).SerializeToString()


def decode(topic: str, record: Record) -> Event | Unreadable:
    """The event in a record of `topic`, or why it cannot be read. KeyError for a topic that is not declared."""
    message_type, read = _READERS[topic]
    try:
        message = message_type.FromString(record.payload)
    except DecodeError:
        return Unreadable(record.offset, f"not a {message_type.DESCRIPTOR.full_name}: {len(record.payload)} bytes")
    if topic != PRODUCTS.name and message.schema_version == 0:
        return Unreadable(record.offset, f"a {message_type.DESCRIPTOR.full_name} without a schema version")
    outcome = read(message)
    return Unreadable(record.offset, outcome) if isinstance(outcome, str) else outcome


def _auctions(message: events_pb2.AuctionsHeld) -> AuctionColumns | str:
    columns: dict[str, Any] = {}
    for group in COLUMN_GROUPS:
        for name, _, type_ in group:
            columns[name] = np.array(getattr(message, name), dtype=type_)
        sizes = {name: columns[name].size for name, _, _ in group}
        if len(set(sizes.values())) > 1:
            return f"columns of one group differ in length: {sizes}"
    if len(message.page_view) != columns["auction_id_high"].size:
        return f"{len(message.page_view)} page views for {columns['auction_id_high'].size} auctions"
    if int(columns["placement_count"].sum(dtype=np.uint64)) != columns["winner_row_plus_one"].size:
        return "the placements do not add up"
    for name, _, type_, beside in OPTIONAL_COLUMNS:
        columns[name] = np.array(getattr(message, name), dtype=type_)
        if columns[name].size not in (0, columns[beside].size):
            return f"{name} has {columns[name].size} entries, not {columns[beside].size}"
    if (cleared := max(columns["bid_chance"].size, message.cleared_bids)) > columns["bid_placement"].size:
        return f"{cleared} bids were cleared of {columns['bid_placement'].size}"
    if len(message.currencies) != len(message.currency_rates):
        return f"{len(message.currency_rates)} rates for {len(message.currencies)} currencies"
    for name, of in (("publisher_name", "auction_id_high"), ("placement_name", "winner_row_plus_one")):
        if columns[name].size not in (0, columns[of].size) or np.any(columns[name] >= len(message.names)):
            return f"{name} does not fit"
    return AuctionColumns(
        held_at_ms=message.held_at_ms,
        snapshot_sequence=message.snapshot_sequence,
        model_version=message.model_version,
        currency=message.currency,
        page_view=list(message.page_view),
        bidders=list(message.bidders),
        outside_bids=[_plain(OutsideBid, bid) for bid in message.outside_bids],
        rate_table=message.rate_table,
        currencies=list(message.currencies),
        currency_rates=np.array(message.currency_rates, dtype=np.float64),
        engagement_value_micros=message.engagement_value_micros,
        squashing=message.squashing,
        deals=[_plain(OfferedDeal, deal) for deal in message.deals],
        names=list(message.names),
        floor_rules=list(message.floor_rules),
        conversion_rate=message.conversion_rate,
        cleared_bids=message.cleared_bids,
        ad_pricing=message.ad_pricing,
        ad_advertiser=message.ad_advertiser,
        ad_product=message.ad_product,
        ad_category=message.ad_category,
        **columns,
    )


def _notices(message: events_pb2.NoticesTaken) -> NoticesTaken:
    return NoticesTaken(message.taken_at_ms, tuple(_plain(NoticeTaken, notice) for notice in message.notices))


def _forwarded(message: events_pb2.NoticesForwarded) -> NoticesForwarded:
    notices = tuple(_plain(NoticeForwarded, notice) for notice in message.notices)
    return NoticesForwarded(message.said_at_ms, message.owner, notices)


def _feed_page(message: events_pb2.FeedPageServed) -> FeedPageServed | str:
    lengths = {len(message.post_ids), len(message.scores), len(message.sources), len(message.propensities)}
    if len(lengths) > 1:
        return "posts, scores, sources and propensities differ in length"
    posts, alternatives = len(message.post_ids), len(message.alternative_ids)
    width, rest = divmod(len(message.features), posts) if posts else (0, len(message.features))
    if rest or len(message.alternative_places) != alternatives:
        return "features or alternatives do not go with the posts"
    if len(message.alternative_features) != width * alternatives or any(
        place >= posts for place in message.alternative_places
    ):
        return "alternatives do not go with the posts"
    return FeedPageServed(
        served_at_ms=message.served_at_ms,
        tenant_id=message.tenant_id,
        page_id=message.page_id,
        session_id=message.session_id,
        visitor_id=message.visitor_id,
        post_ids=tuple(message.post_ids),
        scores=tuple(message.scores),
        sources=tuple(message.sources),
        propensities=tuple(message.propensities),
        auction_id=message.auction_id,
        features=tuple(message.features),
        features_version=message.features_version,
        ranker=message.ranker,
        alternative_places=tuple(message.alternative_places),
        alternative_ids=tuple(message.alternative_ids),
        alternative_features=tuple(message.alternative_features),
        page_size=message.page_size,
        ad_slots=message.ad_slots,
    )


def _products(message: catalogue_pb2.PutProductsRequest) -> ProductsPut | str:
    return products_put(message, message.tenant_id) if message.tenant_id else "products without a tenant"


def products_put(message: catalogue_pb2.PutProductsRequest, tenant_id: str) -> ProductsPut:
    """The products of a request or a record, as products of `tenant_id`; not checked yet."""
    return ProductsPut(tenant_id, tuple(_product(product, tenant_id) for product in message.products))


def product_message(product: Product) -> catalogue_pb2.Product:
    """One product as it travels; the tenant stays here."""
    fields = msgspec.structs.asdict(product)
    del fields["tenant_id"]
    return catalogue_pb2.Product(**fields)


def _product(message: catalogue_pb2.Product, tenant_id: str) -> Product:
    return Product(
        product_id=message.product_id,
        tenant_id=tenant_id,
        name=message.name,
        brand=message.brand,
        category=message.category,
        price_micros=message.price_micros,
        currency=message.currency,
        image_url=message.image_url,
        landing_url=message.landing_url,
        in_stock=message.in_stock,
        attributes=dict(message.attributes),
    )


def _products_message(event: ProductsPut) -> catalogue_pb2.PutProductsRequest:
    products = [product_message(product) for product in event.products]
    return catalogue_pb2.PutProductsRequest(tenant_id=event.tenant_id, products=products)


def _plain(struct_type: type[_S], message: Message) -> _S:
    """A struct whose fields have the names and types of the message's."""
    return struct_type(**{name: getattr(message, name) for name in struct_type.__struct_fields__})


def _reader_of(struct_type: type[_S]) -> Callable[[Any], _S]:
    return lambda message: _plain(struct_type, message)


_TOPIC_OF: Final[Mapping[type, tuple[str, type[Message]]]] = {
    NoticesTaken: (NOTICES.name, events_pb2.NoticesTaken),
    NoticesForwarded: (FORWARDED_NOTICES.name, events_pb2.NoticesForwarded),
    CampaignChanged: (CAMPAIGN_CHANGES.name, events_pb2.CampaignChanged),
    BudgetAlerted: (ALERTS.name, events_pb2.BudgetAlerted),
    PostChanged: (POSTS.name, events_pb2.PostChanged),
    FeedPageServed: (FEED_PAGES.name, events_pb2.FeedPageServed),
    FeedActionTaken: (FEED_ACTIONS.name, events_pb2.FeedActionTaken),
    PersonErased: (ERASURES.name, events_pb2.PersonErased),
    ShareClicked: (SHARE_CLICKS.name, events_pb2.ShareClicked),
    CaseDecided: (MODERATION.name, events_pb2.CaseDecided),
    TierChanged: (CREATOR_TIERS.name, events_pb2.TierChanged),
}

# What a reader returns is the event, or a text: the reason why it is unreadable.
_READERS: Final[Mapping[str, tuple[Any, Callable[[Any], Event | str]]]] = {
    AUCTIONS.name: (events_pb2.AuctionsHeld, _auctions),
    NOTICES.name: (events_pb2.NoticesTaken, _notices),
    FORWARDED_NOTICES.name: (events_pb2.NoticesForwarded, _forwarded),
    CAMPAIGN_CHANGES.name: (events_pb2.CampaignChanged, _reader_of(CampaignChanged)),
    ALERTS.name: (events_pb2.BudgetAlerted, _reader_of(BudgetAlerted)),
    PRODUCTS.name: (catalogue_pb2.PutProductsRequest, _products),
    POSTS.name: (events_pb2.PostChanged, _reader_of(PostChanged)),
    FEED_PAGES.name: (events_pb2.FeedPageServed, _feed_page),
    FEED_ACTIONS.name: (events_pb2.FeedActionTaken, _reader_of(FeedActionTaken)),
    ERASURES.name: (events_pb2.PersonErased, _reader_of(PersonErased)),
    SHARE_CLICKS.name: (events_pb2.ShareClicked, _reader_of(ShareClicked)),
    MODERATION.name: (events_pb2.CaseDecided, _reader_of(CaseDecided)),
    CREATOR_TIERS.name: (events_pb2.TierChanged, _reader_of(TierChanged)),
}
