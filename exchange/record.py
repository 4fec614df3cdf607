"""What goes into the event log? Every auction of the batch with every bid it met, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from exchange.bid_rows import BidRows
from exchange.bidder_urls import BidderUrls
from exchange.clearing_terms import ClearingTerms
from exchange.currencies import RateTable
from exchange.eligibility import CODES, REFUSED_RECORDED, Finalists
from exchange.floors import AppliedFloors
from exchange.inventory import Snapshot
from exchange.recorded_terms import recorded_terms
from exchange.refusals import NO_BIDS
from exchange.replay_inputs import replay_inputs
from exchange.request import PageView
from ranking.kernel_cache import kernel
from streams.auction_block import AuctionColumns, OutsideBid

_CODE_OF_INDEX = np.array(CODES, np.uint32)
_LOW = (1 << 64) - 1
_NO_ROWS = np.zeros(0, np.intp)
_OWN_FLOORS = AppliedFloors(np.zeros(0, np.int64), np.zeros(0, np.uint32), [])


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
    terms: ClearingTerms
    rates: RateTable
    # ISO 4217: what is compared and recorded is in it.
    currency: str
    # What outside bidders are to be told, by row of the bids.
    urls: Mapping[int, BidderUrls] = {}
    # Where rules or learned floors are in use.
    floors: AppliedFloors | None = None
    # Rows that clearing did not decide on: they had been refused.
    refused_before: NDArray[np.intp] = _NO_ROWS
    # The budget book's array as clearing left it; None where nobody is going to replay.
    available_micros: NDArray[np.int64] | None = None

    @property
    def foreign(self) -> bool:
        """Is any bid in another currency than the auction's?"""
        return any(code != self.currency for code in self.snapshot.currencies) or any(
            screened.bid.currency != self.currency for screened in self.rows.outside
        )

    def own_currency(self, row: int) -> str:
        """The currency of a bid, its price and its reservation."""
        ad = int(self.rows.ad[row])
        if ad < 0:
            return self.rows.outside[-1 - ad].bid.currency
        return self.snapshot.currencies[int(self.snapshot.item_currency[self.snapshot.book.ad_item[ad]])]


class Counted(msgspec.Struct):
    """What the bids of a batch came to.

    `no_ad_reason` (placements): for an unsold placement the code that most of its bids fell to, NO_BIDS without any; 0
    where it was sold. `outcomes` (CODES): how many bids had each outcome, their sum is all bids that came in.
    `bids_in` (page views). `more` (page views, CODES): bids that are counted and not recorded one by one.
    """

    no_ad_reason: NDArray[np.uint32]
    outcomes: NDArray[np.int64]
    bids_in: NDArray[np.uint32]
    more: NDArray[np.uint32]


def count(held: Held) -> Counted:
    """Count every bid of the batch once."""
    pages, placements = len(held.views), len(held.winners)
    counted = Counted(
        np.empty(placements, np.uint32),
        np.zeros(len(CODES), np.int64),
        np.zeros(pages, np.uint32),
        np.zeros((pages, len(CODES)), np.uint32),
    )
    bids, found = held.rows.bids, held.found
    _count(
        bids.placement, bids.outcome, found.refused_total, found.refused_count, found.refused_code,
        held.page_of_placement, held.winners, _CODE_OF_INDEX,
        counted.no_ad_reason, counted.outcomes, counted.bids_in, counted.more,
    )  # fmt: skip
    for page, code in held.loose:
        counted.outcomes[code] += 1
        counted.bids_in[page] += 1
        counted.more[page, code] += 1
    return counted


@kernel
def _count(  # type: ignore[no-untyped-def]
    placement_of, outcome_of, refused_total, refused_count, refused_code, page_of, winners, codes,
    no_ad_reason, outcomes, bids_in, more
):  # fmt: skip
    by_placement = refused_total.copy()
    for placement in range(winners.shape[0]):
        page = page_of[placement]
        for code in range(codes.shape[0]):
            total = refused_total[placement, code]
            outcomes[code] += total
            bids_in[page] += total
            more[page, code] += total
        # What is recorded by name is not counted among the rest.
        for at in range(refused_count[placement]):
            more[page, refused_code[placement, at]] -= np.uint32(1)
    for row in range(placement_of.shape[0]):
        by_placement[placement_of[row], outcome_of[row]] += 1
        outcomes[outcome_of[row]] += 1
        bids_in[page_of[placement_of[row]]] += np.uint32(1)
    for placement in range(winners.shape[0]):
        if winners[placement] >= 0:
            no_ad_reason[placement] = 0
            continue
        most = 0
        for code in range(1, codes.shape[0]):
            if by_placement[placement, code] > by_placement[placement, most] or (
                most == 0 and by_placement[placement, code] > 0
            ):
                most = code
        no_ad_reason[placement] = codes[most] if most > 0 else NO_BIDS


def columns_of(
    held: Held,
    counted: Counted,
    *,
    model_version: str,
    bidders: list[str],
    engagement_value_micros: int = 0,
    squashing: float = 1.0,
    conversion_rate: float = 0.0,
) -> AuctionColumns:
    """The batch as the columns of AuctionsHeld: cleared bids first, then the refused ones that were kept by name."""
    rows, bids, found, snapshot = held.rows, held.rows.bids, held.found, held.snapshot
    book = snapshot.book
    cleared = len(bids.placement)
    total = cleared + int(found.refused_count.sum())
    u32, i64 = np.uint32, np.int64
    placement, line_item, creative, bidder, outcome = (np.empty(total, u32) for _ in range(5))
    bid, ecpm, price, reserved = (np.empty(total, i64) for _ in range(4))
    chance = np.empty(total, np.float32)
    _fill(
        bids.placement, bids.bid_micros, bids.click_probability, bids.ecpm_micros, bids.price_micros,
        bids.reserved_micros, bids.outcome, rows.ad, rows.bidder,
        found.refused_count, found.refused_ad, found.refused_code,
        book.ad_item, book.ad_worth, book.item_number, book.item_bid, book.item_bidder, snapshot.ad_creative_number,
        _CODE_OF_INDEX,
        placement, line_item, creative, bidder, outcome, bid, ecpm, price, reserved, chance,
    )  # fmt: skip
    more_page, more_code = np.nonzero(counted.more)
    floors = held.floors or _OWN_FLOORS
    numbers, views = held.auction_numbers, held.views
    publisher_name, placement_name, names = seller_names(views)
    return AuctionColumns(
        held_at_ms=held.held_at_ms,
        snapshot_sequence=snapshot.sequence,
        model_version=model_version,
        currency=held.currency,
        auction_id_high=np.array([number >> 64 for number in numbers], np.uint64),
        auction_id_low=np.array([number & _LOW for number in numbers], np.uint64),
        permissions=np.array([view.permissions for view in views], u32),
        placement_count=np.array([len(view.placements) for view in views], u32),
        bids_in=counted.bids_in,
        price_rule=np.array([view.price_rule for view in views], u32),
        page_view=[view.wire for view in views],
        winner_row_plus_one=(held.winners + 1).astype(u32),
        no_ad_reason=counted.no_ad_reason,
        bid_placement=placement,
        bid_line_item=line_item,
        bid_creative=creative,
        bid_bidder=bidder,
        bid_micros=bid,
        bid_outcome=outcome,
        bid_click_probability=chance,
        bid_ecpm_micros=ecpm,
        bid_price_micros=price,
        bid_reserved_micros=reserved,
        more_page_view=more_page.astype(u32),
        more_outcome=_CODE_OF_INDEX[more_code],
        more_count=counted.more[more_page, more_code],
        bidders=bidders,
        engagement_value_micros=engagement_value_micros,
        squashing=squashing,
        conversion_rate=conversion_rate,
        **replay_inputs(held, line_item, creative),
        **recorded_terms(
            held, total, lambda: found.refused_ad[np.arange(REFUSED_RECORDED) < found.refused_count[:, None]]
        ),
        outside_bids=[_outside(row, held) for row in np.nonzero(rows.ad < 0)[0].tolist()] if rows.outside else [],
        test_page_view=np.array([page for page, view in enumerate(views) if view.test], u32),
        publisher_name=publisher_name,
        placement_name=placement_name,
        names=names,
        floor_rule=floors.rule,
        floor_rules=floors.names,
    )


def seller_names(views: Sequence[PageView]) -> tuple[NDArray[np.uint32], NDArray[np.uint32], list[str]]:
    """Who sells and where, for the log: (by page view, by placement) as indices into the names, each name once."""
    index: dict[str, int] = {}
    number = index.setdefault
    publishers = [number(view.publisher_id, len(index)) for view in views]
    placements = [number(placement.placement_id, len(index)) for view in views for placement in view.placements]
    return np.array(publishers, np.uint32), np.array(placements, np.uint32), list(index)


@kernel
def _fill(  # type: ignore[no-untyped-def]
    of_placement, of_bid, of_chance, of_ecpm, of_price, of_reserved, of_outcome, of_ad, of_bidder,
    refused_count, refused_ad, refused_code,
    ad_item, ad_worth, item_number, item_bid, item_bidder, creative_number, codes,
    placement, line_item, creative, bidder, outcome, bid, ecpm, price, reserved, chance
):  # fmt: skip
    at = 0
    for row in range(of_placement.shape[0]):
        ad = of_ad[row]
        placement[at] = of_placement[row]
        # 0 stands for an outside bid.
        line_item[at] = item_number[ad_item[ad]] if ad >= 0 else 0
        creative[at] = creative_number[ad] if ad >= 0 else 0
        bidder[at] = of_bidder[row]
        outcome[at] = codes[of_outcome[row]]
        bid[at] = of_bid[row]
        ecpm[at] = of_ecpm[row]
        price[at] = of_price[row]
        reserved[at] = of_reserved[row]
        chance[at] = of_chance[row]
        at += 1
    for place in range(refused_count.shape[0]):
        for index in range(refused_count[place]):
            ad = refused_ad[place, index]
            item = ad_item[ad]
            placement[at] = place
            line_item[at] = item_number[item]
            creative[at] = creative_number[ad]
            bidder[at] = item_bidder[item] - 1
            outcome[at] = codes[refused_code[place, index]]
            bid[at] = item_bid[item]
            ecpm[at] = ad_worth[ad]
            price[at] = 0
            reserved[at] = 0
            chance[at] = 0.0
            at += 1


_NO_URLS = BidderUrls()


def _outside(row: int, held: Held) -> OutsideBid:
    rows, urls = held.rows, held.urls.get(row, _NO_URLS)
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
        win_url=urls.win,
        billing_url=urls.billing,
        loss_url=urls.loss,
        seat=bid.seat[:64],
    )
