"""What does an outside bidder want to be asked about, and what is it held to? Its entry in the operator's list."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from common.consent import Permission
from exchange.request import Deal, PageView

_HOUSE_ADS_ONLY = int(Permission.HOUSE_ADS_ONLY)


class Pretargeting(msgspec.Struct, frozen=True):
    """What a bidder could bid on at all; an empty set is everything. It is asked about nothing else.

    `formats` are of exchange.request.Format, `sizes` (width, height), `devices` of haat.common.v1.DeviceType.
    `needs_visitor` leaves out page views without a visitor id that may be shared.
    """

    formats: frozenset[int] = frozenset()
    sizes: frozenset[tuple[int, int]] = frozenset()
    countries: frozenset[str] = frozenset()
    devices: frozenset[int] = frozenset()
    publishers: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    needs_visitor: bool = False


class BidderTerms(msgspec.Struct, frozen=True):
    """How one outside bidder is asked.

    `bid_cap_micros` is the most it ever bids per thousand impressions in the auction's currency, 0 unknown; page views
    whose floors are all above are not sent, and nobody waits for it where it cannot win any more. `page_views_per_s`
    is its quota, 0 none. `seats` are those it may bid for, empty any: it is asked for these alone, and a bid for
    another one, or for none, is refused. `vendor_id` is its number in the vendor list.
    `most_in_flight` bounds unanswered calls; `least_share` is what is still sent of its traffic when it does badly, so
    that it is seen to do better.
    """

    pretargeting: Pretargeting = Pretargeting()
    bid_cap_micros: int = 0
    page_views_per_s: int = 0
    most_in_flight: int = 64
    least_share: float = 0.1
    seats: tuple[str, ...] = ()
    vendor_id: int = 0


def seats_for(seats: Sequence[str], view: PageView) -> tuple[str, ...]:
    """Those of a bidder's seats that may buy from this page view, in its order; `seats` are all of them."""
    return tuple(
        seat
        for seat in seats
        if seat not in view.blocked_seats and (not view.allowed_seats or seat in view.allowed_seats)
    )


def could_bid(terms: BidderTerms, view: PageView, share: int) -> bool:
    """Could it bid for any placement of the page view? `share` is the bit of Permission that lets ids out."""
    wants = terms.pretargeting
    if view.permissions & _HOUSE_ADS_ONLY:
        return False
    if wants.countries and view.country not in wants.countries:
        return False
    if wants.devices and view.device_type not in wants.devices:
        return False
    if wants.publishers and view.publisher_id not in wants.publishers:
        return False
    if wants.categories and wants.categories.isdisjoint(view.categories):
        return False
    if wants.needs_visitor and not (view.visitor_id and view.permissions & share):
        return False
    if terms.seats and not seats_for(terms.seats, view):
        return False
    if not (wants.formats or wants.sizes or terms.bid_cap_micros):
        return True
    for placement in view.placements:
        floor_micros = placement.floor_micros
        if placement.video is not None and placement.video.floor_ranges and not placement.floor_raised:
            floor_micros = min(floor_micros, *(floor for _, _, floor in placement.video.floor_ranges))
        if placement.deals:
            floor_micros = min(floor_micros, *map(_least_floor, placement.deals))
        if terms.bid_cap_micros and floor_micros > terms.bid_cap_micros:
            continue
        for kind, width, height in placement.shapes:
            fits = not wants.sizes or (width, height) in wants.sizes or not width or placement.flex_sizes
            if fits and (not wants.formats or kind in wants.formats):
                return True
    return False


def _least_floor(deal: Deal) -> int:
    ranges = deal.by_length.ranges if deal.by_length is not None else ()
    return min(deal.floor_micros, *(floor for _, _, floor in ranges)) if ranges else deal.floor_micros
