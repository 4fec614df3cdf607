"""What of a page view is the same for many of them? Its page, device, consent, placements and rules: all but who looks.

A part is read and checked once for each of its spellings and known by its bytes afterwards, and so is all of it
together; the parts are known by themselves too, as a new page is mostly an old one with another address.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from common.errors import FieldError
from common.money import is_currency
from exchange.context_wire import WORD_LIMIT, Remembered, read_consent, read_device, read_page
from exchange.creatives.pods import slots_of_all
from exchange.page_rules import PageRules
from exchange.placement_wire import Errors, check_words, read_placement, too_many, video_message
from exchange.request import Placement, PriceRule
from protos import exchange_pb2 as pb

PLACEMENTS_LIMIT = 32
TMAX_LIMIT_MS = 10_000
CURRENCIES_LIMIT = 32
_PRICE_RULES: Final = frozenset(
    (PriceRule.FIRST_PRICE, PriceRule.SECOND_PRICE, PriceRule.QUALITY_WEIGHTED_GSP, PriceRule.VCG)
)


class SharedParts(NamedTuple):
    """`asked` are the fields of exchange.request.PageView from `url` to `tmax_ms`, and `limits` those from `test` to
    `allowed_categories`, each in its order. `currency` is as it was sent. `wire` are the bytes for the log where they
    are others than those that came: a dynamic pod stands there as its slots.
    """

    permissions: int
    asked: tuple[object, ...]
    limits: tuple[object, ...]
    currency: str
    currencies: tuple[str, ...]
    page_rules: PageRules | None
    wire: bytes | None


class SharedPartsReader:
    """Reads them; `tmax_ms` is that of page views that say none."""

    def __init__(self, tmax_ms: int) -> None:
        self._tmax_ms = tmax_ms
        self._placement = Remembered(read_placement)
        self._page = Remembered(read_page)
        self._device = Remembered(read_device)
        self._consent = Remembered(read_consent)

    def read(self, message: pb.PageView, _index: int, errors: Errors) -> SharedParts:
        """All of a page view but who looks and when; what is wrong is added to `errors`."""
        permissions = self._consent.of(message.consent, errors)
        url, categories, keywords, product_id = self._page.of(message.page, errors)
        device_type, country, language = self._device.of(message.device, errors)
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
        placements = tuple([self._placement.of(one, errors, index) for index, one in enumerate(message.placements)])
        if not 0 < len(placements) <= PLACEMENTS_LIMIT:
            errors.append(FieldError("placements", f"{len(placements)} of them", f"give 1 to {PLACEMENTS_LIMIT}"))
        if len({placement.placement_id for placement in placements}) < len(placements):
            _name_doubles(errors, placements)
        limits = _limits(message, errors)
        wire = None
        if not errors:
            slots = slots_of_all(placements)
            if len(slots) < sum(map(len, slots)):
                # What is sold stands in the record: a dynamic pod as its slots.
                placements = tuple([slot for of_one in slots for slot in of_one])
                wire = _with_slots(message, slots).SerializeToString()
        return SharedParts(
            permissions,
            (
                *(url, categories, keywords, product_id, device_type, country, language),
                *(placements, price_rule, tmax_ms),
            ),
            limits,
            message.currency,
            currencies,
            page_rules,
            wire,
        )


def _limits(message: pb.PageView, errors: Errors) -> tuple[object, ...]:
    seats, blocked_seats = tuple(message.allowed_seats), tuple(message.blocked_seats)
    languages = tuple([word.lower() for word in message.allowed_languages])
    categories = tuple([word.lower() for word in message.allowed_categories])
    for field, words, count in (
        ("allowed_seats", seats, 64),
        ("blocked_seats", blocked_seats, 64),
        ("allowed_languages", languages, 64),
        ("allowed_categories", categories, 256),
    ):
        check_words(errors, field, words, count, WORD_LIMIT)
    return message.test, seats, blocked_seats, languages, categories


def _page_rules(message: pb.PageRules, errors: Errors) -> PageRules:
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


def _name_doubles(errors: Errors, placements: Iterable[Placement]) -> None:
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
