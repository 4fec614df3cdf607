"""Steps 8 and 9: what is sent, and what is held? Winners become ads in answers, and reservations in the holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.consent import Permission
from exchange.answer import Ad, Answer, PlacementAnswer
from exchange.bidder_urls import MinToWin, bid_facts
from exchange.creatives import outside_facts
from exchange.creatives.composer import Composer
from exchange.creatives.formats import VIDEO_MTYPE
from exchange.creatives.markup_store import pod_key
from exchange.creatives.pods import pods_of
from exchange.kept_answer import impression_id_of
from exchange.notice_urls import in_markup
from exchange.record import Held
from exchange.request import PricingModel
from exchange.session_impressions import session_key
from exchange.won_batch import WonBatch
from ranking.kernel_cache import kernel

_REMEMBER = int(Permission.REMEMBER)
_CPM = int(PricingModel.CPM)


def compose(
    held: Held,
    auction_ids: Sequence[str],
    bidders: Sequence[str],
    no_ad_reason: NDArray[np.uint32],
    composer: Composer,
    min_to_win: MinToWin = lambda rows: [0] * len(rows),
) -> list[Answer]:
    """One answer for each page view, in order; `min_to_win` is asked for markup that tells of it."""
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
                    least = min_to_win([winner[at]])[0] if "${AUCTION_MIN_TO_WIN" in markup else 0
                    told = bid_facts(
                        bid, auction_id, bid.currency, test=view.test, outcome=0, price_micros=price_of[at],
                        min_to_win_micros=least or None,
                    )  # fmt: skip
                    markup = in_markup(markup, told)
                    if facts.mtype == VIDEO_MTYPE:
                        # What players fetch is what is answered.
                        composer.keep_video(impression_id, markup)
                deal_id = placement.deals[deal_of[at]].deal_id if deal_of[at] >= 0 else ""
                ad = Ad(
                    impression_id, facts, markup, price, bidders[bidder_of[at]], worth_of[at], deal_id, currency,
                    composer.product_price_micros(facts.product_id),
                )  # fmt: skip
            placements.append(PlacementAnswer(placement.placement_id, ad, reasons[at]))
            at += 1
        pods = pods_of(view.placements, placements) if in_pods else ()
        for number, pod in enumerate(pods):
            composer.keep_video(pod_key(auction_id, number), pod.markup)
        answers.append(Answer(auction_id, view.request_id, tuple(placements), pods=pods))
    return answers


def _worth(held: Held) -> NDArray[np.int64]:
    """What each winner's price comes to per thousand impressions in the auction's currency, rounded down: its eCPM by
    the part of its bid that it pays. Without meaning where nobody won.
    """
    bids, worth = held.rows.bids, np.zeros(len(held.winners), np.int64)
    _in_micros(
        held.winners, bids.price_micros, bids.pricing, bids.rate, bids.ecpm_micros, bids.bid_micros, worth
    )  # fmt: skip
    return worth


@kernel
def _in_micros(winners, price, pricing, rate, ecpm, bid, worth):  # type: ignore[no-untyped-def]
    for place in range(winners.shape[0]):
        row = winners[place]
        if row < 0:
            continue
        worth[place] = price[row]
        if pricing[row] != _CPM or rate[row] != 1.0:
            # In floats, as the product of two amounts may leave 64 bits; a price of its whole bid is exact.
            part = np.float64(price[row]) / np.float64(max(bid[row], 1))
            worth[place] = np.int64(min(np.floor(np.float64(ecpm[row]) * part), np.float64(ecpm[row])))


def sold(held: Held, auction_ids: Sequence[str], bidders: Sequence[str]) -> WonBatch:
    """What was sold and is now held, in columns by sold placement. What a test sold has no account to reserve from."""
    won = held.winners[held.winners >= 0]
    rows, bids, book, ads = held.rows, held.rows.bids, held.snapshot.book, held.snapshot.ads
    ad = rows.ad[won]
    page, index, item_row, campaign_row, bidder = (np.empty(len(won), np.int32) for _ in range(5))
    line_item, campaign, creative = (np.empty(len(won), np.uint32) for _ in range(3))
    _fill(
        held.winners, held.page_of_placement, held.placement_start, rows.ad, rows.bidder, bids.account,
        bids.campaign_account, book.ad_item, book.item_number, book.item_campaign, held.snapshot.ad_creative_number,
        page, index, item_row, campaign_row, bidder, line_item, campaign, creative,
    )  # fmt: skip
    tests = frozenset(row for row, view in enumerate(held.views) if view.test)
    if tests:
        tested = np.isin(page, list(tests))
        item_row[tested] = campaign_row[tested] = -1
    pages = page.tolist()
    return WonBatch(
        held_at_ms=held.held_at_ms,
        currency=held.currency,
        auction_ids=list(auction_ids),
        visitor_ids=[view.visitor_id if view.permissions & _REMEMBER else "" for view in held.views],
        page_row=page,
        placement_index=index,
        line_item_number=line_item,
        campaign_number=campaign,
        line_item_account_row=item_row,
        campaign_account_row=campaign_row,
        pricing_model=bids.pricing[won],
        price_micros=bids.price_micros[won],
        reserved_micros=bids.reserved_micros[won],
        bidder_index=bidder,
        bidders=list(bidders),
        product_ids=[ads[row].product_id if row >= 0 else rows.outside[-1 - row].bid.product_id for row in ad.tolist()],
        outside_domains={
            entry: rows.outside[-1 - row].bid.advertiser_domain for entry, row in enumerate(ad.tolist()) if row < 0
        },
        currencies=_other_currencies(held, won) if held.foreign else {},
        session_keys=[session_key(view) for view in held.views],
        creative_number=creative,
        placement_ids=[
            held.views[at].placements[which].placement_id for at, which in zip(pages, index.tolist(), strict=True)
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


@kernel
def _fill(  # type: ignore[no-untyped-def]
    winners, page_of, placement_start, of_ad, of_bidder, of_account, of_campaign_account,
    ad_item, item_number, item_campaign, creative_number,
    page, index, item_row, campaign_row, bidder, line_item, campaign, creative
):  # fmt: skip
    at = 0
    for place in range(winners.shape[0]):
        row = winners[place]
        if row < 0:
            continue
        page[at] = page_of[place]
        index[at] = place - placement_start[page_of[place]]
        item_row[at] = of_account[row]
        campaign_row[at] = of_campaign_account[row]
        bidder[at] = of_bidder[row]
        ad = of_ad[row]
        # An outside bid is of no line item.
        line_item[at] = item_number[ad_item[ad]] if ad >= 0 else 0
        campaign[at] = item_campaign[ad_item[ad]] if ad >= 0 else 0
        creative[at] = creative_number[ad] if ad >= 0 else 0
        at += 1


def _other_currencies(held: Held, won: NDArray[np.int32]) -> dict[int, str]:
    own = [held.own_currency(row) for row in won.tolist()]
    return {entry: code for entry, code in enumerate(own) if code != held.currency}
