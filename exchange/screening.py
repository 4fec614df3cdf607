"""Step 6: may this bid take part? Outside bids are believed in nothing; inside ones passed these rules in the walk."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.money import ABSURD_PRICE_MICROS
from exchange.bidding import OutsideAnswer, OutsideBid
from exchange.creatives.formats import of_offered_type
from exchange.creatives.outside_markup import duration_in, refusal_of_markup
from exchange.currencies import BUILT_IN, RateTable, bid_rate
from exchange.eligibility import CODE_INDEX
from exchange.notice_urls import can_be_called
from exchange.placement_asks import is_flexible_fit
from exchange.refusals import Refusal
from exchange.request import Deal, Format, PageView, Placement
from exchange.traits import VideoForm, advertiser_words, banner_types, is_secure, refusal_of_traits, traits_of

MARKUP_LIMIT_BYTES = 64 * 1024
# Of each bidder for each placement (OpenRTB 2.6 §7.3: several bids under deals, some in the open); its best ones count.
DEAL_BIDS_EACH = 4
OPEN_BIDS_EACH = 4
_LISTS_LIMIT = 32
_DOMAIN = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_NAME_LIMIT = 64
# VAST 4.2 §3.8.2 and §3.9.1, as far as a bid leaves them unsaid.
_MEDIA_TYPE = re.compile(r"<MediaFile\b[^>]*?\btype\s*=\s*[\"']([^\"']{1,64})[\"']", re.IGNORECASE)
_SKIPPABLE = re.compile(r"<Linear\b[^>]*?\bskipoffset\b", re.IGNORECASE)


class ScreenedBid(msgspec.Struct, frozen=True):
    """An outside bid with its placement (index in the batch) and WON (0) for "may take part", or its refusal.

    `deal` is the index of the deal it names among those of its placement, -1 for an open bid; `rate` is what one micro
    of its currency is in micros of the auction's.
    """

    bidder: int
    placement_row: int
    bid: OutsideBid
    refusal: Refusal
    deal: int = -1
    rate: float = 1.0


class Screening:
    """Screens what comes in for one batch: every answer once, however often its bids are asked for.

    `currency` is the auction's.
    """

    def __init__(
        self,
        auction_ids: Sequence[str],
        views: Sequence[PageView],
        placement_start: NDArray[np.int32],
        currency: str,
        rates: RateTable = BUILT_IN,
    ) -> None:
        self._page_rows = {auction_id: row for row, auction_id in enumerate(auction_ids)}
        self._views = views
        self._starts: list[int] = placement_start.tolist()
        self._currency = currency
        self._rates = rates
        self._known: dict[int, tuple[list[ScreenedBid], list[tuple[int, int]]]] = {}

    def of(self, answers: Sequence[OutsideAnswer]) -> tuple[list[ScreenedBid], list[tuple[int, int]]]:
        """Every outside bid of these answers with its verdict, and what has no bid to hang a verdict on.

        The latter are (page view, index into CODES): a bidder that was late or failed counts once for each page view
        that it was asked about and did not answer, a bid for a placement that was not offered once for its page view; a
        bid for another auction altogether is told by the number of the bidder's bids alone.
        """
        screened: list[ScreenedBid] = []
        loose: list[tuple[int, int]] = []
        for answer in answers:
            known = self._known.get(answer.bidder)
            if known is None:
                known = self._known[answer.bidder] = self._screen(answer)
            screened += known[0]
            loose += known[1]
        return screened, loose

    def _screen(self, answer: OutsideAnswer) -> tuple[list[ScreenedBid], list[tuple[int, int]]]:
        loose = [(row, CODE_INDEX[trouble]) for row, trouble in answer.unanswered]
        own: list[ScreenedBid] = []
        for bid in answer.bids:
            row = self._page_rows.get(bid.auction_id)
            if row is None:
                continue
            view = self._views[row]
            place = _place_of(bid, view)
            if place < 0:
                loose.append((row, CODE_INDEX[Refusal.INVALID_BID]))
                continue
            rate = bid_rate(self._rates, bid.currency, self._currency, view.currencies)
            refusal, deal = verdict_of(bid, view, view.placements[place], rate, answer.seats)
            own.append(ScreenedBid(answer.bidder, self._starts[row] + place, bid, refusal, deal, rate))
        return _best_few(own), loose


def tell(answers: Sequence[OutsideAnswer], saw: Callable[[int, int, int, Refusal], None]) -> None:
    """Tell `saw` how many page views each bidder answered, with how many bids, and how many it did not, by why."""
    for answer in answers:
        troubles = Counter(trouble for _, trouble in answer.unanswered)
        answered = len(answer.asked) - troubles.total()
        if answered:
            saw(answer.bidder, answered, len(answer.bids), Refusal.WON)
        for trouble, page_views in troubles.items():
            saw(answer.bidder, page_views, 0, trouble)


def _place_of(bid: OutsideBid, view: PageView) -> int:
    for index, placement in enumerate(view.placements):
        if placement.placement_id == bid.placement_id:
            return index
    return -1


def _best_few(own: list[ScreenedBid]) -> list[ScreenedBid]:
    """What one bidder bids, with all but its best few bids of each placement lost to its own better ones."""
    if len(own) <= min(DEAL_BIDS_EACH, OPEN_BIDS_EACH):
        return own
    taken: dict[tuple[int, bool], int] = {}
    kept = list(own)
    for at in sorted(range(len(own)), key=lambda at: -own[at].bid.bid_micros):
        screened = own[at]
        if screened.refusal:
            continue
        under_deal = screened.deal >= 0
        place = (screened.placement_row, under_deal)
        taken[place] = taken.get(place, 0) + 1
        if taken[place] > (DEAL_BIDS_EACH if under_deal else OPEN_BIDS_EACH):
            kept[at] = msgspec.structs.replace(screened, refusal=Refusal.LOST_TO_HIGHER_BID)
    return kept


def verdict_of(
    bid: OutsideBid, view: PageView, placement: Placement, rate: float, seats: Sequence[str] = ()
) -> tuple[Refusal, int]:
    """(the first rule that refuses this bid at this placement or WON, the deal it stands under or -1).

    `rate` is what its currency is worth in the auction's, 0.0 when it may not be bid in; `seats` those that its bidder
    may bid for, empty any.
    """
    if malformed := _malformed(bid):
        return malformed, -1
    if seats and bid.seat not in seats:
        return Refusal.SEAT_BLOCKED, -1
    if rate <= 0.0:
        return Refusal.WRONG_CURRENCY, -1
    deal = _deal_of(bid, placement)
    if bid.deal_id and deal < 0:
        return Refusal.INVALID_DEAL, -1
    if deal >= 0 and not _is_allowed(bid, placement.deals[deal]):
        return Refusal.NOT_ALLOWED_IN_DEAL, deal
    if deal < 0 and placement.private_auction:
        return Refusal.PRIVATE_AUCTION, -1
    shape = (bid.format, bid.width, bid.height)
    if shape not in placement.shapes and not is_flexible_fit(shape, placement.flex_sizes):
        formats = {known[0] for known in placement.shapes}
        if placement.flex_sizes:
            formats.add(int(Format.BANNER))
        return (Refusal.SIZE_NOT_ALLOWED if bid.format in formats else Refusal.FORMAT_NOT_ALLOWED), deal
    if not of_offered_type(bid.format, bid.mtype, frozenset({bid.format})):
        return Refusal.FORMAT_NOT_ALLOWED, deal
    traits = traits_of(
        advertiser_domains=_domains(bid),
        seat=bid.seat,
        # Lists of page views are in lower case, and the standard writes its categories in capitals.
        categories=tuple([category.lower() for category in (bid.category, *bid.categories)]),
        app_bundle=bid.app_bundle,
        attributes=bid.attributes,
        language=bid.language.lower(),
        secure=not placement.secure or is_secure(bid.markup),
        types=banner_types(bid.markup) if placement.blocked_types and bid.format == Format.BANNER else (),
        video=_video(bid) if placement.video is not None and bid.format == Format.VIDEO else None,
    )
    if bid.apis and not set(bid.apis).issubset(placement.apis):
        return refusal_of_traits(traits, view, placement) or Refusal.CREATIVE_FILTERED, deal
    # The markup last: it takes the longest to read.
    return refusal_of_traits(traits, view, placement) or refusal_of_markup(bid.format, bid.markup), deal


def _deal_of(bid: OutsideBid, placement: Placement) -> int:
    if bid.deal_id:
        for index, deal in enumerate(placement.deals):
            if deal.deal_id == bid.deal_id:
                return index
    return -1


def _is_allowed(bid: OutsideBid, deal: Deal) -> bool:
    """Each advertiser that the bid may show must be one of the deal's."""
    return (not deal.seats or bid.seat in deal.seats) and (
        not deal.advertiser_domains
        or all(any(word in deal.advertiser_domains for word in advertiser_words(domain)) for domain in _domains(bid))
    )


def _domains(bid: OutsideBid) -> tuple[str, ...]:
    return bid.advertiser_domains or (bid.advertiser_domain,)


def _video(bid: OutsideBid) -> VideoForm:
    """What the bid says of its video; what it leaves unsaid is read off its VAST document."""
    mimes = (bid.mime,) if bid.mime else tuple(dict.fromkeys(_MEDIA_TYPE.findall(bid.markup)))
    skippable = bid.skippable or _SKIPPABLE.search(bid.markup) is not None
    return VideoForm(mimes, bid.protocol, bid.duration_s or duration_in(bid.markup), skippable)


def _malformed(bid: OutsideBid) -> Refusal:
    """What a bid lacks or has too much of; WON (0) when it is whole."""
    if bid.bid_micros <= 0:
        return Refusal.MISSING_PRICE
    if not all(map(_DOMAIN.fullmatch, (bid.advertiser_domain, *bid.advertiser_domains[:_LISTS_LIMIT]))):
        return Refusal.INVALID_ADVERTISER_DOMAIN
    if not bid.creative_id:
        return Refusal.MISSING_CREATIVE
    if not bid.markup:
        return Refusal.MISSING_MARKUP
    whole = (
        bid.bid_micros <= ABSURD_PRICE_MICROS
        and len(bid.markup) <= MARKUP_LIMIT_BYTES
        and len(bid.creative_id) <= _NAME_LIMIT
        and max(len(bid.bid_id), len(bid.category), len(bid.product_id), len(bid.seat), len(bid.deal_id)) <= _NAME_LIMIT
        and max(len(bid.categories), len(bid.attributes), len(bid.advertiser_domains), len(bid.apis)) <= _LISTS_LIMIT
        and max(map(len, bid.categories), default=0) <= _NAME_LIMIT
        and len(bid.app_bundle) <= 253
        and max(len(bid.language), len(bid.mime)) <= _NAME_LIMIT
        and all(can_be_called(url) for url in (bid.win_url, bid.billing_url, bid.loss_url))
    )
    return Refusal.WON if whole else Refusal.INVALID_BID
