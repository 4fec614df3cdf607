"""How do finalists and outside bids become one table? Rows in the order of placements, ready for clearing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from exchange.clearing import PENDING, Bids
from exchange.eligibility import CODE_INDEX, FINALISTS, Finalists
from exchange.inventory import Snapshot
from exchange.refusals import Refusal
from exchange.request import PricingModel
from exchange.screening import ScreenedBid
from exchange.traits import Kind

# Advertisers and products that only an outside bidder knows are numbered from here on, within the batch. The record
# keeps 32 bits of these numbers, so they must differ in those.
_UNKNOWN_FROM = 1 << 31


class BidRows(msgspec.Struct):
    """Every bid that takes part in clearing. `ad` is a row of the snapshot, or -1 - i for `outside[i]`."""

    bids: Bids
    ad: NDArray[np.int32]
    bidder: NDArray[np.int32]
    page_start: NDArray[np.int32]
    outside: Sequence[ScreenedBid]


class InsideRows(msgspec.Struct):
    """The finalists in a row: where they stand and what they are; `page` and `placement` index the batch.

    `deal` is the deal each bids under as an index into its placement's deals, -1 in the open.
    """

    placement: NDArray[np.int32]
    page: NDArray[np.int32]
    ad: NDArray[np.int32]
    item: NDArray[np.int32]
    match_weight: NDArray[np.float32]
    deal: NDArray[np.int32]


def inside_rows(snapshot: Snapshot, found: Finalists, page_of_placement: NDArray[np.int32]) -> InsideRows:
    """All finalists of the batch, placement by placement, best first within each."""
    taken = np.arange(FINALISTS) < found.kept[:, None]
    placement = np.repeat(np.arange(len(found.kept), dtype=np.int32), found.kept)
    ad = found.ad[taken]
    return InsideRows(
        placement, page_of_placement[placement], ad, snapshot.book.ad_item[ad], found.weight[taken], found.deal[taken]
    )


def bid_rows(
    snapshot: Snapshot,
    inside: InsideRows,
    offered_micros: NDArray[np.int64],
    click_probability: NDArray[np.float64],
    outside: Sequence[ScreenedBid],
    page_of_placement: NDArray[np.int32],
    pages: int,
    rates: NDArray[np.float64] | None = None,
) -> BidRows:
    """The table for clearing: finalists with what they were offered at, and outside bids with their screening.

    `rates` are those of `snapshot.currencies`, auction micros for one micro of each; 0.0 where there is none. Without
    them every line item bids in the auction's currency.
    """
    book = snapshot.book
    count = len(inside.ad)
    outcome = np.full(count, PENDING, np.int32)
    outcome[offered_micros <= 0] = CODE_INDEX[Refusal.NOT_WORTH_BIDDING]
    rate = np.ones(count, np.float64)
    if rates is not None:
        rate = rates[snapshot.item_currency[inside.item]]
        outcome[rate <= 0.0] = CODE_INDEX[Refusal.WRONG_CURRENCY]
    columns: dict[str, NDArray[np.generic]] = {
        "placement": inside.placement,
        "pricing": book.item_pricing[inside.item],
        "bid_micros": offered_micros,
        "click_probability": click_probability,
        "advertiser": book.item_advertiser[inside.item].astype(np.int64),
        "product": book.ad_product[inside.ad].astype(np.int64),
        "category": book.ad_category[inside.ad].astype(np.int64),
        "deal": inside.deal,
        "rate": rate,
        "account": book.item_account[inside.item],
        "campaign_account": book.item_campaign_account[inside.item],
        "outcome": outcome,
        "ad": inside.ad,
        "bidder": book.item_bidder[inside.item].astype(np.int32) - 1,
    }
    if outside:
        outside_columns = _outside_columns(snapshot, outside)
        columns = {name: np.concatenate([column, outside_columns[name]]) for name, column in columns.items()}
        order = np.argsort(columns["placement"], kind="stable")
        columns = {name: column[order] for name, column in columns.items()}
        count += len(outside)
    page = page_of_placement[columns["placement"].astype(np.int32)]
    page_start = np.searchsorted(page, np.arange(pages + 1)).astype(np.int32)
    ad, bidder = columns.pop("ad"), columns.pop("bidder")
    bids = Bids(
        **columns,  # type: ignore[arg-type]
        ecpm_micros=np.zeros(count, np.int64),
        price_micros=np.zeros(count, np.int64),
        reserved_micros=np.zeros(count, np.int64),
    )
    return BidRows(bids, ad, bidder, page_start, outside)  # type: ignore[arg-type]


def _outside_columns(snapshot: Snapshot, outside: Sequence[ScreenedBid]) -> dict[str, NDArray[np.generic]]:
    unknown: dict[str, int] = {}

    def number(known: Mapping[Any, int], word: str, kind: Kind | None = None) -> int:
        if not word:
            return -1
        row = known.get(word if kind is None else (kind, word.lower()))
        return row if row is not None else unknown.setdefault(word, _UNKNOWN_FROM + len(unknown))

    count = len(outside)
    return {
        "placement": np.array([screened.placement_row for screened in outside], np.int32),
        "pricing": np.full(count, PricingModel.CPM, np.uint8),
        # A refused bid may carry any number at all; only what was screened reaches 64 bits.
        "bid_micros": np.array([0 if s.refusal else s.bid.bid_micros for s in outside], np.int64),
        "click_probability": np.zeros(count, np.float64),
        "advertiser": np.array([number(snapshot.advertiser_rows, s.bid.advertiser_domain) for s in outside], np.int64),
        "product": np.array([number(snapshot.product_rows, s.bid.product_id) for s in outside], np.int64),
        "category": np.array(
            [number(snapshot.vocabulary.traits, s.bid.category, Kind.CATEGORY) for s in outside], np.int64
        ),
        "deal": np.array([screened.deal for screened in outside], np.int32),
        "rate": np.array([screened.rate for screened in outside], np.float64),
        "account": np.full(count, -1, np.int32),
        "campaign_account": np.full(count, -1, np.int32),
        "outcome": np.array([CODE_INDEX[s.refusal] if s.refusal else PENDING for s in outside], np.int32),
        "ad": np.arange(-1, -1 - count, -1, dtype=np.int32),
        "bidder": np.array([screened.bidder for screened in outside], np.int32),
    }
