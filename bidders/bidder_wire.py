"""What of a page view does a bidder see over gRPC, and how is its bid read? Values into bidder.proto and back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from common.consent import Permission
from exchange.bidder_terms import seats_for
from exchange.bidding import OutsideBid
from exchange.placement_wire import video_message
from exchange.request import NativeTerms, PageView, Placement
from protos import bidder_pb2 as pb
from protos import common_pb2, exchange_pb2


def opportunity(
    auction_id: str, view: PageView, currency: str, own_currency: str, seats: Sequence[str] = (), bidder: str = ""
) -> pb.Opportunity:
    """One page view as it is asked about; floors without a currency of their own are in `own_currency`, `seats` are
    those that the bidder may bid for, empty any. `bidder` is its name.
    """
    shares = view.permissions & Permission.SHARE and bidder not in view.withheld_from
    return pb.Opportunity(
        auction_id=auction_id,
        placements=[_placement(placement) for placement in view.placements],
        page=common_pb2.Page(
            url=view.url, categories=view.categories, keywords=view.keywords, product_id=view.product_id
        ),
        device=common_pb2.Device(
            type=view.device_type,  # type: ignore[arg-type]
            country=view.country,
            language=view.language,
        ),
        visitor_id=view.visitor_id if shares else "",
        currency=currency,
        floor_currency=view.currency or own_currency,
        price_rule=exchange_pb2.PriceRule.ValueType(view.price_rule),
        test=view.test,
        allowed_seats=seats_for(seats, view) if seats else view.allowed_seats,
        blocked_seats=() if seats else view.blocked_seats,
        allowed_languages=view.allowed_languages,
        allowed_categories=view.allowed_categories,
        buyer_user_id=view.buyer_id(bidder) if shares else "",
    )


# A shop's placements are the same on every page view. What is remembered is copied into each request, never changed.
@lru_cache(maxsize=4096)
def _placement(placement: Placement) -> exchange_pb2.Placement:
    message = exchange_pb2.Placement(
        placement_id=placement.placement_id,
        formats=[exchange_pb2.Format.ValueType(f) for f in sorted({shape[0] for shape in placement.shapes})],
        sizes=[
            exchange_pb2.Size(width=width, height=height)
            for width, height in dict.fromkeys(shape[1:] for shape in placement.shapes if shape[1])
        ],
        floor_micros=placement.floor_micros,
        blocked_categories=placement.blocked_categories,
        blocked_advertisers=placement.blocked_advertisers,
        position=placement.position,
        secure=placement.secure,
        blocked_attributes=placement.blocked_attributes,
        blocked_apps=placement.blocked_apps,
        private_auction=placement.private_auction,
        for_sale_s=placement.for_sale_s,
    )
    # Few placements have any of these, and each costs time to write.
    if placement.flex_sizes:
        message.flex_sizes.extend(
            exchange_pb2.FlexSize(
                width_ratio=size.width_ratio, height_ratio=size.height_ratio, least_width=size.least_width
            )
            for size in placement.flex_sizes
        )
    if placement.deals:
        message.deals.extend(
            exchange_pb2.Deal(
                deal_id=deal.deal_id,
                floor_micros=deal.floor_micros,
                price_rule=deal.price_rule,
                seats=deal.seats,
                advertiser_domains=deal.advertiser_domains,
                guaranteed=deal.guaranteed,
            )
            for deal in placement.deals
        )
    if placement.video is not None:
        message.video.CopyFrom(video_message(placement.video))
    if placement.native is not None:
        message.native_assets.extend(_native(placement.native))
    return message


def _native(terms: NativeTerms) -> list[exchange_pb2.NativeAsset]:
    return [
        exchange_pb2.NativeAsset(
            id=number, kind=kind, type=type_, required=required, limit=limit, width=width, height=height
        )
        for number, kind, type_, required, limit, width, height in terms.assets
    ]


def outside_bid(bid: pb.Bid) -> OutsideBid:
    """The bid as it was sent; nothing of it has been checked."""
    return OutsideBid(
        auction_id=bid.auction_id,
        placement_id=bid.placement_id,
        bid_id=bid.bid_id,
        bid_micros=bid.bid_micros,
        currency=bid.currency,
        advertiser_domain=bid.advertiser_domain,
        creative_id=bid.creative_id,
        format=bid.format,
        width=bid.width,
        height=bid.height,
        markup=bid.markup,
        category=bid.category,
        product_id=bid.product_id,
        deal_id=bid.deal_id,
        seat=bid.seat,
        categories=tuple(bid.categories),
        attributes=tuple(bid.attributes),
        language=bid.language,
        app_bundle=bid.app_bundle,
        duration_s=bid.duration_s,
        protocol=bid.protocol,
        mime=bid.mime,
        skippable=bid.skippable,
        mtype=bid.mtype,
        win_url=bid.win_url,
        billing_url=bid.billing_url,
        loss_url=bid.loss_url,
    )
