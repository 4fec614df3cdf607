"""How does a page view come off the wire?

Every field is checked, and all that cannot be taken is named at once. What cannot be used (an unknown device type, a
word longer than any line item's) is tolerated where OpenRTB 2.6 §2.6 asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from google.protobuf.message import DecodeError

from common.consent import Permission
from common.errors import FieldError, InvalidInput
from common.money import is_currency
from exchange.context_wire import WORD_LIMIT, Remembered, read_consent, read_device, read_page
from exchange.creatives.pods import slots_of_all
from exchange.page_rules import PageRules
from exchange.placement_wire import ID_LIMIT, check_words, read_placement, too_long, too_many, video_message
from exchange.request import PageView, Placement, PriceRule
from protos import exchange_pb2 as pb

PLACEMENTS_LIMIT = 32
TMAX_LIMIT_MS = 10_000
CURRENCIES_LIMIT = 32
_LATEST_MS = 4_102_444_800_000  # 2100-01-01
_PRICE_RULES = frozenset((PriceRule.FIRST_PRICE, PriceRule.SECOND_PRICE, PriceRule.QUALITY_WEIGHTED_GSP, PriceRule.VCG))
_REMEMBER = int(Permission.REMEMBER)
_PERSONALISE = int(Permission.PERSONALISE_ADS)


class PageViewReader:
    """Turns `haat.exchange.v1.PageView` into our own PageView; raises InvalidInput with every field that is wrong."""

    def __init__(self, *, currency: str, tmax_ms: int, knows_currency: Callable[[str], bool] = lambda _: False) -> None:
        self._currency = currency
        self._knows_currency = knows_currency
        self._tmax_ms = tmax_ms
        self._placement = Remembered(read_placement)
        self._page = Remembered(read_page)
        self._device = Remembered(read_device)
        self._consent = Remembered(read_consent)

    def from_bytes(self, data: bytes, now_ms: int, publisher_id: str = "") -> PageView:
        """A page view of the tenant `publisher_id` from its serialised form."""
        try:
            return self.read(pb.PageView.FromString(data), now_ms, data, publisher_id)
        except DecodeError:
            raise InvalidInput(
                [
                    FieldError(
                        "PageView", f"{len(data)} bytes that are no such message", "send haat.exchange.v1.PageView"
                    )
                ]
            ) from None

    def read(self, message: pb.PageView, now_ms: int, data: bytes | None = None, publisher_id: str = "") -> PageView:
        """A page view from its message; `data` are its bytes when they are at hand."""
        errors: list[FieldError] = []
        visitor = message.visitor
        permissions = self._consent.of(message.consent, errors)
        url, categories, keywords, product_id = self._page.of(message.page, errors)
        device_type, country, language = self._device.of(message.device, errors)
        segments = tuple(visitor.segments)
        affinities = tuple([(affinity.product_id, affinity.weight) for affinity in visitor.affinities])
        request_id, session_id, visitor_id = message.request_id, message.session_id, visitor.visitor_id
        if len(request_id) > ID_LIMIT or len(session_id) > ID_LIMIT or len(visitor_id) > ID_LIMIT:
            too_long(errors, "request_id", request_id, ID_LIMIT)
            too_long(errors, "session_id", session_id, ID_LIMIT)
            too_long(errors, "visitor.visitor_id", visitor_id, ID_LIMIT)
        if len(segments) > 32 or len(affinities) > 64:
            too_many(errors, "visitor.segments", len(segments), 32)
            too_many(errors, "visitor.affinities", len(affinities), 64)
        if segments and max(map(len, segments)) > WORD_LIMIT:
            for index, word in enumerate(segments):
                too_long(errors, f"visitor.segments[{index}]", word, WORD_LIMIT)
        for index, (product, weight) in enumerate(affinities):
            if len(product) > ID_LIMIT:
                too_long(errors, f"visitor.affinities[{index}].product_id", product, ID_LIMIT)
            if not 0.0 <= weight < math.inf:
                errors.append(
                    FieldError(f"visitor.affinities[{index}].weight", str(weight), "give a finite number from 0 on")
                )
        currency = message.currency
        if currency == self._currency:
            currency = ""
        elif currency and not self._knows_currency(currency):
            errors.append(FieldError("currency", repr(currency[:20]), self._other_currency()))
        currencies = tuple(message.currencies)
        if currencies:
            too_many(errors, "currencies", len(currencies), CURRENCIES_LIMIT)
            for index, code in enumerate(currencies[:CURRENCIES_LIMIT]):
                if not is_currency(code):
                    errors.append(FieldError(f"currencies[{index}]", repr(code[:20]), "give ISO 4217, such as EUR"))
        page_rules = _page_rules(message.page_rules, errors) if message.HasField("page_rules") else None
        price_rule = message.price_rule or PriceRule.SECOND_PRICE
        if price_rule not in _PRICE_RULES:
            remedy = "give 1 (first price), 2 (second price), 501 (generalised second price) or 502 (VCG)"
            errors.append(FieldError("price_rule", str(price_rule), remedy))
        tmax_ms = message.tmax_ms or self._tmax_ms
        if tmax_ms > TMAX_LIMIT_MS:
            errors.append(
                FieldError("tmax_ms", str(tmax_ms), f"give at most {TMAX_LIMIT_MS}, or 0 for {self._tmax_ms}")
            )
        viewed_at_ms = message.viewed_at_ms or now_ms
        if not 0 < viewed_at_ms < _LATEST_MS:
            errors.append(FieldError("viewed_at_ms", str(viewed_at_ms), "give ms since 1970, or 0 for now"))
        read_placement = self._placement.of
        placements = tuple([read_placement(one, errors, index) for index, one in enumerate(message.placements)])
        if not 0 < len(placements) <= PLACEMENTS_LIMIT:
            errors.append(FieldError("placements", f"{len(placements)} of them", f"give 1 to {PLACEMENTS_LIMIT}"))
        if len({placement.placement_id for placement in placements}) < len(placements):
            _name_doubles(errors, placements)
        allowed_seats, blocked_seats = tuple(message.allowed_seats), tuple(message.blocked_seats)
        allowed_languages = tuple([word.lower() for word in message.allowed_languages])
        allowed_categories = tuple([word.lower() for word in message.allowed_categories])
        if allowed_seats or blocked_seats or allowed_languages or allowed_categories:
            for field, words, count in (
                ("allowed_seats", allowed_seats, 64),
                ("blocked_seats", blocked_seats, 64),
                ("allowed_languages", allowed_languages, 64),
                ("allowed_categories", allowed_categories, 256),
            ):
                check_words(errors, field, words, count, WORD_LIMIT)
        if errors:
            raise InvalidInput(errors)
        slots = slots_of_all(placements)
        if len(slots) < (count := sum(map(len, slots))):
            # What is sold stands in the record: a dynamic pod as its slots.
            placements = tuple([slot for of_one in slots for slot in of_one])
            message, data = _with_slots(message, slots), None
            assert len(message.placements) == count
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
            device_type=device_type,
            country=country,
            language=language,
            placements=placements,
            price_rule=price_rule,
            tmax_ms=tmax_ms,
            viewed_at_ms=viewed_at_ms,
            wire=_for_the_log(message, permissions, data),
            currency=currency,
            currencies=currencies,
            page_rules=page_rules,
            publisher_id=publisher_id,
            test=message.test,
            allowed_seats=allowed_seats,
            blocked_seats=blocked_seats,
            allowed_languages=allowed_languages,
            allowed_categories=allowed_categories,
        )

    def _other_currency(self) -> str:
        return f"this exchange sells in {self._currency} and has no rate for that: give another or none"


def _page_rules(message: pb.PageRules, errors: list[FieldError]) -> PageRules:
    for field in ("most_share_per_advertiser", "most_ads_share"):
        share = getattr(message, field)
        if not 0.0 <= share <= 1.0:
            errors.append(FieldError(f"page_rules.{field}", str(share), "give 0.0 to 1.0"))
    return PageRules(
        most_per_advertiser=message.most_per_advertiser if message.HasField("most_per_advertiser") else 1,
        most_share_per_advertiser=message.most_share_per_advertiser,
        separate_products=not message.repeat_products,
        separate_categories=message.separate_categories,
        most_ads=message.most_ads,
        most_ads_share=message.most_ads_share,
    )


def _for_the_log(message: pb.PageView, permissions: int, data: bytes | None) -> bytes:
    """What may be kept of the request: without consent to remember, neither the visitor nor the session; without that
    to personalise, the visitor's id alone.
    """
    if permissions & _REMEMBER:
        visitor = message.visitor
        if (visitor.segments or visitor.affinities) and not permissions & _PERSONALISE:
            kept = pb.PageView()
            kept.CopyFrom(message)
            kept.visitor.ClearField("segments")
            kept.visitor.ClearField("affinities")
            return kept.SerializeToString()
        return data if data is not None else message.SerializeToString()
    if message.HasField("visitor") or message.session_id:
        kept = pb.PageView()
        kept.CopyFrom(message)
        kept.ClearField("visitor")
        kept.ClearField("session_id")
        return kept.SerializeToString()
    return data if data is not None else message.SerializeToString()


def _with_slots(message: pb.PageView, slots: Sequence[Sequence[Placement]]) -> pb.PageView:
    """The same page view with each dynamic pod told as its slots."""
    told = pb.PageView()
    told.CopyFrom(message)
    told.ClearField("placements")
    for placement, of_one in zip(message.placements, slots, strict=True):
        for slot in of_one:
            written = told.placements.add()
            written.CopyFrom(placement)
            if len(of_one) > 1 and slot.video is not None:
                written.placement_id = slot.placement_id
                written.video.CopyFrom(video_message(slot.video))
    return told


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
