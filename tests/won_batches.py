"""What does a batch of auctions look like that sold this and that? Builders for tests of money."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.ids import new_ids, text_of
from common.money import reserve_for_impression
from exchange.budgets import BudgetBook
from exchange.ports import CAMPAIGN_ACCOUNTS
from exchange.recovery import Facts
from exchange.request import PricingModel
from exchange.won_batch import WonBatch
from streams.auction_block import AuctionColumns, OutsideBid


class Sold(msgspec.Struct, frozen=True):
    """One placement that was sold; line item 0 is an outside bid."""

    line_item: int
    price_micros: int
    pricing: PricingModel = PricingModel.CPM
    page: int = 0
    index: int = 0


def campaign_of(line_item: int) -> int:
    """Three line items to a campaign."""
    return (line_item + 2) // 3


def pricing_of(line_item: int) -> PricingModel:
    """Line items of each pricing model in turn; every sixth pays for what is in view."""
    return PricingModel.VCPM if line_item % 6 == 0 else PricingModel(line_item % 3 + 1)


FACTS = Facts(
    campaign_of=campaign_of,
    pricing_model_of=pricing_of,
    product_of=lambda creative: f"product-{creative}",
    visitor_of=lambda page_view: page_view.decode(),
    placements_of=lambda _: [f"place-{index}" for index in range(32)],
)


def by_the_thousand(kind: int, pricing: PricingModel) -> bool:
    """Is this the notice by which an ad is one of the thousand that its price is for?"""
    return (kind, pricing) in ((1, PricingModel.CPM), (4, PricingModel.VCPM))


def reserve_of(sold: Sold) -> int:
    """What an auction reserves: every second in view, a click in twenty, a conversion in two hundred."""
    if not sold.line_item:
        return 0
    if sold.pricing == PricingModel.CPM:
        return reserve_for_impression(sold.price_micros)
    if sold.pricing == PricingModel.VCPM:
        return max(1, math.ceil(sold.price_micros / 2000))
    return max(1, math.ceil(sold.price_micros / (20 if sold.pricing == PricingModel.CPC else 200)))


def reserve(book: BudgetBook, sold: Sold) -> bool:
    """As the clearing kernel does: out of both accounts or of neither."""
    if not sold.line_item:
        return True
    micros = reserve_of(sold)
    rows = [book.row_of(sold.line_item), book.row_of(CAMPAIGN_ACCOUNTS + campaign_of(sold.line_item))]
    if any(book.available[row] < micros for row in rows):
        return False
    for row in rows:
        book.available[row] -= micros
    return True


def a_batch(
    book: BudgetBook, held_at_ms: int, sold: Sequence[Sold], visitor_id: str = ""
) -> tuple[WonBatch, list[str]]:
    """(the batch, the impression ids in the order of `sold`); `reserve` was called for each."""
    in_order, sold = sold, sorted(sold, key=lambda entry: (entry.page, entry.index))
    pages = max((entry.page for entry in sold), default=-1) + 1
    auction_ids = [text_of(number) for number in new_ids(pages, held_at_ms)]

    def rows(base: int) -> NDArray[np.int32]:
        accounts = [base + campaign_of(s.line_item) if base else s.line_item for s in sold]
        return np.array([book.row_of(a) if s.line_item else -1 for a, s in zip(accounts, sold, strict=True)], np.int32)

    batch = WonBatch(
        held_at_ms=held_at_ms,
        currency="EUR",
        auction_ids=auction_ids,
        visitor_ids=[visitor_id] * pages,
        page_row=np.array([s.page for s in sold], np.int32),
        placement_index=np.array([s.index for s in sold], np.int32),
        line_item_number=np.array([s.line_item for s in sold], np.uint32),
        campaign_number=np.array([campaign_of(s.line_item) if s.line_item else 0 for s in sold], np.uint32),
        line_item_account_row=rows(0),
        campaign_account_row=rows(CAMPAIGN_ACCOUNTS),
        pricing_model=np.array([s.pricing for s in sold], np.uint8),
        price_micros=np.array([s.price_micros for s in sold], np.int64),
        reserved_micros=np.array([reserve_of(s) for s in sold], np.int64),
        bidder_index=np.array([0 if s.line_item else 1 for s in sold], np.int32),
        bidders=["brand_campaign", "outside"],
        product_ids=[f"product-{s.line_item}" if s.line_item else "" for s in sold],
        outside_domains={at: "shop.example" for at, s in enumerate(sold) if not s.line_item},
        creative_number=np.array([s.line_item for s in sold], np.uint32),
        placement_ids=[f"place-{s.index}" for s in sold],
        publisher_ids=["publisher"] * pages,
        billing_urls={
            at: f"https://bidder.example/burl?i={auction_ids[s.page]}.{s.index}&t=${{AUCTION_IMP_TS}}"
            for at, s in enumerate(sold)
            if not s.line_item
        },
    )
    return batch, [f"{auction_ids[s.page]}.{s.index}" for s in in_order]


def columns_of(batch: WonBatch) -> AuctionColumns:
    """The record of a batch; every page view has as many placements as its last sold one, and a lost bid in front."""
    pages = len(batch.auction_ids)
    counts = np.zeros(pages, np.uint32)
    np.maximum.at(counts, batch.page_row, batch.placement_index.astype(np.uint32) + 1)
    starts = np.cumsum(counts) - counts
    placement = (starts[batch.page_row] + batch.placement_index).astype(np.uint32)
    winners = np.zeros(int(counts.sum()), np.uint32)
    winners[placement] = np.arange(len(placement), dtype=np.uint32) + 2
    numbers = [int(auction_id, 16) for auction_id in batch.auction_ids]

    def bids(column: NDArray[np.generic], dtype: type[np.generic]) -> NDArray[np.generic]:
        return np.concatenate([np.zeros(1, dtype), column.astype(dtype)])

    count = len(placement) + 1
    return AuctionColumns(
        held_at_ms=batch.held_at_ms,
        snapshot_sequence=1,
        model_version="prior",
        currency=batch.currency,
        auction_id_high=np.array([number >> 64 for number in numbers], np.uint64),
        auction_id_low=np.array([number & (1 << 64) - 1 for number in numbers], np.uint64),
        permissions=np.array([1 if visitor else 0 for visitor in batch.visitor_ids], np.uint32),
        placement_count=counts,
        bids_in=counts,
        price_rule=np.ones(pages, np.uint32),
        page_view=[visitor.encode() for visitor in batch.visitor_ids],
        winner_row_plus_one=winners,
        no_ad_reason=np.zeros(len(winners), np.uint32),
        bid_placement=bids(placement, np.uint32),  # type: ignore[arg-type]
        bid_line_item=bids(batch.line_item_number, np.uint32),  # type: ignore[arg-type]
        bid_creative=bids(batch.line_item_number, np.uint32),  # type: ignore[arg-type]
        bid_bidder=bids(batch.bidder_index, np.uint32),  # type: ignore[arg-type]
        bid_micros=bids(batch.price_micros, np.int64),  # type: ignore[arg-type]
        bid_outcome=np.zeros(count, np.uint32),
        bid_click_probability=np.zeros(count, np.float32),
        bid_ecpm_micros=np.zeros(count, np.int64),
        bid_price_micros=bids(batch.price_micros, np.int64),  # type: ignore[arg-type]
        bid_reserved_micros=bids(batch.reserved_micros, np.int64),  # type: ignore[arg-type]
        bidders=batch.bidders,
        outside_bids=[
            OutsideBid(entry + 1, "", domain, "", "", "", "", billing_url=batch.billing_urls.get(entry, ""))
            for entry, domain in batch.outside_domains.items()
        ],
        publisher_name=np.zeros(pages, np.uint32),
        names=["publisher"],
    )
