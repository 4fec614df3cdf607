"""How does a page view come off the wire, and how does an answer go onto it?

Every field is checked, and all that cannot be taken is named at once. What cannot be used (an unknown device type, a
word longer than any line item's) is tolerated where OpenRTB 2.6 §2.6 asks for it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from google.protobuf.message import DecodeError

from common import consent
from common.consent import Permission
from common.errors import FieldError, InvalidInput
from common.money import is_currency
from exchange.answer import Answer
from exchange.creatives.ad_facts import AdFacts
from exchange.page_rules import PageRules
from exchange.placement_wire import ID_LIMIT, check_words, read_placement, too_long, too_many
from exchange.request import PageView, Placement, PriceRule
from protos import exchange_pb2 as pb

WORD_LIMIT = 64
URL_LIMIT = 2048
PLACEMENTS_LIMIT = 32
TMAX_LIMIT_MS = 10_000
CURRENCIES_LIMIT = 32
_LATEST_MS = 4_102_444_800_000  # 2100-01-01
_PRICE_RULES = frozenset((PriceRule.FIRST_PRICE, PriceRule.SECOND_PRICE, PriceRule.QUALITY_WEIGHTED_GSP, PriceRule.VCG))
_COUNTRY = re.compile(r"[A-Z]{2}")
_REMEMBER = int(Permission.REMEMBER)
# What the reader remembers of placements is bounded, whatever it is sent.
_REMEMBERED_PLACEMENTS = 10_000
_REMEMBERED_BYTES = 2_048
_TEMPLATES = 100_000


class PageViewReader:
    """Turns `haat.exchange.v1.PageView` into our own PageView; raises InvalidInput with every field that is wrong."""

    def __init__(self, *, currency: str, tmax_ms: int, knows_currency: Callable[[str], bool] = lambda _: False) -> None:
        self._currency = currency
        self._knows_currency = knows_currency
        self._tmax_ms = tmax_ms
        # A shop's placements are the same on every page view: read once, known by their bytes.
        self._placements: dict[bytes, Placement] = {}

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
            too_long(errors, "request_id", request_id, ID_LIMIT)
            too_long(errors, "session_id", session_id, ID_LIMIT)
            too_long(errors, "visitor.visitor_id", visitor_id, ID_LIMIT)
            too_long(errors, "page.product_id", product_id, ID_LIMIT)
        if len(url) > URL_LIMIT:
            too_long(errors, "page.url", url, URL_LIMIT)
        if len(language) > WORD_LIMIT:
            too_long(errors, "device.language", language, WORD_LIMIT)
        if country and not _COUNTRY.fullmatch(country):
            errors.append(FieldError("device.country", repr(country[:20]), "give ISO 3166-1 alpha-2, such as DE"))
        if len(segments) > 32 or len(categories) > 32 or len(keywords) > 64 or len(affinities) > 64:
            too_many(errors, "visitor.segments", len(segments), 32)
            too_many(errors, "page.categories", len(categories), 32)
            too_many(errors, "page.keywords", len(keywords), 64)
            too_many(errors, "visitor.affinities", len(affinities), 64)
        for field, words in (
            ("visitor.segments", segments),
            ("page.categories", categories),
            ("page.keywords", keywords),
        ):
            if words and max(map(len, words)) > WORD_LIMIT:
                for index, word in enumerate(words):
                    too_long(errors, f"{field}[{index}]", word, WORD_LIMIT)
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
        placements = tuple([self._placement(p, index, errors) for index, p in enumerate(message.placements)])
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

    def _placement(self, message: pb.Placement, index: int, errors: list[FieldError]) -> Placement:
        data = message.SerializeToString()
        known = self._placements.get(data)
        if known is None:
            wrong_before = len(errors)
            known = read_placement(message, index, errors)
            if len(errors) == wrong_before and len(data) <= _REMEMBERED_BYTES:
                if len(self._placements) >= _REMEMBERED_PLACEMENTS:
                    self._placements.clear()
                self._placements[data] = known
        return known


@lru_cache(maxsize=1024)
def _permissions(granted: tuple[int, ...], global_privacy_control: bool, child_directed: bool) -> int:
    return int(consent.decide(granted, global_privacy_control=global_privacy_control, child_directed=child_directed))


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
            if ad.currency and ad.currency != self._currency:
                written.currency = ad.currency
            if ad.deal_id:
                written.deal_id = ad.deal_id
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
