"""What does a page view say of its page, its device and what was agreed to? The parts that most page views share.

A shop's pages, devices and placements are the same again and again: each part is read and checked once for each of its
spellings, and known by its bytes afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from common import consent
from common.errors import FieldError
from exchange.placement_wire import ID_LIMIT, Errors, too_long, too_many
from protos import common_pb2 as pb

WORD_LIMIT: Final = 64
URL_LIMIT: Final = 2048
_COUNTRY = re.compile(r"[A-Z]{2}")
# What is remembered of a kind of part is bounded, whatever is sent.
_REMEMBERED: Final = 10_000


class _Part(Protocol):
    def SerializeToString(self) -> bytes: ...  # noqa: N802  # as protobuf has it


P = TypeVar("P", bound=_Part)
T = TypeVar("T")


class Remembered(Generic[P, T]):
    """Reads one kind of part; `read` gets a part, its place among its like, and where to add what is wrong with it.

    A part of more than `most_bytes` is read each time.
    """

    def __init__(self, read: Callable[[P, int, Errors], T], *, most_bytes: int = 2_048) -> None:
        self._read = read
        self._most_bytes = most_bytes
        self._known: dict[bytes, T] = {}

    def of(self, part: P, errors: Errors, index: int = 0) -> T:
        """What the part says; what is wrong with it is added to `errors`, each time that it comes."""
        data = part.SerializeToString()
        known = self._known.get(data)
        return known if known is not None else self._learn(data, part, index, errors)

    def of_bytes(self, data: bytes, parse: Callable[[bytes], P], errors: Errors) -> T:
        """The same of a part that is parsed only when it is new; raises what `parse` raises."""
        known = self._known.get(data)
        return known if known is not None else self._learn(data, parse(data), 0, errors)

    def _learn(self, data: bytes, part: P, index: int, errors: Errors) -> T:
        wrong_before = len(errors)
        known = self._read(part, index, errors)
        if len(errors) == wrong_before and len(data) <= self._most_bytes:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[data] = known
        return known


class PageContext(NamedTuple):
    """What the page is about; words in lower case, as line items have them."""

    url: str
    categories: tuple[str, ...]
    keywords: tuple[str, ...]
    product_id: str


class DeviceContext(NamedTuple):
    """What it is looked at with; the country as ISO 3166-1 has it, the language in lower case."""

    type: int
    country: str
    language: str


def read_page(page: pb.Page, _: int, errors: Errors) -> PageContext:
    """The page of a page view."""
    categories = tuple([word.lower() for word in page.categories])
    keywords = tuple([word.lower() for word in page.keywords])
    too_long(errors, "page.product_id", page.product_id, ID_LIMIT)
    too_long(errors, "page.url", page.url, URL_LIMIT)
    too_many(errors, "page.categories", len(categories), 32)
    too_many(errors, "page.keywords", len(keywords), 64)
    for field, words in (("page.categories", categories), ("page.keywords", keywords)):
        for index, word in enumerate(words):
            too_long(errors, f"{field}[{index}]", word, WORD_LIMIT)
    return PageContext(page.url, categories, keywords, page.product_id)


def read_device(device: pb.Device, _: int, errors: Errors) -> DeviceContext:
    """The device of a page view."""
    language, country = device.language.lower(), device.country
    too_long(errors, "device.language", language, WORD_LIMIT)
    if country and not _COUNTRY.fullmatch(country):
        errors.append(FieldError("device.country", repr(country[:20]), "give ISO 3166-1 alpha-2, such as DE"))
    return DeviceContext(device.type, country, language)


def read_consent(agreed: pb.Consent, _index: int, _errors: Errors) -> int:
    """The bits of common.consent.Permission that were agreed to."""
    return int(
        consent.decide(
            tuple(agreed.granted),
            global_privacy_control=agreed.global_privacy_control,
            child_directed=agreed.child_directed,
        )
    )
