"""How does a record keep what clearing knew of each bid in five bytes? What repeats is written once.

Two things are recorded of every bid anyway: which ad it is (line item and creative), and its chance in 32 bits. So what
an ad decides (pricing model, advertiser, product, category) is written once an ad, and what 32 bits leave out of a
chance once a value, in 4 bytes. Which bid has which follows from the order in which ads and values first come.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ranking.kernel_cache import inlined, kernel
from streams.auction_block import AuctionColumns

# How records of before write an advertiser, a product or a category that is none.
NONE = 0xFFFFFFFF
_FACTS = ("pricing", "advertiser", "product", "category")
_WIDTHS: Final[tuple[np.dtype[np.unsignedinteger[Any]], ...]] = (np.dtype("u1"), np.dtype("<u2"), np.dtype("<u4"))


class ClearedBids(msgspec.Struct):
    """What clearing was told of each bid, beside what the record's own columns say; arrays by cleared bid.

    `chance` float64; `pricing` uint8; the others int64, equal where clearing found them equal, -1 for none.
    """

    chance: NDArray[np.float64]
    pricing: NDArray[np.uint8]
    advertiser: NDArray[np.int64]
    product: NDArray[np.int64]
    category: NDArray[np.int64]


def packed(line_item: NDArray[np.uint32], creative: NDArray[np.uint32], bids: ClearedBids) -> dict[str, Any]:
    """Columns of AuctionColumns; `line_item` and `creative` are those of the cleared bids, 0 for outside ones."""
    cleared = len(bids.chance)
    short = bids.chance.astype(np.float32)
    rest = bids.chance.view(np.int64) - short.astype(np.float64).view(np.int64)
    once, facts = np.empty(cleared, np.int32), np.empty((4, cleared), np.uint32)
    values, ads, most = _pack(
        line_item, creative, short.view(np.int32), rest,
        bids.pricing, bids.advertiser, bids.product, bids.category, _places(cleared), once, facts,
    )  # fmt: skip
    if values < 0:
        return {"cleared_bids": cleared, **_at_length(bids)}
    columns = {f"ad_{name}": facts[at, :ads].astype(_width(most)).tobytes() for at, name in enumerate(_FACTS)}
    return {"cleared_bids": cleared, "chance_rest": once[:values], **columns}


def trouble(columns: AuctionColumns) -> str:
    """What is wrong with the packed columns; empty when `unpacked` may read them."""
    if not columns.cleared_bids:
        return ""
    cleared = columns.cleared_bids
    if len(columns.bid_placement) < cleared:
        return "bids are missing"
    if len(columns.bid_chance):
        return "" if len(columns.bid_chance) == cleared else "chances are missing"
    values = len(np.unique(columns.bid_click_probability[:cleared].view(np.uint32)))
    if len(columns.chance_rest) not in (values, cleared):
        return "chances are missing"
    ads = len(np.unique(_ads(columns.bid_line_item[:cleared], columns.bid_creative[:cleared])))
    if any(len(getattr(columns, f"ad_{name}")) not in (ads, 2 * ads, 4 * ads) for name in _FACTS):
        return "facts of ads are missing"
    return ""


def cleared_bids(columns: AuctionColumns) -> int:
    """How many of the recorded bids clearing decided on; 0 in records that do not say it."""
    return columns.cleared_bids or len(columns.bid_chance)


def unpacked(columns: AuctionColumns) -> ClearedBids:
    """What clearing was told, from a record of now or of before; only where there is no `trouble`."""
    cleared = cleared_bids(columns)
    if len(columns.bid_chance) or not cleared:
        return ClearedBids(
            columns.bid_chance,
            columns.bid_pricing.astype(np.uint8),
            *(signed(column) for column in (columns.bid_advertiser, columns.bid_product, columns.bid_category)),
        )
    short = columns.bid_click_probability[:cleared]
    rest = columns.chance_rest.astype(np.int64)
    if len(rest) != cleared:
        number, _ = dense(short.view(np.int32).astype(np.int64))
        rest = rest[number]
    ad, first = dense(_ads(columns.bid_line_item[:cleared], columns.bid_creative[:cleared]))
    return ClearedBids(
        (short.astype(np.float64).view(np.int64) + rest).view(np.float64),
        _wide(columns.ad_pricing, len(first))[ad].astype(np.uint8),
        *(_wide(getattr(columns, f"ad_{name}"), len(first))[ad] - 1 for name in _FACTS[1:]),
    )


def dense(keys: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(the number of each key, in the order in which keys first come; the row where each number first comes)."""
    number, first = np.empty(len(keys), np.int32), np.empty(len(keys), np.int32)
    return number, first[: _number(keys, _places(len(keys)), number, first)]


def _places(keys: int) -> NDArray[np.int32]:
    """An empty table; a quarter of it is taken at the most, so a search is short."""
    return np.full(1 << max(keys, 1).bit_length() + 1, -1, np.int32)


@inlined
def _place(key, places, keys, first):  # type: ignore[no-untyped-def]
    mask = places.shape[0] - 1
    # Fibonacci hashing: neighbours land far apart.
    place = ((key * np.int64(-7046029254386353131)) >> np.int64(40)) & mask
    while places[place] >= 0 and keys[first[places[place]]] != key:
        place = (place + 1) & mask
    return place


@kernel
def _number(keys, places, number, first):  # type: ignore[no-untyped-def]
    found = 0
    for row in range(keys.shape[0]):
        place = _place(keys[row], places, keys, first)
        if places[place] < 0:
            places[place] = found
            first[found] = row
            found += 1
        number[row] = places[place]
    return found


@kernel
def _pack(  # type: ignore[no-untyped-def]
    line_item, creative, short, rest, pricing, advertiser, product, category, places, once, facts
):  # fmt: skip
    """(entries of `once`, -1 where a rest is beyond 32 bits; columns of `facts`; the largest number in them)."""
    rows = rest.shape[0]
    keys, first = short.astype(np.int64), np.empty(rows, np.int32)
    values, alone = 0, True
    for row in range(rows):
        if rest[row] != np.int64(np.int32(rest[row])):
            return -1, 0, 0
        place = _place(keys[row], places, keys, first)
        if places[place] < 0:
            places[place] = values
            first[values] = row
            once[values] = rest[row]
            values += 1
        elif rest[first[places[place]]] != rest[row]:
            alone = False
    if not alone:
        values = rows
        for row in range(rows):
            once[row] = rest[row]
    for row in range(rows):
        keys[row] = (np.int64(line_item[row]) << 32) | np.int64(creative[row]) if line_item[row] else -1 - row
    places[:] = -1
    ads = 0
    of_ad = np.empty(rows, np.int32)
    for row in range(rows):
        place = _place(keys[row], places, keys, first)
        if places[place] < 0:
            places[place] = ads
            first[ads] = row
            of_ad[ads] = row
            ads += 1
    most = 0
    for ad in range(ads):
        facts[0, ad] = pricing[of_ad[ad]]
    at = 1
    for column in (advertiser, product, category):
        places[:] = -1
        found = 0
        for ad in range(ads):
            key = column[of_ad[ad]]
            facts[at, ad] = 0
            if key >= 0:
                place = _place(key, places, column, first)
                if places[place] < 0:
                    places[place] = found
                    first[found] = of_ad[ad]
                    found += 1
                facts[at, ad] = places[place] + 1
        most = max(most, found)
        at += 1
    return values, ads, most


def _ads(line_item: NDArray[np.uint32], creative: NDArray[np.uint32]) -> NDArray[np.int64]:
    """One key for each ad; every outside bid has its own, below zero."""
    keys = line_item.astype(np.int64) << 32 | creative
    outside = np.flatnonzero(line_item == 0)
    keys[outside] = -1 - outside
    return keys


def _width(largest: int) -> np.dtype[np.unsignedinteger[Any]]:
    return _WIDTHS[(largest > 0xFF) + (largest > 0xFFFF)]


def _wide(data: bytes, count: int) -> NDArray[np.int64]:
    width = np.dtype(f"<u{len(data) // count}") if count else _WIDTHS[0]
    return np.frombuffer(data, width).astype(np.int64)


def signed(column: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Numbers of a record, -1 in place of NONE."""
    numbers = column.astype(np.int64)
    numbers[column == NONE] = -1
    return numbers


def _at_length(bids: ClearedBids) -> dict[str, Any]:
    u32 = np.uint32
    return {
        "bid_chance": bids.chance,
        "bid_pricing": bids.pricing.astype(u32),
        "bid_advertiser": bids.advertiser.astype(u32),
        "bid_product": bids.product.astype(u32),
        "bid_category": bids.category.astype(u32),
    }
