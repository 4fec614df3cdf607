"""How are campaigns, line items and creatives found by name, state, advertiser, format and more?"""

from __future__ import annotations

import unicodedata
from enum import IntEnum
from typing import Protocol

import msgspec
import regex

from common.errors import FieldError, InvalidInput

MAX_TEXT_CHARS = 200
MOST_WORDS = 16
MOST_HITS = 500
# Nobody looks further; who wants all lists them.
MOST_OFFSET = 10_000
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")


class Found(IntEnum):
    """What can be found."""

    CAMPAIGN = 1
    LINE_ITEM = 2
    CREATIVE = 3


class CampaignQuery(msgspec.Struct, frozen=True):
    """What is looked for, all of which must be met; empty fields ask for nothing.

    Each word of `text` must begin a word of the name (of a creative: its title), whatever its case or accents.
    `states` are exchange.campaign_values.State, which creatives have none of; `formats` and `review_states` are those
    of a creative, or of one of a line item's creatives; campaigns have none.
    """

    tenant_id: str
    kinds: tuple[Found, ...] = (Found.CAMPAIGN, Found.LINE_ITEM)
    text: str = ""
    states: tuple[int, ...] = ()
    advertiser_ids: tuple[str, ...] = ()
    campaign_ids: tuple[str, ...] = ()
    formats: tuple[int, ...] = ()
    review_states: tuple[int, ...] = ()
    pricing_models: tuple[int, ...] = ()
    currencies: tuple[str, ...] = ()
    offset: int = 0
    limit: int = 50


class CampaignHit(msgspec.Struct, frozen=True):
    """One thing that was found; `state` is 0 for a creative, `campaign_id` its own id for a campaign."""

    kind: Found
    id: str
    number: int
    name: str
    state: int
    advertiser_id: str
    advertiser_name: str
    campaign_id: str
    formats: tuple[int, ...]


class CampaignHits(msgspec.Struct, frozen=True):
    """One page, the newest first (campaigns before line items before creatives), and how many there are in all."""

    hits: tuple[CampaignHit, ...]
    total: int


class CampaignSearch(Protocol):
    """Finds what advertisers set up; never shows anything of another tenant."""

    def find(self, query: CampaignQuery) -> CampaignHits:
        """One page of what is met. An index may be behind the record by the time that changes take to reach it."""


def words_of(text: str) -> list[str]:
    """The words of a name or a question as they are compared: case folded, accents off, each once."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", text).casefold())
    plain = "".join(char for char in folded if not unicodedata.combining(char))
    return list(dict.fromkeys(_WORD.findall(plain)))


def check(query: CampaignQuery) -> None:
    """InvalidInput names each field of a question that cannot be asked."""
    errors = []
    if len(query.text) > MAX_TEXT_CHARS:
        errors.append(FieldError("text", f"{len(query.text)} characters", f"give at most {MAX_TEXT_CHARS}"))
    elif query.text and not words_of(query.text):
        errors.append(FieldError("text", query.text[:40], "give at least one letter or digit, or nothing"))
    elif len(words_of(query.text)) > MOST_WORDS:
        errors.append(FieldError("text", f"{len(words_of(query.text))} words", f"give at most {MOST_WORDS}"))
    if not 1 <= query.limit <= MOST_HITS:
        errors.append(FieldError("limit", str(query.limit), f"give 1 to {MOST_HITS}"))
    if not 0 <= query.offset <= MOST_OFFSET:
        errors.append(FieldError("offset", str(query.offset), f"give 0 to {MOST_OFFSET}, or narrow the question"))
    for name in (
        "states",
        "advertiser_ids",
        "campaign_ids",
        "formats",
        "review_states",
        "pricing_models",
        "currencies",
    ):
        if len(getattr(query, name)) > 100:
            errors.append(FieldError(name, f"{len(getattr(query, name))} values", "give at most 100"))
    if errors:
        raise InvalidInput(errors)


def concerns(query: CampaignQuery) -> tuple[Found, ...]:
    """The kinds that can meet the question at all: what a kind does not have cannot be asked of it."""
    kinds = set(query.kinds)
    if query.states:
        kinds.discard(Found.CREATIVE)
    if query.formats or query.review_states:
        kinds.discard(Found.CAMPAIGN)
    if query.pricing_models:
        kinds &= {Found.LINE_ITEM}
    if query.currencies or query.campaign_ids:
        kinds.discard(Found.CREATIVE)
    return tuple(sorted(kinds))
