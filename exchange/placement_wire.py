"""How does a placement come off the wire? Formats and sizes, blocks, deals, terms for videos and natives.

What is wrong is added to `errors`, all of it, with the field's path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from common.errors import FieldError
from common.money import ABSURD_PRICE_MICROS
from exchange.request import Deal, FlexSize, Format, NativeTerms, Placement, PriceRule, VideoTerms
from protos import exchange_pb2 as pb

ID_LIMIT = 64
SIZES_LIMIT = 16
SIDE_LIMIT_PX = 10_000
DEALS_LIMIT = 32
DURATION_LIMIT_S = 6 * 3600
FOR_SALE_LIMIT_S = 24 * 3600
_LISTING = (int(Format.PRODUCT_LISTING), 0, 0)
_NATIVE = (int(Format.NATIVE), 0, 0)
_KINDS = ("title", "img", "video", "data")
_DEAL_RULES = (0, int(PriceRule.FIRST_PRICE), int(PriceRule.SECOND_PRICE), int(PriceRule.AGREED_PRICE))
_SLOTS_IN_POD = (-1, 0, 1, 2)
_MIME = re.compile(r"[a-z]+/[a-z0-9.+-]{1,60}")

Errors = list[FieldError]


def read_placement(message: pb.Placement, index: int, errors: Errors) -> Placement:
    """The placement that stands at `index` of its page view."""
    at = f"placements[{index}]"
    placement_id, floor_micros = message.placement_id, message.floor_micros
    categories = tuple([word.lower() for word in message.blocked_categories])
    advertisers = tuple([word.lower() for word in message.blocked_advertisers])
    apps, attributes = tuple(message.blocked_apps), tuple(message.blocked_attributes)
    if not placement_id or len(placement_id) > ID_LIMIT:
        errors.append(
            FieldError(
                f"{at}.placement_id", repr(placement_id[:20]), f"name the placement in 1 to {ID_LIMIT} characters"
            )
        )
    shapes = _shapes(message, at, errors)
    if not 0 <= floor_micros <= ABSURD_PRICE_MICROS:
        errors.append(FieldError(f"{at}.floor_micros", str(floor_micros), f"give 0 to {ABSURD_PRICE_MICROS}"))
    check_words(errors, f"{at}.blocked_categories", categories, 256, 253)
    check_words(errors, f"{at}.blocked_advertisers", advertisers, 256, 253)
    check_words(errors, f"{at}.blocked_apps", apps, 256, 253)
    too_many(errors, f"{at}.blocked_attributes", len(attributes), 64)
    _check_most(errors, f"{at}.for_sale_s", message.for_sale_s, FOR_SALE_LIMIT_S)
    return Placement(
        placement_id=placement_id,
        shapes=shapes,
        floor_micros=floor_micros,
        blocked_categories=categories,
        blocked_advertisers=advertisers,
        position=message.position,
        blocked_attributes=attributes,
        blocked_apps=apps,
        secure=message.secure,
        flex_sizes=_flex_sizes(message, f"{at}.flex_sizes", errors),
        video=_video(message.video, f"{at}.video", errors) if message.HasField("video") else None,
        native=_native(message.native_assets, f"{at}.native_assets", errors) if message.native_assets else None,
        deals=_deals(message, f"{at}.deals", errors),
        private_auction=message.private_auction,
        for_sale_s=message.for_sale_s,
    )


def _shapes(message: pb.Placement, at: str, errors: Errors) -> tuple[tuple[int, int, int], ...]:
    sizes = [(size.width, size.height) for size in message.sizes]
    shapes: list[tuple[int, int, int]] = []
    unsized = []
    for format_ in map(int, message.formats):
        if format_ == Format.PRODUCT_LISTING:
            shapes.append(_LISTING)
        elif format_ == Format.NATIVE:
            shapes.append(_NATIVE)
        elif format_ in (Format.BANNER, Format.VIDEO):
            shapes += [(format_, width, height) for width, height in sizes]
            if not (sizes or (format_ == Format.BANNER and message.flex_sizes)):
                unsized.append(format_)
        else:
            remedy = "give 1 (banner), 2 (product listing), 3 (video), 4 (native)"
            errors.append(FieldError(f"{at}.formats", str(format_), remedy))
    if not message.formats:
        errors.append(FieldError(f"{at}.formats", "none", "give at least one format"))
    if unsized:
        errors.append(FieldError(f"{at}.sizes", "none", "a banner or a video needs at least one size"))
    too_many(errors, f"{at}.sizes", len(sizes), SIZES_LIMIT)
    for number, (width, height) in enumerate(sizes):
        if not (0 < width <= SIDE_LIMIT_PX and 0 < height <= SIDE_LIMIT_PX):
            errors.append(
                FieldError(f"{at}.sizes[{number}]", f"{width} × {height}", f"give sides of 1 to {SIDE_LIMIT_PX} pixels")
            )
    return tuple(shapes)


def _flex_sizes(message: pb.Placement, at: str, errors: Errors) -> tuple[FlexSize, ...]:
    too_many(errors, at, len(message.flex_sizes), SIZES_LIMIT)
    for number, size in enumerate(message.flex_sizes):
        ratio = (size.width_ratio, size.height_ratio)
        if not all(0 < part <= SIDE_LIMIT_PX for part in ratio) or size.least_width > SIDE_LIMIT_PX:
            shown = f"{ratio[0]}:{ratio[1]} from {size.least_width}"
            remedy = f"give parts of 1 to {SIDE_LIMIT_PX}, and a width of at most that"
            errors.append(FieldError(f"{at}[{number}]", shown, remedy))
    if message.flex_sizes and pb.FORMAT_BANNER not in message.formats:
        errors.append(FieldError(at, "without banner", "offer format 1 (banner): only banners have flexible sizes"))
    return tuple([FlexSize(size.width_ratio, size.height_ratio, size.least_width) for size in message.flex_sizes])


def _deals(message: pb.Placement, at: str, errors: Errors) -> tuple[Deal, ...]:
    too_many(errors, at, len(message.deals), DEALS_LIMIT)
    if message.private_auction and not message.deals:
        errors.append(FieldError(at, "none", "a private auction needs at least one deal"))
    seen: set[str] = set()
    deals = []
    for number, deal in enumerate(message.deals[:DEALS_LIMIT]):
        here = f"{at}[{number}]"
        if not 0 < len(deal.deal_id) <= ID_LIMIT or deal.deal_id in seen:
            remedy = f"name each deal of the placement in 1 to {ID_LIMIT} characters of its own"
            errors.append(FieldError(f"{here}.deal_id", repr(deal.deal_id[:20]), remedy))
        seen.add(deal.deal_id)
        if not 0 <= deal.floor_micros <= ABSURD_PRICE_MICROS:
            remedy = f"give 0 to {ABSURD_PRICE_MICROS}"
            errors.append(FieldError(f"{here}.floor_micros", str(deal.floor_micros), remedy))
        if deal.price_rule not in _DEAL_RULES:
            remedy = "give 1 (first price), 2 (second price), 3 (the floor is the agreed price), or 0 as the auction"
            errors.append(FieldError(f"{here}.price_rule", str(deal.price_rule), remedy))
        elif deal.price_rule == PriceRule.AGREED_PRICE and not deal.floor_micros:
            errors.append(FieldError(f"{here}.floor_micros", "0", "give the price that was agreed"))
        domains = tuple([domain.lower() for domain in deal.advertiser_domains])
        check_words(errors, f"{here}.seats", deal.seats, 64, ID_LIMIT)
        check_words(errors, f"{here}.advertiser_domains", domains, 64, 253)
        deals.append(
            Deal(deal.deal_id, deal.floor_micros, deal.price_rule, tuple(deal.seats), domains, deal.guaranteed)
        )
    return tuple(deals)


def _video(terms: pb.VideoTerms, at: str, errors: Errors) -> VideoTerms:
    mimes = tuple([mime.lower() for mime in terms.mimes])
    too_many(errors, f"{at}.mimes", len(mimes), 32)
    for number, mime in enumerate(mimes[:32]):
        if not _MIME.fullmatch(mime):
            errors.append(FieldError(f"{at}.mimes[{number}]", repr(mime[:20]), "give a media type such as video/mp4"))
    too_many(errors, f"{at}.required_durations_s", len(terms.required_durations_s), 32)
    too_many(errors, f"{at}.protocols", len(terms.protocols), 32)
    for field in ("least_duration_s", "most_duration_s", "pod_duration_s"):
        _check_most(errors, f"{at}.{field}", getattr(terms, field), DURATION_LIMIT_S)
    if terms.required_durations_s and (terms.least_duration_s or terms.most_duration_s):
        remedy = "give exact durations, or the least and the most, not both"
        errors.append(FieldError(f"{at}.required_durations_s", "beside limits", remedy))
    if terms.most_duration_s and terms.least_duration_s > terms.most_duration_s:
        shown = f"{terms.least_duration_s}, more than the most of {terms.most_duration_s}"
        errors.append(FieldError(f"{at}.least_duration_s", shown, "lower it"))
    if len(terms.pod_id) > ID_LIMIT:
        too_long(errors, f"{at}.pod_id", terms.pod_id, ID_LIMIT)
    _check_most(errors, f"{at}.pod_ads", terms.pod_ads, 32)
    if terms.slot_in_pod not in _SLOTS_IN_POD:
        remedy = "give 1 (first), -1 (last), 2 (either) or 0 (any)"
        errors.append(FieldError(f"{at}.slot_in_pod", str(terms.slot_in_pod), remedy))
    least_cpm = terms.least_cpm_per_second_micros
    if not 0 <= least_cpm <= ABSURD_PRICE_MICROS:
        remedy = f"give 0 to {ABSURD_PRICE_MICROS}"
        errors.append(FieldError(f"{at}.least_cpm_per_second_micros", str(least_cpm), remedy))
    return VideoTerms(
        mimes=mimes,
        least_duration_s=terms.least_duration_s,
        most_duration_s=terms.most_duration_s,
        required_durations_s=tuple(terms.required_durations_s),
        protocols=tuple(terms.protocols),
        skippable=int(terms.skippable) if terms.HasField("skippable") else -1,
        pod_id=terms.pod_id,
        pod_duration_s=terms.pod_duration_s,
        pod_ads=terms.pod_ads,
        slot_in_pod=terms.slot_in_pod,
        least_cpm_per_second_micros=least_cpm,
        pod_sequence=terms.pod_sequence,
    )


def video_message(terms: VideoTerms) -> pb.VideoTerms:
    """Terms for videos as their message; what it may not hold, as OpenRTB allows it, is left out or cut."""
    return pb.VideoTerms(
        mimes=[mime for mime in terms.mimes if _MIME.fullmatch(mime)][:32],
        least_duration_s=min(terms.least_duration_s, DURATION_LIMIT_S),
        most_duration_s=min(terms.most_duration_s, DURATION_LIMIT_S),
        required_durations_s=terms.required_durations_s[:32],
        protocols=[number for number in terms.protocols if number >= 0][:32],
        skippable=None if terms.skippable < 0 else bool(terms.skippable),
        pod_id=terms.pod_id,
        pod_duration_s=min(terms.pod_duration_s, DURATION_LIMIT_S),
        pod_ads=min(terms.pod_ads, 32),
        slot_in_pod=terms.slot_in_pod if terms.slot_in_pod in _SLOTS_IN_POD else 0,
        least_cpm_per_second_micros=terms.least_cpm_per_second_micros,
        pod_sequence=terms.pod_sequence,
    )


def _native(assets: Sequence[pb.NativeAsset], at: str, errors: Errors) -> NativeTerms:
    too_many(errors, at, len(assets), 32)
    if len({asset.id for asset in assets}) < len(assets):
        errors.append(FieldError(at, "an id stands twice", "give each asset an id of its own"))
    for number, asset in enumerate(assets[:32]):
        if asset.kind not in _KINDS:
            errors.append(FieldError(f"{at}[{number}].kind", repr(asset.kind[:20]), f"give one of {', '.join(_KINDS)}"))
        if max(asset.width, asset.height) > SIDE_LIMIT_PX:
            shown = f"{asset.width} × {asset.height}"
            errors.append(FieldError(f"{at}[{number}]", shown, f"give sides of at most {SIDE_LIMIT_PX} pixels"))
    return NativeTerms(
        tuple([(a.id, a.kind, a.type, a.required, a.limit, a.width, a.height) for a in assets]),
    )


def check_words(errors: Errors, field: str, words: Sequence[str], most: int, most_chars: int) -> None:
    """At most so many words of at most so many characters, none of them empty."""
    if not words:
        return
    too_many(errors, field, len(words), most)
    for number, word in enumerate(words):
        if not word:
            errors.append(FieldError(f"{field}[{number}]", "is empty", "leave it out"))
        too_long(errors, f"{field}[{number}]", word, most_chars)


def too_long(errors: Errors, field: str, text: str, limit: int) -> None:
    """Add a complaint when the text has more than `limit` characters."""
    if len(text) > limit:
        errors.append(FieldError(field, f"{len(text)} characters", f"give at most {limit}"))


def too_many(errors: Errors, field: str, count: int, limit: int) -> None:
    """Add a complaint when there are more than `limit` of them."""
    if count > limit:
        errors.append(FieldError(field, f"{count} of them", f"give at most {limit}"))


def _check_most(errors: Errors, field: str, number: int, most: int) -> None:
    if number > most:
        errors.append(FieldError(field, str(number), f"give at most {most}"))
