"""Steps 8 and 9: what is sent, and what is held? Winners become ads in answers, and reservations in the holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.consent import Permission
from exchange.answer import Ad, Answer, PlacementAnswer
from exchange.creatives import outside_facts, with_impression
from exchange.holds import WonBatch
from exchange.record import Held

_REMEMBER = int(Permission.REMEMBER)


def impression_id_of(auction_id: str, placement_index: int) -> str:
    """The id of the ad in one placement of one auction."""
    return f"{auction_id}.{placement_index}"


def compose(
    held: Held, auction_ids: Sequence[str], bidders: Sequence[str], no_ad_reason: NDArray[np.uint32]
) -> list[Answer]:
    """One answer for each page view, in order."""
    rows, ads = held.rows, held.snapshot.ads
    winner = held.winners.tolist()
    reasons = no_ad_reason.tolist()
    ad_of = rows.ad[held.winners].tolist() if len(rows.ad) else winner
    price_of = rows.bids.price_micros[held.winners].tolist() if len(rows.ad) else winner
    bidder_of = rows.bidder[held.winners].tolist() if len(rows.ad) else winner
    answers = []
    at = 0
    for view, auction_id in zip(held.views, auction_ids, strict=True):
        placements = []
        for index, placement in enumerate(view.placements):
            ad = None
            if winner[at] >= 0:
                impression_id = impression_id_of(auction_id, index)
                row = ad_of[at]
                facts = ads[row] if row >= 0 else outside_facts(rows.outside[-1 - row].bid)
                markup = with_impression(facts.markup, impression_id)
                ad = Ad(impression_id, facts, markup, price_of[at], bidders[bidder_of[at]])
            placements.append(PlacementAnswer(placement.placement_id, ad, reasons[at]))
            at += 1
        answers.append(Answer(auction_id, view.request_id, tuple(placements)))
    return answers


def sold(held: Held, auction_ids: Sequence[str], bidders: Sequence[str], currency: str) -> WonBatch:
    """What was sold and is now held, in columns by sold placement."""
    (places,) = np.nonzero(held.winners >= 0)
    won = held.winners[places]
    rows, bids, book = held.rows, held.rows.bids, held.snapshot.book
    page = held.page_of_placement[places]
    ad = rows.ad[won]
    inside = ad >= 0
    item = book.ad_item[np.maximum(ad, 0)] if len(book.ad_item) else np.zeros(len(ad), np.int32)
    ads = held.snapshot.ads
    known = len(book.ad_item) > 0
    return WonBatch(
        held_at_ms=held.held_at_ms,
        currency=currency,
        auction_ids=list(auction_ids),
        visitor_ids=[view.visitor_id if view.permissions & _REMEMBER else "" for view in held.views],
        page_row=page.astype(np.int32),
        placement_index=(places - held.placement_start[page]).astype(np.int32),
        line_item_number=np.where(inside, book.item_number[item] if known else 0, 0).astype(np.uint32),
        campaign_number=np.where(inside, book.item_campaign[item] if known else 0, 0).astype(np.uint32),
        line_item_account_row=bids.account[won],
        campaign_account_row=bids.campaign_account[won],
        pricing_model=bids.pricing[won],
        price_micros=bids.price_micros[won],
        reserved_micros=bids.reserved_micros[won],
        bidder_index=rows.bidder[won],
        bidders=list(bidders),
        product_ids=[ads[row].product_id if row >= 0 else rows.outside[-1 - row].bid.product_id for row in ad.tolist()],
        outside_domains={
            entry: rows.outside[-1 - row].bid.advertiser_domain for entry, row in enumerate(ad.tolist()) if row < 0
        },
        publisher_ids=[view.publisher_id for view in held.views],
        placement_ids=[
            held.views[at].placements[index].placement_id
            for at, index in zip(page.tolist(), (places - held.placement_start[page]).tolist(), strict=True)
        ],
    )
