"""What does a compiled inventory look like? Arrays of standing bids, made for one kernel and never changed after.

A *standing bid* is a line item with one of its creatives. Postings put the standing bids that could answer a
(shape, term) in one run, best first, so a walk can stop as soon as it has enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# The term that every page view has: postings of line items without targeting.
ANY_TERM = 0


_AD = np.dtype(
    [
        ("cost", np.int64), ("worth", np.int64), ("item", np.int32), ("product", np.int32), ("creative", np.uint32),
        ("trait_start", np.int32), ("trait_end", np.int32), ("review", np.uint8),
    ],
    align=True,
)  # fmt: skip
_ITEM = np.dtype(
    [
        ("starts_at_ms", np.int64), ("ends_at_ms", np.int64),
        ("hours_0", np.uint64), ("hours_1", np.uint64), ("hours_2", np.uint64),
        ("number", np.uint32), ("campaign", np.int32), ("brand", np.int32), ("advertiser", np.int32),
        ("domain", np.int32), ("seat", np.int32), ("account", np.int32), ("campaign_account", np.int32),
        ("zone", np.int32), ("clause_start", np.int32), ("clause_end", np.int32), ("deal_start", np.int32),
        ("deal_end", np.int32), ("cap_start", np.int32), ("cap_end", np.int32), ("deals_only", np.uint8),
    ],
    align=True,
)  # fmt: skip


class Packed(NamedTuple):
    """Records of the fields that the walk reads: one array each, so that a step touches one or two lines of memory."""

    ad: NDArray[np.void]
    item: NDArray[np.void]


class OrderBook(NamedTuple):
    """Arrays by standing bid (`ad_…`), by line item (`item_…`), by clause and by posting."""

    # One entry for each standing bid.
    ad_item: NDArray[np.int32]
    ad_worth: NDArray[np.int64]  # static worth per thousand impressions in micros: the order of the walk
    # What both accounts must hold for the bid to take part; with less it would be refused at clearing, again and again.
    ad_cost: NDArray[np.int64]
    ad_shape: NDArray[np.int32]
    ad_category: NDArray[np.int32]  # trait of the creative's category, -1 without
    ad_product: NDArray[np.int32]  # row of the product, -1 without
    ad_review: NDArray[np.uint8]
    ad_creative: NDArray[np.uint32]  # the creative's number
    ad_trait_start: NDArray[np.int32]  # (standing bids + 1): what publishers block an ad by
    ad_trait: NDArray[np.int32]
    trait_kind: NDArray[np.uint8]  # (traits,): exchange.traits.Kind

    # One entry for each line item.
    item_number: NDArray[np.uint32]
    item_campaign: NDArray[np.uint32]
    item_bidder: NDArray[np.uint8]
    item_pricing: NDArray[np.uint8]
    item_bid: NDArray[np.int64]  # micros per unit of the pricing model
    item_account: NDArray[np.int32]  # rows of the budget book
    item_campaign_account: NDArray[np.int32]
    item_advertiser: NDArray[np.int32]
    item_brand: NDArray[np.int32]  # the advertiser in a numbering that no change of the inventory alters
    item_domain: NDArray[np.int32]  # trait of the advertiser's domain
    item_seat: NDArray[np.int32]  # trait of the buyer's seat
    item_deal_start: NDArray[np.int32]  # (items + 1): deals that an item may bid under
    item_deal: NDArray[np.int32]  # terms of dimension "deal"
    item_deals_only: NDArray[np.uint8]
    item_cap_start: NDArray[np.int32]  # (items + 1): caps of an item, each of which must hold
    cap_scope: NDArray[np.int8]  # as LineItemRecord.caps
    cap_impressions: NDArray[np.int32]
    cap_window_ms: NDArray[np.int64]
    cap_share: NDArray[np.uint64]  # of 2^32 page views on which nothing can be counted
    item_starts_at_ms: NDArray[np.int64]
    item_ends_at_ms: NDArray[np.int64]
    item_hours: NDArray[np.uint64]  # (items, 3): bit h of 168 is set when hour h of the week is in
    item_zone: NDArray[np.int32]  # index of the time zone
    item_clause_start: NDArray[np.int32]  # (items + 1): clauses of an item, all of which must match
    clause_term: NDArray[np.int32]  # (clauses + 1): terms of a clause, one of which must match
    terms: NDArray[np.int32]

    # A hash table (shape, term) -> run of postings; open addressing, power-of-two size.
    table_key: NDArray[np.int64]  # -1 is empty
    table_run: NDArray[np.int32]
    run_start: NDArray[np.int32]  # (runs + 1)
    postings: NDArray[np.int32]  # standing bids, best first
    posting_worth: NDArray[np.int64]  # `ad_worth` of each posting, beside it so that a merge touches one place
    term_used: NDArray[np.uint8]  # does any run hang on this term

    product_in_stock: NDArray[np.uint8]  # changed in place when stock changes

    # The same once more for the walk, which touches all fields of one standing bid and of one line item together.
    packed: Packed


def packed(columns: Mapping[str, Any]) -> Packed:
    """The records of an order book, from its columns by name."""
    ads = np.zeros(len(columns["ad_item"]), _AD)
    items = np.zeros(len(columns["item_number"]), _ITEM)
    for records, prefix in ((ads, "ad_"), (items, "item_")):
        for name in records.dtype.names or ():
            column, _, edge = name.rpartition("_")
            if edge == "end":
                records[name] = columns[f"{prefix}{column}_start"][1:]
            elif edge == "start":
                records[name] = columns[f"{prefix}{name}"][:-1]
            elif column == "hours":
                records[name] = columns["item_hours"][:, int(edge)]
            else:
                records[name] = columns[f"{prefix}{name}"]
    return Packed(ads, items)


def table_of(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """An open-addressing table that maps each of the distinct `keys` to its index."""
    size = 1 << max(4, int(2 * max(len(keys), 1) - 1).bit_length())
    table_key = np.full(size, -1, dtype=np.int64)
    table_run = np.zeros(size, dtype=np.int32)
    mask = size - 1
    for index, key in enumerate(keys.tolist()):
        slot = slot_of(key) & mask
        while table_key[slot] != -1:
            slot = (slot + 1) & mask
        table_key[slot] = key
        table_run[slot] = index
    return table_key, table_run


def key_of(shape: int, term: int) -> int:
    """The table's key of a shape and a term."""
    return shape << 32 | term


def slot_of(key: int) -> int:
    """Where the probing starts; the kernel computes the same (Fibonacci hashing, Knuth vol. 3 §6.4)."""
    return (key * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 40
