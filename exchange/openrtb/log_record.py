"""What goes into the event log for a page view that came as OpenRTB? The same message as for all others.

What the visitor did not agree to is not in it: neither the visitor, the session nor segments without the permission for
each.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from common.consent import Permission, Purpose
from exchange.placement_wire import video_message
from exchange.request import FlexSize, Format, PageView, Placement
from protos import exchange_pb2 as pb

_REMEMBER, _PERSONALISE = int(Permission.REMEMBER), int(Permission.PERSONALISE_ADS)
_GRANTED: Final = (
    (_REMEMBER, Purpose.REMEMBER),
    (_PERSONALISE, Purpose.PERSONALISED_ADS),
    (int(Permission.PERSONALISE_CONTENT), Purpose.PERSONALISED_CONTENT),
    (int(Permission.SHARE), Purpose.SHARE_WITH_BIDDERS),
)
# Longer lists than usual are written each time, so that what is remembered stays small.
_REMEMBERED_WORDS: Final = 128


def log_record(view: PageView, currency: str) -> bytes:
    """`haat.exchange.v1.PageView` of a page view, serialised."""
    message = pb.PageView(
        request_id=view.request_id,
        currency=currency,
        price_rule=view.price_rule,  # type: ignore[arg-type]  # an open enum: numbers of OpenRTB's `at`
        tmax_ms=view.tmax_ms,
        viewed_at_ms=view.viewed_at_ms,
        currencies=view.currencies,
    )
    message.consent.granted.extend(_granted(view.permissions))  # type: ignore[arg-type]  # the enum's own numbers
    page, device = message.page, message.device
    page.url = view.url
    page.categories.extend(view.categories)
    page.keywords.extend(view.keywords)
    device.type = view.device_type  # type: ignore[assignment]
    device.country = view.country
    device.language = view.language
    if view.permissions & _REMEMBER:
        message.session_id = view.session_id
        message.visitor.visitor_id = view.visitor_id
        if view.permissions & _PERSONALISE:
            message.visitor.segments.extend(view.segments)
    add = message.placements.add
    for placement in view.placements:
        blocked = len(placement.blocked_categories) + len(placement.blocked_advertisers)
        add().CopyFrom(_remembered(placement) if blocked <= _REMEMBERED_WORDS else _placement(placement))
    return message.SerializeToString()


@lru_cache(maxsize=16)
def _granted(permissions: int) -> tuple[int, ...]:
    return tuple(int(purpose) for bit, purpose in _GRANTED if permissions & bit)


def _placement(placement: Placement) -> pb.Placement:
    formats = dict.fromkeys(shape[0] for shape in placement.shapes)
    if placement.flex_sizes:
        formats[int(Format.BANNER)] = None
    sizes = dict.fromkeys((width, height) for _, width, height in placement.shapes if width and height)
    sizes.update(dict.fromkeys(_least(flexible) for flexible in placement.flex_sizes))
    return pb.Placement(
        placement_id=placement.placement_id,
        formats=list(formats),  # type: ignore[arg-type]  # the enum's own numbers
        sizes=[pb.Size(width=width, height=height) for width, height in sizes],
        floor_micros=placement.floor_micros,
        blocked_categories=placement.blocked_categories,
        blocked_advertisers=placement.blocked_advertisers,
        position=placement.position,
        video=video_message(placement.video) if placement.video is not None else None,
    )


# A shop's placements are the same on every page view; they are put into words once.
_remembered = lru_cache(maxsize=4_096)(_placement)


def _least(flexible: FlexSize) -> tuple[int, int]:
    """The smallest size that a flexible one allows."""
    width = max(flexible.least_width, flexible.width_ratio)
    return width, -(-width * flexible.height_ratio // flexible.width_ratio)
