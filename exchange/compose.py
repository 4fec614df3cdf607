"""Steps 8 and 9: what is sent, and what is held? Winners become ads in answers, and reservations in the holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.consent import Permission
from exchange.answer import Ad, Answer, PlacementAnswer
from exchange.bidder_urls import bid_facts
from exchange.creatives import outside_facts
from exchange.creatives.composer import Composer
from exchange.creatives.pods import pods_of
from exchange.holds import WonBatch
from exchange.notice_urls import in_markup
from exchange.record import Held
from exchange.request import PricingModel
from exchange.session_impressions import session_key

_REMEMBER = int(Permission.REMEMBER)
_CPM = int(PricingModel.CPM)


def impression_id_of(auction_id: str, placement_index: int) -> str:
    """The id of the ad in one placement of one auction."""
    return f"{auction_id}.{placement_index}"


def compose(
    held: Held,
    auction_ids: Sequence[str],
    bidders: Sequence[str],
    no_ad_reason: NDArray[np.uint32],
    composer: Composer,
) -> list[Answer]:
    """One answer for each page view, in order."""
    rows, ads = held.rows, held.snapshot.ads
    winner = held.winners.tolist()
    reasons = no_ad_reason.tolist()
    ad_of = rows.ad[held.winners].tolist() if len(rows.ad) else winner
    price_of = rows.bids.price_micros[held.winners].tolist() if len(rows.ad) else winner
    bidder_of = rows.bidder[held.winners].tolist() if len(rows.ad) else winner
    worth_of = _worth(held).tolist() if len(rows.ad) else winner
    foreign = held.foreign
    deal_of = rows.bids.deal[held.winners].tolist() if len(rows.ad) else winner
    answers = []
    at = 0
    for view, auction_id in zip(held.views, auction_ids, strict=True):
        currency = view.currency or held.currency
        converts = foreign or currency != held.currency
        placements: list[PlacementAnswer] = []
        in_pods = False
        for index, placement in enumerate(view.placements):
            ad = None
            if placement.video is not None and placement.video.pod_id:
                in_pods = True
            if winner[at] >= 0:
                impression_id = impression_id_of(auction_id, index)
                row = ad_of[at]
                facts = ads[row] if row >= 0 else outside_facts(rows.outside[-1 - row].bid)
                markup = composer.markup(facts, placement.native, impression_id)
                price = price_of[at]
                if converts:
                    price = held.rates.down(price, held.own_currency(winner[at]), currency)
                if row < 0 and "${AUCTION_" in markup:
                    bid = rows.outside[-1 - row].bid
                    told = bid_facts(
                        bid, auction_id, bid.currency, test=view.test, outcome=0, price_micros=price_of[at]
                    )
                    markup = in_markup(markup, told)
                deal_id = placement.deals[deal_of[at]].deal_id if deal_of[at] >= 0 else ""
                ad = Ad(impression_id, facts, markup, price, bidders[bidder_of[at]], worth_of[at], deal_id, currency)
            placements.append(PlacementAnswer(placement.placement_id, ad, reasons[at]))
            at += 1
        pods = pods_of(view.placements, placements) if in_pods else ()
        for number, pod in enumerate(pods):
            composer.keep_video(f"{auction_id}.pod{number}", pod.markup)
        answers.append(Answer(auction_id, view.request_id, tuple(placements), pods=pods))
    return answers


def _worth(held: Held) -> NDArray[np.int64]:
    """What each winner's price comes to per thousand impressions in the auction's currency, rounded down: its eCPM by
    the part of its bid that it pays. Without meaning where nobody won.
    """
    bids, won = held.rows.bids, held.winners
    worth = bids.price_micros[won]
    (others,) = np.nonzero((bids.pricing[won] != _CPM) | (bids.rate[won] != 1.0))
    if len(others):
        rows = won[others]
        ecpm, bid = bids.ecpm_micros[rows], np.maximum(bids.bid_micros[rows], 1)
        # In floats, as the product of two amounts may leave 64 bits; a price of its whole bid is exact.
        worth[others] = np.minimum(np.floor(ecpm * (worth[others] / bid)), ecpm).astype(np.int64)
    return worth


def sold(held: Held, auction_ids: Sequence[str], bidders: Sequence[str]) -> WonBatch:
    """What was sold and is now held, in columns by sold placement. What a test sold has no account to reserve from."""
    (places,) = np.nonzero(held.winners >= 0)
    won = held.winners[places]
    rows, bids, book = held.rows, held.rows.bids, held.snapshot.book
    page = held.page_of_placement[places]
    ad = rows.ad[won]
    inside = ad >= 0
    item = book.ad_item[np.maximum(ad, 0)] if len(book.ad_item) else np.zeros(len(ad), np.int32)
    ads = held.snapshot.ads
    known = len(book.ad_item) > 0
    tests = frozenset(row for row, view in enumerate(held.views) if view.test)
    line_item_rows, campaign_rows = bids.account[won], bids.campaign_account[won]
    if tests:
        tested = np.isin(page, list(tests))
        line_item_rows, campaign_rows = (
            np.where(tested, -1, r).astype(np.int32) for r in (line_item_rows, campaign_rows)
        )
    pages = page.tolist()
    indices = (places - held.placement_start[page]).astype(np.int32)
    return WonBatch(
        held_at_ms=held.held_at_ms,
        currency=held.currency,
        auction_ids=list(auction_ids),
        visitor_ids=[view.visitor_id if view.permissions & _REMEMBER else "" for view in held.views],
        page_row=page.astype(np.int32),
        placement_index=indices,
        line_item_number=np.where(inside, book.item_number[item] if known else 0, 0).astype(np.uint32),
        campaign_number=np.where(inside, book.item_campaign[item] if known else 0, 0).astype(np.uint32),
        line_item_account_row=line_item_rows,
        campaign_account_row=campaign_rows,
        pricing_model=bids.pricing[won],
        price_micros=bids.price_micros[won],
        reserved_micros=bids.reserved_micros[won],
        bidder_index=rows.bidder[won],
        bidders=list(bidders),
        product_ids=[ads[row].product_id if row >= 0 else rows.outside[-1 - row].bid.product_id for row in ad.tolist()],
        outside_domains={
            entry: rows.outside[-1 - row].bid.advertiser_domain for entry, row in enumerate(ad.tolist()) if row < 0
        },
        currencies=_other_currencies(held, won) if held.foreign else {},
        session_keys=[session_key(view) for view in held.views],
        creative_number=np.where(inside, held.snapshot.ad_creative_number[np.maximum(ad, 0)] if known else 0, 0).astype(
            np.uint32
        ),
        placement_ids=[
            held.views[at].placements[index].placement_id for at, index in zip(pages, indices.tolist(), strict=True)
        ],
        publisher_ids=[view.publisher_id for view in held.views],
        test_pages=tests,
        billing_urls={
            entry: held.urls[row].billing
            for entry, row in enumerate(won.tolist())
            if row in held.urls and held.urls[row].billing
        }
        if held.urls
        else {},
    )


def _other_currencies(held: Held, won: NDArray[np.int32]) -> dict[int, str]:
    own = [held.own_currency(row) for row in won.tolist()]
    return {entry: code for entry, code in enumerate(own) if code != held.currency}
