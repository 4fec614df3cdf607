"""How do finalists and outside bids become one table? Rows in the order of placements, ready for clearing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from exchange.clearing import PENDING, Bids
from exchange.eligibility import CODE_INDEX, Finalists
from exchange.inventory import Snapshot
from exchange.refusals import Refusal
from exchange.request import PricingModel
from exchange.screening import ScreenedBid
from exchange.traits import Kind
from ranking.kernel_cache import kernel

# Advertisers and products that only an outside bidder knows are numbered from here on, within the batch. The record
# keeps 32 bits of these numbers, so they must differ in those.
_UNKNOWN_FROM = 1 << 31
_NO_RATES = np.zeros(0, np.float64)
_NOT_WORTH_BIDDING = CODE_INDEX[Refusal.NOT_WORTH_BIDDING]
_WRONG_CURRENCY = CODE_INDEX[Refusal.WRONG_CURRENCY]


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
    total = int(np.add.reduce(found.kept))
    placement, page, ad, item, deal = (np.empty(total, np.int32) for _ in range(5))
    weight = np.empty(total, np.float32)
    _in_a_row(
        found.kept, found.ad, found.weight, found.deal, page_of_placement, snapshot.book.ad_item,
        placement, page, ad, item, weight, deal,
    )  # fmt: skip
    return InsideRows(placement, page, ad, item, weight, deal)


@kernel
def _in_a_row(  # type: ignore[no-untyped-def]
    kept, of_ad, of_weight, of_deal, page_of_placement, ad_item, placement, page, ad, item, weight, deal
):  # fmt: skip
    at = 0
    for place in range(kept.shape[0]):
        for rank in range(kept[place]):
            placement[at] = place
            page[at] = page_of_placement[place]
            ad[at] = of_ad[place, rank]
            item[at] = ad_item[of_ad[place, rank]]
            weight[at] = of_weight[place, rank]
            deal[at] = of_deal[place, rank]
            at += 1


def bid_rows(
    snapshot: Snapshot,
    inside: InsideRows,
    offered_micros: NDArray[np.int64],
    click_probability: NDArray[np.float64],
    outside: Sequence[ScreenedBid],
    page_of_placement: NDArray[np.int32],
    pages: int,
    rates: NDArray[np.float64] | None = None,
    viewable: NDArray[np.float64] | None = None,
) -> BidRows:
    """The table for clearing: finalists with what they were offered at, and outside bids with their screening.

    `rates` are those of `snapshot.currencies`, auction micros for one micro of each; 0.0 where there is none. Without
    them every line item bids in the auction's currency. `viewable` is by placement; nobody needs it where no bid is
    under vCPM.
    """
    book = snapshot.book
    count = len(inside.ad)
    rate, pricing = np.empty(count, np.float64), np.empty(count, np.uint8)
    advertiser, product, category = (np.empty(count, np.int64) for _ in range(3))
    account, campaign_account, outcome, bidder = (np.empty(count, np.int32) for _ in range(4))
    _of_the_book(
        inside.ad, inside.item, offered_micros, _NO_RATES if rates is None else rates, snapshot.item_currency,
        book.item_pricing, book.item_advertiser, book.ad_product, book.ad_category, book.item_account,
        book.item_campaign_account, book.item_bidder,
        rate, pricing, advertiser, product, category, account, campaign_account, outcome, bidder,
    )  # fmt: skip
    columns: dict[str, NDArray[np.generic]] = {
        "placement": inside.placement,
        "pricing": pricing,
        "bid_micros": offered_micros,
        "click_probability": click_probability,
        "advertiser": advertiser,
        "product": product,
        "category": category,
        "deal": inside.deal,
        "rate": rate,
        "account": account,
        "campaign_account": campaign_account,
        "outcome": outcome,
        "ad": inside.ad,
        "bidder": bidder,
    }
    if outside:
        outside_columns = _outside_columns(snapshot, outside)
        columns = {name: np.concatenate([column, outside_columns[name]]) for name, column in columns.items()}
        order = np.argsort(columns["placement"], kind="stable")
        columns = {name: column[order] for name, column in columns.items()}
        count += len(outside)
    columns["viewable"] = np.ones(count, np.float64) if viewable is None else viewable[columns["placement"]]
    page = page_of_placement[columns["placement"].astype(np.int32)]
    page_start = np.searchsorted(page, np.arange(pages + 1)).astype(np.int32)
    of_ad, of_bidder = columns.pop("ad"), columns.pop("bidder")
    bids = Bids(
        **columns,  # type: ignore[arg-type]
        own_floor_micros=np.full(count, -1, np.int64),
        ecpm_micros=np.zeros(count, np.int64),
        price_micros=np.zeros(count, np.int64),
        reserved_micros=np.zeros(count, np.int64),
    )
    return BidRows(bids, of_ad, of_bidder, page_start, outside)  # type: ignore[arg-type]


@kernel
def _of_the_book(  # type: ignore[no-untyped-def]
    ad, item, offered, rates, item_currency, item_pricing, item_advertiser, ad_product, ad_category, item_account,
    item_campaign_account, item_bidder,
    rate, pricing, advertiser, product, category, account, campaign_account, outcome, bidder
):  # fmt: skip
    for row in range(ad.shape[0]):
        which = item[row]
        rate[row] = rates[item_currency[which]] if rates.shape[0] else 1.0
        pricing[row] = item_pricing[which]
        advertiser[row] = item_advertiser[which]
        product[row] = ad_product[ad[row]]
        category[row] = ad_category[ad[row]]
        account[row] = item_account[which]
        campaign_account[row] = item_campaign_account[which]
        bidder[row] = np.int32(item_bidder[which]) - 1
        outcome[row] = PENDING
        if rate[row] <= 0.0:
            outcome[row] = _WRONG_CURRENCY
        elif offered[row] <= 0:
            outcome[row] = _NOT_WORTH_BIDDING


def _outside_columns(snapshot: Snapshot, outside: Sequence[ScreenedBid]) -> dict[str, NDArray[np.generic]]:
    unknown: dict[str, int] = {}

    def number(known: Mapping[Any, int], word: str, kind: Kind | None = None) -> int:
        if not word:
            return -1
        if kind is not None:
            word = word.lower()
        row = known.get(word if kind is None else (kind, word))
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
