"""How do the arrays of a batch of auctions become one record of the log, in microseconds?

A packed fixed-width column of protobuf is (tag, length in bytes, the array's own little-endian bytes), so a column is
copied once and no value is touched. Field numbers are those of AuctionsHeld in protos/events.proto; a property test
holds the two together.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

SCHEMA_VERSION: Final = 1


class OutsideBid(msgspec.Struct, frozen=True, gc=False):
    """What only an outside bidder knows of its bid; `row` counts in the bid columns."""

    row: int
    bid_id: str
    advertiser_domain: str
    creative_id: str
    category: str
    product_id: str
    currency: str
    win_url: str = ""
    billing_url: str = ""
    loss_url: str = ""
    seat: str = ""


class OfferedDeal(msgspec.Struct, frozen=True, gc=False):
    """A deal as clearing held to it; the floor is in the auction's currency."""

    placement: int
    deal_id: str
    floor_micros: int
    price_rule: int
    guaranteed: bool


def _none() -> NDArray[np.uint32]:
    return np.zeros(0, dtype=np.uint32)


def _no_micros() -> NDArray[np.int64]:
    return np.zeros(0, dtype=np.int64)


def _no_rates() -> NDArray[np.float64]:
    return np.zeros(0, dtype=np.float64)


def _no_rest() -> NDArray[np.int32]:
    return np.zeros(0, dtype=np.int32)


class AuctionColumns(msgspec.Struct, kw_only=True, gc=False):
    """A batch of auctions in columns; names, order and meaning are those of AuctionsHeld in protos/events.proto.

    Shapes: (page views,), then (placements,), then (recorded bids,), then (counted bids,). Arrays are little-endian and
    of exactly the type that is written here; `encode_auctions` asserts it.
    """

    held_at_ms: int
    snapshot_sequence: int
    model_version: str
    currency: str

    auction_id_high: NDArray[np.uint64]
    auction_id_low: NDArray[np.uint64]
    permissions: NDArray[np.uint32]
    placement_count: NDArray[np.uint32]
    bids_in: NDArray[np.uint32]
    price_rule: NDArray[np.uint32]
    page_view: list[bytes]

    winner_row_plus_one: NDArray[np.uint32]
    no_ad_reason: NDArray[np.uint32]

    bid_placement: NDArray[np.uint32]
    bid_line_item: NDArray[np.uint32]
    bid_creative: NDArray[np.uint32]
    bid_bidder: NDArray[np.uint32]
    bid_micros: NDArray[np.int64]
    bid_outcome: NDArray[np.uint32]
    bid_click_probability: NDArray[np.float32]
    bid_ecpm_micros: NDArray[np.int64]
    bid_price_micros: NDArray[np.int64]
    bid_reserved_micros: NDArray[np.int64]

    more_page_view: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    more_outcome: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    more_count: NDArray[np.uint32] = msgspec.field(default_factory=_none)

    bidders: list[str] = msgspec.field(default_factory=list)
    outside_bids: list[OutsideBid] = msgspec.field(default_factory=list)

    # What most batches have no need of is empty: of another currency, of deals, of page rules of its own.
    rate_table: str = ""
    currencies: list[str] = msgspec.field(default_factory=list)
    currency_rates: NDArray[np.float64] = msgspec.field(default_factory=_no_rates)
    bid_currency: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    bid_deal_plus_one: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    floor_micros: NDArray[np.int64] = msgspec.field(default_factory=_no_micros)
    most_per_advertiser: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    most_ads: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    separate: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    private_auction: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    engagement_value_micros: int = 0
    squashing: float = 0.0
    deals: list[OfferedDeal] = msgspec.field(default_factory=list)
    test_page_view: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    # Indices into `names`, by page view and by placement; empty in records that do not say it.
    publisher_name: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    placement_name: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    names: list[str] = msgspec.field(default_factory=list)
    floor_rule: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    floor_rules: list[str] = msgspec.field(default_factory=list)
    # What a replay needs; exchange/packed_bids.py packs it. The columns by cleared bid are those of records of before.
    cleared_bids: int = 0
    chance_rest: NDArray[np.int32] = msgspec.field(default_factory=_no_rest)
    ad_pricing: bytes = b""
    ad_advertiser: bytes = b""
    ad_product: bytes = b""
    ad_category: bytes = b""
    placement_viewable: NDArray[np.float64] = msgspec.field(default_factory=_no_rates)
    bid_own_floor_plus_one: NDArray[np.int64] = msgspec.field(default_factory=_no_micros)
    bid_chance: NDArray[np.float64] = msgspec.field(default_factory=_no_rates)
    bid_pricing: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    bid_advertiser: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    bid_product: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    bid_category: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    conversion_rate: float = 0.0
    refused_before: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    bid_account: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    bid_campaign_account: NDArray[np.uint32] = msgspec.field(default_factory=_none)
    available_micros: NDArray[np.int64] = msgspec.field(default_factory=_no_micros)


U32: Final = np.dtype("<u4")
U64: Final = np.dtype("<u8")
I32: Final = np.dtype("<i4")
I64: Final = np.dtype("<i8")
F32: Final = np.dtype("<f4")
F64: Final = np.dtype("<f8")

# Each column with the type of its values; a group is one length: page views, placements, recorded bids, counted bids.
COLUMN_GROUPS: Final[tuple[tuple[tuple[str, int, np.dtype[np.generic]], ...], ...]] = (
    (
        ("auction_id_high", 10, U64),
        ("auction_id_low", 11, U64),
        ("permissions", 12, U32),
        ("placement_count", 13, U32),
        ("bids_in", 14, U32),
        ("price_rule", 15, U32),
    ),
    (("winner_row_plus_one", 30, U32), ("no_ad_reason", 31, U32)),
    (
        ("bid_placement", 40, U32),
        ("bid_line_item", 41, U32),
        ("bid_creative", 42, U32),
        ("bid_bidder", 43, U32),
        ("bid_micros", 44, I64),
        ("bid_outcome", 45, U32),
        ("bid_click_probability", 46, F32),
        ("bid_ecpm_micros", 47, I64),
        ("bid_price_micros", 48, I64),
        ("bid_reserved_micros", 49, I64),
    ),
    (("more_page_view", 60, U32), ("more_outcome", 61, U32), ("more_count", 62, U32)),
    (("test_page_view", 320, U32),),
    (("publisher_name", 300, U32),),
    (("placement_name", 301, U32),),
    (
        ("bid_chance", 360, F64),
        ("bid_pricing", 361, U32),
        ("bid_advertiser", 362, U32),
        ("bid_product", 363, U32),
        ("bid_category", 364, U32),
    ),
    (("chance_rest", 371, I32),),
    (("refused_before", 366, U32),),
    (("bid_account", 367, U32), ("bid_campaign_account", 368, U32)),
    (("available_micros", 369, I64),),
)

# Columns that may be left out; one that is there is as long as the column that is named with it.
OPTIONAL_COLUMNS: Final[tuple[tuple[str, int, np.dtype[np.generic], str], ...]] = (
    ("bid_currency", 223, U32, "bid_placement"),
    ("bid_deal_plus_one", 224, U32, "bid_placement"),
    ("floor_micros", 225, I64, "no_ad_reason"),
    ("most_per_advertiser", 226, U32, "price_rule"),
    ("most_ads", 227, U32, "price_rule"),
    ("separate", 228, U32, "price_rule"),
    ("private_auction", 232, U32, "no_ad_reason"),
    ("floor_rule", 281, U32, "no_ad_reason"),
    ("placement_viewable", 376, F64, "no_ad_reason"),
    ("bid_own_floor_plus_one", 377, I64, "bid_placement"),
)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_LENGTH_DELIMITED = 2
_VARINTS: Final = tuple(_varint(number) for number in range(1 << 14))


def _tag(field: int) -> bytes:
    return _varint(field << 3 | _LENGTH_DELIMITED)


_PAGE_VIEW_TAG: Final = _tag(16)
# Tag and length of a page view in one look-up; longer ones are rare.
_PAGE_VIEW_HEADS: Final = tuple(_PAGE_VIEW_TAG + length for length in _VARINTS[:2048])
_COLUMNS: Final = tuple(tuple((name, _tag(field), type_) for name, field, type_ in group) for group in COLUMN_GROUPS)
_MODEL_VERSION_TAG: Final = _tag(4)
_CURRENCY_TAG: Final = _tag(5)
_BIDDERS_TAG: Final = _tag(70)
_OUTSIDE_BIDS_TAG: Final = _tag(71)
_OPTIONAL: Final = tuple((name, _tag(field), type_, beside) for name, field, type_, beside in OPTIONAL_COLUMNS)
_RATE_TABLE_TAG: Final = _tag(220)
_CURRENCIES_TAG: Final = _tag(221)
_CURRENCY_RATES_TAG: Final = _tag(222)
_ENGAGEMENT_TAG: Final = _varint(229 << 3)
_SQUASHING_TAG: Final = _varint(230 << 3 | 1)
_DEALS_TAG: Final = _tag(231)
_CLEARED_BIDS_TAG: Final = _varint(370 << 3)
_ADS: Final = tuple(
    (name, _tag(field))
    for field, name in enumerate(("ad_pricing", "ad_advertiser", "ad_product", "ad_category"), start=372)
)
_CONVERSION_RATE_TAG: Final = _varint(365 << 3 | 1)
_DEAL_ID_TAG: Final = _tag(2)
_NAMES_TAG: Final = _tag(302)
_FLOOR_RULES_TAG: Final = _tag(282)
_OUTSIDE_ROW: Final = b"\x08"
_OUTSIDE_TEXTS: Final = tuple(
    (name, _tag(field))
    for field, name in enumerate(
        ("bid_id", "advertiser_domain", "creative_id", "category", "product_id", "currency"), start=2
    )
)
_OUTSIDE_URLS: Final = tuple(
    (name, _tag(field)) for field, name in enumerate(("win_url", "billing_url", "loss_url", "seat"), start=320)
)
# schema_version is a varint, held_at_ms and snapshot_sequence are fixed64.
_HEAD: Final = struct.Struct("<BBBQBQ")


def _length(count: int) -> bytes:
    return _VARINTS[count] if count < len(_VARINTS) else _varint(count)


def _text(tag: bytes, text: str) -> bytes:
    data = text.encode()
    return tag + _length(len(data)) + data


def _page_views(page_views: Sequence[bytes]) -> list[bytes]:
    heads = _PAGE_VIEW_HEADS
    return [
        (heads[len(view)] if len(view) < 2048 else _PAGE_VIEW_TAG + _length(len(view))) + view for view in page_views
    ]


def _outside_bid(bid: OutsideBid) -> bytes:
    texts = b"".join(_text(tag, getattr(bid, name)) for name, tag in _OUTSIDE_TEXTS)
    texts += b"".join(_text(tag, value) for name, tag in _OUTSIDE_URLS if (value := getattr(bid, name)))
    data = _OUTSIDE_ROW + _length(bid.row) + texts
    return _OUTSIDE_BIDS_TAG + _length(len(data)) + data


def encode_auctions(columns: AuctionColumns) -> bytes:
    """One AuctionsHeld. AssertionError when a column has another type or another length than its group."""
    parts = [
        _HEAD.pack(1 << 3, SCHEMA_VERSION, 2 << 3 | 1, columns.held_at_ms, 3 << 3 | 1, columns.snapshot_sequence),
        _text(_MODEL_VERSION_TAG, columns.model_version),
        _text(_CURRENCY_TAG, columns.currency),
    ]
    for group in _COLUMNS:
        size = -1
        for name, tag, type_ in group:
            column: NDArray[np.generic] = getattr(columns, name)
            assert column.dtype == type_, f"{name} is {column.dtype}, not {type_}"
            assert size in (-1, column.size), f"{name} has {column.size} entries, its neighbours have {size}"
            size = column.size
            if size:
                parts += (tag, _length(column.nbytes), column.tobytes())
    assert len(columns.page_view) == columns.auction_id_high.size, "page_view has another length than its neighbours"
    parts += _page_views(columns.page_view)
    parts += [_text(_BIDDERS_TAG, bidder) for bidder in columns.bidders]
    parts += [_outside_bid(bid) for bid in columns.outside_bids]
    parts += _terms(columns)
    parts += [_text(_NAMES_TAG, name) for name in columns.names]
    parts += [_text(_FLOOR_RULES_TAG, rule) for rule in columns.floor_rules]
    return b"".join(parts)


def _terms(columns: AuctionColumns) -> list[bytes]:
    """What the batch was cleared by, beside the columns that every record has."""
    parts: list[bytes] = []
    for name, tag, type_, beside in _OPTIONAL:
        column: NDArray[np.generic] = getattr(columns, name)
        if column.size:
            assert column.dtype == type_, f"{name} is {column.dtype}, not {type_}"
            assert column.size == getattr(columns, beside).size, f"{name} is not as long as {beside}"
            parts += (tag, _length(column.nbytes), column.tobytes())
    if columns.rate_table:
        parts.append(_text(_RATE_TABLE_TAG, columns.rate_table))
    parts += [_text(_CURRENCIES_TAG, code) for code in columns.currencies]
    if columns.currency_rates.size:
        assert columns.currency_rates.dtype == F64
        rates = columns.currency_rates.tobytes()
        parts += (_CURRENCY_RATES_TAG, _length(len(rates)), rates)
    if columns.engagement_value_micros:
        parts.append(_ENGAGEMENT_TAG + _varint(columns.engagement_value_micros))
    if columns.squashing:
        parts.append(_SQUASHING_TAG + struct.pack("<d", columns.squashing))
    if columns.conversion_rate:
        parts.append(_CONVERSION_RATE_TAG + struct.pack("<d", columns.conversion_rate))
    if columns.cleared_bids:
        parts.append(_CLEARED_BIDS_TAG + _varint(columns.cleared_bids))
    for name, tag in _ADS:
        if packed := getattr(columns, name):
            parts += (tag, _length(len(packed)), packed)
    for deal in columns.deals:
        data = b"\x08" + _varint(deal.placement) + _text(_DEAL_ID_TAG, deal.deal_id)
        data += b"\x18" + _varint(deal.floor_micros) + b"\x20" + _varint(deal.price_rule)
        data += b"\x28\x01" if deal.guaranteed else b""
        parts.append(_DEALS_TAG + _length(len(data)) + data)
    return parts
