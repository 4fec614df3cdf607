"""Records of the log as a busy exchange writes them, made up from a seed: batches of auctions, and of notices."""

from __future__ import annotations

import numpy as np

from common.ids import new_ids, text_of
from exchange.billing import Kind, Verdict
from exchange.report_counts import HOUR_MS
from streams.auction_block import AuctionColumns, OutsideBid
from streams.schemas import NoticesTaken, NoticeTaken

NOW = 1_700_000_000_000 // HOUR_MS * HOUR_MS
U32, I64 = np.uint32, np.int64


def auctions(pages: int, chance: np.random.Generator, at_ms: int = NOW, tests: tuple[int, ...] = ()) -> AuctionColumns:
    """Page views with two placements each and random bids; every third page has bids that are only counted."""
    numbers = new_ids(pages, at_ms)
    count = pages * 8
    place = np.sort(chance.integers(0, 2 * pages, count)).astype(U32)
    outcome = chance.choice([0, 100, 102, 1000], count).astype(U32)
    item = chance.integers(0, 5, count).astype(U32)
    return AuctionColumns(
        held_at_ms=at_ms, snapshot_sequence=1, model_version="prior", currency="EUR",
        auction_id_high=np.array([n >> 64 for n in numbers], np.uint64),
        auction_id_low=np.array([n & (1 << 64) - 1 for n in numbers], np.uint64),
        permissions=np.zeros(pages, U32), placement_count=np.full(pages, 2, U32), bids_in=np.zeros(pages, U32),
        price_rule=np.ones(pages, U32), page_view=[b""] * pages,
        winner_row_plus_one=np.zeros(2 * pages, U32), no_ad_reason=np.zeros(2 * pages, U32),
        bid_placement=place, bid_line_item=item, bid_creative=item * 10,
        bid_bidder=np.where(item == 0, 1, 0).astype(U32),
        bid_micros=np.ones(count, I64), bid_outcome=outcome, bid_click_probability=np.zeros(count, np.float32),
        bid_ecpm_micros=np.ones(count, I64), bid_price_micros=np.zeros(count, I64),
        bid_reserved_micros=np.zeros(count, I64),
        more_page_view=np.arange(0, pages, 3, dtype=U32), more_outcome=np.full(-(-pages // 3), 1001, U32),
        more_count=np.full(-(-pages // 3), 7, U32), bidders=["inside", "acme"],
        outside_bids=[
            OutsideBid(row, "", f"d{row % 2}.example", "", "", "", "") for row in np.nonzero(item == 0)[0].tolist()
        ],
        test_page_view=np.array(tests, U32), publisher_name=(np.arange(pages) % 2).astype(U32), names=["p0", "p1"],
    )  # fmt: skip


def notices(count: int, chance: np.random.Generator, at_ms: int = NOW) -> NoticesTaken:
    """Impressions, clicks and conversions of forty line items of twenty campaigns, some of them doubles."""
    taken = []
    for number in new_ids(count, at_ms):
        kind = (Kind.IMPRESSION, Kind.CLICK, Kind.CONVERSION)[int(chance.choice(3, p=(0.8, 0.15, 0.05)))]
        item = int(chance.integers(1, 41))
        verdict = Verdict.DUPLICATE if chance.random() < 0.05 else Verdict.ACCEPTED
        taken.append(
            NoticeTaken(
                int(kind),
                text_of(number),
                int(verdict),
                line_item_number=item,
                campaign_number=(item + 1) // 2,
                billed_micros=int(chance.integers(1, 5_000)) if verdict == Verdict.ACCEPTED else 0,
                currency="EUR",
                placement_id=f"place-{item % 3}",
                publisher_id="p0",
                creative_number=item * 10,
            )
        )
    return NoticesTaken(at_ms, tuple(taken))
