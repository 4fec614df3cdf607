"""How does a page view come off the wire, and how does an answer go onto it?

Every field is checked, and all that cannot be taken is named at once. What cannot be used (an unknown device type, a
word longer than any line item's) is tolerated where OpenRTB 2.6 §2.6 asks for it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import lru_cache

from google.protobuf.message import DecodeError

from common import consent
from common.consent import Permission
from common.errors import FieldError, InvalidInput
from common.money import ABSURD_PRICE_MICROS
from exchange.answer import Answer
from exchange.creatives.ad_facts import AdFacts
from exchange.request import Format, PageView, Placement, PriceRule
from protos import exchange_pb2 as pb

ID_LIMIT = 64
WORD_LIMIT = 64
URL_LIMIT = 2048
PLACEMENTS_LIMIT = 32
SIZES_LIMIT = 16
SIDE_LIMIT_PX = 10_000
TMAX_LIMIT_MS = 10_000
_LATEST_MS = 4_102_444_800_000  # 2100-01-01
_COUNTRY = re.compile(r"[A-Z]{2}")
_REMEMBER = int(Permission.REMEMBER)
# What the reader remembers of placements is bounded, whatever it is sent.
_REMEMBERED_PLACEMENTS = 10_000
_REMEMBERED_BYTES = 1_024
_TEMPLATES = 100_000
_LISTING = (int(Format.PRODUCT_LISTING), 0, 0)
_NATIVE = (int(Format.NATIVE), 0, 0)


class PageViewReader:
    """Turns `haat.exchange.v1.PageView` into our own PageView; raises InvalidInput with every field that is wrong."""

    def __init__(self, *, currency: str, tmax_ms: int) -> None:
        self._currency = currency
        self._tmax_ms = tmax_ms
        # A shop's placements are the same on every page view: read once, known by their bytes.
        self._placements: dict[bytes, Placement] = {}

    def from_bytes(self, data: bytes, now_ms: int) -> PageView:
        """A page view from its serialised form."""
        try:
            return self.read(pb.PageView.FromString(data), now_ms, data)
        except DecodeError:
            raise InvalidInput(
                [
                    FieldError(
                        "PageView", f"{len(data)} bytes that are no such message", "send haat.exchange.v1.PageView"
                    )
                ]
            ) from None

    def read(self, message: pb.PageView, now_ms: int, data: bytes | None = None) -> PageView:
        """A page view from its message; `data` are its bytes when they are at hand."""
        errors: list[FieldError] = []
        visitor, page, device, agreed = message.visitor, message.page, message.device, message.consent
        permissions = _permissions(tuple(agreed.granted), agreed.global_privacy_control, agreed.child_directed)
        segments = tuple(visitor.segments)
        # Line items are stored in lower case.
        categories = tuple([word.lower() for word in page.categories])
        keywords = tuple([word.lower() for word in page.keywords])
        affinities = tuple([(affinity.product_id, affinity.weight) for affinity in visitor.affinities])
        request_id, session_id, visitor_id = message.request_id, message.session_id, visitor.visitor_id
        url, product_id, country, language = page.url, page.product_id, device.country, device.language.lower()
        if (
            len(request_id) > ID_LIMIT
            or len(session_id) > ID_LIMIT
            or len(visitor_id) > ID_LIMIT
            or len(product_id) > ID_LIMIT
        ):
            _too_long(errors, "request_id", request_id, ID_LIMIT)
            _too_long(errors, "session_id", session_id, ID_LIMIT)
            _too_long(errors, "visitor.visitor_id", visitor_id, ID_LIMIT)
            _too_long(errors, "page.product_id", product_id, ID_LIMIT)
        if len(url) > URL_LIMIT:
            _too_long(errors, "page.url", url, URL_LIMIT)
        if len(language) > WORD_LIMIT:
            _too_long(errors, "device.language", language, WORD_LIMIT)
        if country and not _COUNTRY.fullmatch(country):
            errors.append(FieldError("device.country", repr(country[:20]), "give ISO 3166-1 alpha-2, such as DE"))
        if len(segments) > 32 or len(categories) > 32 or len(keywords) > 64 or len(affinities) > 64:
            _too_many(errors, "visitor.segments", len(segments), 32)
            _too_many(errors, "page.categories", len(categories), 32)
            _too_many(errors, "page.keywords", len(keywords), 64)
            _too_many(errors, "visitor.affinities", len(affinities), 64)
        for field, words in (
            ("visitor.segments", segments),
            ("page.categories", categories),
            ("page.keywords", keywords),
        ):
            if words and max(map(len, words)) > WORD_LIMIT:
                for index, word in enumerate(words):
                    _too_long(errors, f"{field}[{index}]", word, WORD_LIMIT)
        for index, (product, weight) in enumerate(affinities):
            if len(product) > ID_LIMIT:
                _too_long(errors, f"visitor.affinities[{index}].product_id", product, ID_LIMIT)
            if not 0.0 <= weight < math.inf:
                errors.append(
                    FieldError(f"visitor.affinities[{index}].weight", str(weight), "give a finite number from 0 on")
                )
        currency = message.currency
        if currency and currency != self._currency:
            errors.append(
                FieldError(
                    "currency", repr(currency[:20]), f"this exchange sells in {self._currency}: give that or none"
                )
            )
        price_rule = message.price_rule or PriceRule.SECOND_PRICE
        if price_rule not in (PriceRule.FIRST_PRICE, PriceRule.SECOND_PRICE):
            errors.append(FieldError("price_rule", str(price_rule), "give 1 (first price) or 2 (second price)"))
        tmax_ms = message.tmax_ms or self._tmax_ms
        if tmax_ms > TMAX_LIMIT_MS:
            errors.append(
                FieldError("tmax_ms", str(tmax_ms), f"give at most {TMAX_LIMIT_MS}, or 0 for {self._tmax_ms}")
            )
        viewed_at_ms = message.viewed_at_ms or now_ms
        if not 0 < viewed_at_ms < _LATEST_MS:
            errors.append(FieldError("viewed_at_ms", str(viewed_at_ms), "give ms since 1970, or 0 for now"))
        placements = tuple([self._placement(p, index, errors) for index, p in enumerate(message.placements)])
        if not 0 < len(placements) <= PLACEMENTS_LIMIT:
            errors.append(FieldError("placements", f"{len(placements)} of them", f"give 1 to {PLACEMENTS_LIMIT}"))
        if len({placement.placement_id for placement in placements}) < len(placements):
            _name_doubles(errors, placements)
        if errors:
            raise InvalidInput(errors)
        return PageView(
            request_id=request_id,
            session_id=session_id,
            visitor_id=visitor_id,
            segments=segments,
            affinities=affinities,
            permissions=permissions,
            url=url,
            categories=categories,
            keywords=keywords,
            product_id=product_id,
            device_type=device.type,
            country=country,
            language=language,
            placements=placements,
            price_rule=price_rule,
            tmax_ms=tmax_ms,
            viewed_at_ms=viewed_at_ms,
            wire=_for_the_log(message, permissions, data),
        )

    def _placement(self, message: pb.Placement, index: int, errors: list[FieldError]) -> Placement:
        data = message.SerializeToString()
        known = self._placements.get(data)
        if known is None:
            wrong_before = len(errors)
            known = _read_placement(message, index, errors)
            if len(errors) == wrong_before and len(data) <= _REMEMBERED_BYTES:
                if len(self._placements) >= _REMEMBERED_PLACEMENTS:
                    self._placements.clear()
                self._placements[data] = known
        return known


@lru_cache(maxsize=1024)
def _permissions(granted: tuple[int, ...], global_privacy_control: bool, child_directed: bool) -> int:
    return int(consent.decide(granted, global_privacy_control=global_privacy_control, child_directed=child_directed))


def _read_placement(message: pb.Placement, index: int, errors: list[FieldError]) -> Placement:
    placement_id, floor_micros = message.placement_id, message.floor_micros
    categories = tuple([word.lower() for word in message.blocked_categories])
    advertisers = tuple([word.lower() for word in message.blocked_advertisers])
    sizes = [(size.width, size.height) for size in message.sizes]
    shapes: list[tuple[int, int, int]] = []
    sized = False
    for format_ in map(int, message.formats):
        if format_ == Format.PRODUCT_LISTING:
            shapes.append(_LISTING)
        elif format_ == Format.NATIVE:
            shapes.append(_NATIVE)
        elif format_ in (Format.BANNER, Format.VIDEO):
            sized = True
            shapes += [(format_, width, height) for width, height in sizes]
        else:
            errors.append(
                FieldError(
                    f"placements[{index}].formats",
                    str(format_),
                    "give 1 (banner), 2 (product listing), 3 (video), 4 (native)",
                )
            )
    at = f"placements[{index}]"
    if not placement_id or len(placement_id) > ID_LIMIT:
        errors.append(
            FieldError(
                f"{at}.placement_id", repr(placement_id[:20]), f"name the placement in 1 to {ID_LIMIT} characters"
            )
        )
    if not message.formats:
        errors.append(FieldError(f"{at}.formats", "none", "give at least one format"))
    if sized and not sizes:
        errors.append(FieldError(f"{at}.sizes", "none", "a banner or a video needs at least one size"))
    if len(sizes) > SIZES_LIMIT:
        _too_many(errors, f"{at}.sizes", len(sizes), SIZES_LIMIT)
    for number, (width, height) in enumerate(sizes):
        if not (0 < width <= SIDE_LIMIT_PX and 0 < height <= SIDE_LIMIT_PX):
            errors.append(
                FieldError(f"{at}.sizes[{number}]", f"{width} × {height}", f"give sides of 1 to {SIDE_LIMIT_PX} pixels")
            )
    if not 0 <= floor_micros <= ABSURD_PRICE_MICROS:
        errors.append(FieldError(f"{at}.floor_micros", str(floor_micros), f"give 0 to {ABSURD_PRICE_MICROS}"))
    if categories or advertisers:
        for field, words in (("blocked_categories", categories), ("blocked_advertisers", advertisers)):
            _too_many(errors, f"{at}.{field}", len(words), 256)
            for number, word in enumerate(words):
                _too_long(errors, f"{at}.{field}[{number}]", word, 253)
    return Placement(
        placement_id=placement_id,
        shapes=tuple(shapes),
        floor_micros=floor_micros,
        blocked_categories=categories,
        blocked_advertisers=advertisers,
        position=message.position,
    )


def _for_the_log(message: pb.PageView, permissions: int, data: bytes | None) -> bytes:
    """What may be kept of the request: without consent to remember, neither the visitor nor the session."""
    if permissions & _REMEMBER:
        return data if data is not None else message.SerializeToString()
    if message.HasField("visitor") or message.session_id:
        kept = pb.PageView()
        kept.CopyFrom(message)
        kept.ClearField("visitor")
        kept.ClearField("session_id")
        return kept.SerializeToString()
    return data if data is not None else message.SerializeToString()


def _too_long(errors: list[FieldError], field: str, text: str, limit: int) -> None:
    if len(text) > limit:
        errors.append(FieldError(field, f"{len(text)} characters", f"give at most {limit}"))


def _too_many(errors: list[FieldError], field: str, count: int, limit: int) -> None:
    if count > limit:
        errors.append(FieldError(field, f"{count} of them", f"give at most {limit}"))


def _name_doubles(errors: list[FieldError], placements: Iterable[Placement]) -> None:
    seen: set[str] = set()
    for index, placement in enumerate(placements):
        if placement.placement_id and placement.placement_id in seen:
            errors.append(
                FieldError(
                    f"placements[{index}].placement_id",
                    repr(placement.placement_id[:20]),
                    "give each placement of a page view a name of its own",
                )
            )
        seen.add(placement.placement_id)


class AnswerWriter:
    """Turns answers into their messages. What an ad always says is put together once and copied from then on."""

    def __init__(self, currency: str) -> None:
        self._currency = currency
        # By identity of the facts, which are kept beside so that no other object can take the identity over.
        self._templates: dict[int, tuple[AdFacts, pb.Ad]] = {}

    def message(self, answer: Answer) -> pb.Answer:
        """The answer as its message."""
        message = pb.Answer(auction_id=answer.auction_id, request_id=answer.request_id, kept=answer.kept)
        for pod in answer.pods:
            message.pods.add(
                pod_id=pod.pod_id, placement_ids=pod.placement_ids, duration_s=pod.duration_s, markup=pod.markup
            )
        add = message.placements.add
        for placement in answer.placements:
            ad = placement.ad
            if ad is None:
                add(placement_id=placement.placement_id, no_ad_reason=placement.no_ad_reason)
                continue
            written = add(placement_id=placement.placement_id).ad
            written.CopyFrom(self._template(ad.facts))
            written.impression_id = ad.impression_id
            written.markup = ad.markup
            written.price_micros = ad.price_micros
            written.bidder = ad.bidder
        return message

    def _template(self, facts: AdFacts) -> pb.Ad:
        kept = self._templates.get(id(facts))
        if kept is not None:
            return kept[1]
        template = pb.Ad(
            line_item_id=facts.line_item_id,
            creative_id=facts.creative_id,
            advertiser_id=facts.advertiser_id,
            advertiser_domain=facts.advertiser_domain,
            product_id=facts.product_id,
            format=facts.format,  # type: ignore[arg-type]  # an int of the enum's own numbers
            width=facts.width,
            height=facts.height,
            pricing_model=facts.pricing_model,  # type: ignore[arg-type]
            currency=self._currency,
            mtype=facts.mtype,
            duration_s=facts.duration_s,
        )
        if len(self._templates) >= _TEMPLATES:
            self._templates.clear()
        self._templates[id(facts)] = (facts, template)
        return template
