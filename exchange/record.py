"""What goes into the event log? Every auction of the batch with every bid it met, as columns."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from exchange.bid_rows import BidRows
from exchange.eligibility import CODES, REFUSED_RECORDED, Finalists
from exchange.inventory import Snapshot
from exchange.refusals import NO_BIDS
from exchange.request import PageView
from streams.auction_block import AuctionColumns, OutsideBid

_CODE_OF_INDEX = np.array(CODES, np.uint32)
_LOW = (1 << 64) - 1


class Held(msgspec.Struct):
    """A batch that was decided: what the record, the holds and the metrics are made of."""

    held_at_ms: int
    snapshot: Snapshot
    auction_numbers: Sequence[int]
    views: Sequence[PageView]
    placement_start: NDArray[np.int32]
    page_of_placement: NDArray[np.int32]
    found: Finalists
    rows: BidRows
    winners: NDArray[np.int32]
    # (page view, index into CODES) of bids without a row: outside bidders that were late or failed, bids gone astray.
    loose: list[tuple[int, int]]


def no_ad_reasons(held: Held) -> NDArray[np.uint32]:
    """For each unsold placement the code that most of its bids fell to, NO_BIDS without any; 0 where it was sold."""
    counts = held.found.refused_total.copy()
    np.add.at(counts, (held.rows.bids.placement, held.rows.bids.outcome), 1)
    counts[:, 0] = 0
    reasons: NDArray[np.uint32] = _CODE_OF_INDEX[np.argmax(counts, axis=1)]
    reasons[counts.sum(axis=1) == 0] = NO_BIDS
    reasons[held.winners >= 0] = 0
    return reasons


def outcome_counts(held: Held) -> NDArray[np.int64]:
    """How many bids of the batch had each outcome, by index into CODES; their sum is all bids that came in."""
    counts = np.bincount(held.rows.bids.outcome, minlength=len(CODES)).astype(np.int64)
    counts += held.found.refused_total.sum(axis=0, dtype=np.int64)
    for _, code in held.loose:
        counts[code] += 1
    return counts


def columns_of(
    held: Held, no_ad_reason: NDArray[np.uint32], *, model_version: str, currency: str, bidders: list[str]
) -> AuctionColumns:
    """The batch as the columns of AuctionsHeld: cleared bids first, then the refused ones that were kept by name."""
    rows, bids, found, book = held.rows, held.rows.bids, held.found, held.snapshot.book
    pages = len(held.views)
    cleared = len(bids.placement)

    kept = np.arange(REFUSED_RECORDED) < found.refused_count[:, None]
    refused_ad = found.refused_ad[kept]
    refused_code = found.refused_code[kept]
    refused_placement = np.repeat(np.arange(len(found.refused_count)), found.refused_count)
    inside = rows.ad >= 0
    ad = np.concatenate([np.where(inside, rows.ad, 0), refused_ad])
    item = book.ad_item[ad] if len(book.ad_item) else np.zeros(len(ad), np.int32)
    known = np.concatenate([inside, np.ones(len(refused_ad), np.bool_)])
    line_item = np.where(known, book.item_number[item], 0) if len(book.ad_item) else np.zeros(len(ad), np.uint32)
    creative = np.where(known, held.snapshot.ad_creative_number[ad], 0) if len(book.ad_item) else line_item

    more_totals = found.refused_total.copy()
    np.subtract.at(more_totals, (refused_placement, refused_code), 1)
    more = np.zeros((pages, len(CODES)), np.int64)
    np.add.at(more, held.page_of_placement, more_totals)
    for page, code in held.loose:
        more[page, code] += 1
    more_page, more_code = np.nonzero(more)

    bids_in = more.sum(axis=1)
    bids_in += np.bincount(held.page_of_placement[bids.placement], minlength=pages)
    bids_in += np.bincount(held.page_of_placement[refused_placement], minlength=pages)

    nothing = np.zeros(len(refused_ad))
    standing = book.item_bid[item[cleared:]] if len(refused_ad) else np.zeros(0, np.int64)
    numbers = held.auction_numbers
    return AuctionColumns(
        held_at_ms=held.held_at_ms,
        snapshot_sequence=held.snapshot.sequence,
        model_version=model_version,
        currency=currency,
        auction_id_high=np.array([number >> 64 for number in numbers], np.uint64),
        auction_id_low=np.array([number & _LOW for number in numbers], np.uint64),
        permissions=np.array([view.permissions for view in held.views], np.uint32),
        placement_count=np.diff(held.placement_start).astype(np.uint32),
        bids_in=bids_in.astype(np.uint32),
        price_rule=np.array([view.price_rule for view in held.views], np.uint32),
        page_view=[view.wire for view in held.views],
        winner_row_plus_one=(held.winners + 1).astype(np.uint32),
        no_ad_reason=no_ad_reason.astype(np.uint32),
        bid_placement=np.concatenate([bids.placement, refused_placement]).astype(np.uint32),
        bid_line_item=line_item.astype(np.uint32),
        bid_creative=creative.astype(np.uint32),
        bid_bidder=np.concatenate([rows.bidder, book.item_bidder[item[cleared:]].astype(np.int32) - 1]).astype(
            np.uint32
        ),
        bid_micros=np.concatenate([bids.bid_micros, standing]),
        bid_outcome=_CODE_OF_INDEX[np.concatenate([bids.outcome, refused_code])],
        bid_click_probability=np.concatenate([bids.click_probability, nothing]).astype(np.float32),
        bid_ecpm_micros=np.concatenate([bids.ecpm_micros, book.ad_worth[refused_ad]]),
        bid_price_micros=np.concatenate([bids.price_micros, nothing.astype(np.int64)]),
        bid_reserved_micros=np.concatenate([bids.reserved_micros, nothing.astype(np.int64)]),
        more_page_view=more_page.astype(np.uint32),
        more_outcome=_CODE_OF_INDEX[more_code],
        more_count=more[more_page, more_code].astype(np.uint32),
        bidders=bidders,
        outside_bids=[_outside(row, rows) for row in np.nonzero(~inside)[0].tolist()],
    )


def _outside(row: int, rows: BidRows) -> OutsideBid:
    bid = rows.outside[-1 - int(rows.ad[row])].bid
    # What was refused as malformed may be of any length; the log keeps the beginning.
    return OutsideBid(
        row=row,
        bid_id=bid.bid_id[:64],
        advertiser_domain=bid.advertiser_domain[:253],
        creative_id=bid.creative_id[:64],
        category=bid.category[:64],
        product_id=bid.product_id[:64],
        currency=bid.currency[:3],
    )
