"""Which floors did somebody set? Rules by publisher, placement, category, country, device, size and format, checked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import msgspec

from common.errors import FieldError, InvalidInput
from common.money import ABSURD_PRICE_MICROS
from exchange.request import Format

MAX_RULES = 10_000
MAX_FILE_BYTES = 4 << 20
_WORD_CHARS = 64
_SIZE = re.compile(r"[1-9]\d{0,4}x[1-9]\d{0,4}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_RULE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,47}")


class FloorRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One floor per thousand impressions, in the exchange's currency; an empty condition matches everything."""

    rule_id: str
    floor_micros: int
    publisher: str = ""
    placement: str = ""
    category: str = ""
    country: str = ""
    device: int = 0
    size: str = ""
    format: int = 0


class FloorRules(msgspec.Struct, frozen=True):
    """Rules that hold together; `version` is the beginning of the hash of what they say."""

    version: str
    rules: tuple[FloorRule, ...]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    currency: str
    rules: list[FloorRule]


def read_rules(data: bytes, currency: str) -> FloorRules:
    """Rules from JSON `{"currency": "EUR", "rules": [{"rule_id": …, "floor_micros": …, …}]}`.

    InvalidInput names every rule that cannot be taken.
    """
    if len(data) > MAX_FILE_BYTES:
        raise InvalidInput([FieldError("floors", f"{len(data)} bytes", f"give at most {MAX_FILE_BYTES}")])
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        remedy = 'write {"currency": "EUR", "rules": [{"rule_id": "all", "floor_micros": 500000}]}'
        raise InvalidInput([FieldError("floors", str(error)[:200], remedy)]) from None
    errors: list[FieldError] = []
    if file.currency != currency:
        errors.append(FieldError("currency", repr(file.currency[:20]), f"this exchange sells in {currency}"))
    return checked_rules(file.rules, currency, errors)


def checked_rules(
    given: Sequence[FloorRule], currency: str, errors: list[FieldError] | None = None, first: int = 0
) -> FloorRules:
    """Rules that may hold together; InvalidInput, with `errors` of before, names every one that cannot be taken.

    They are counted from `first` on: those before it were taken long ago.
    """
    errors = errors if errors is not None else []
    if len(given) > MAX_RULES:
        raise InvalidInput([FieldError("rules", f"{len(given)} of them", f"give at most {MAX_RULES}")])
    seen: set[tuple[str, str]] = set()
    for at, rule in enumerate(given):
        _check(f"rules[{at - first}]", rule, seen, errors)
    if errors:
        raise InvalidInput(errors)
    rules = tuple(msgspec.structs.replace(rule, category=rule.category.lower()) for rule in given)
    written = msgspec.json.encode((currency, rules))
    return FloorRules(hashlib.sha256(written).hexdigest()[:12], rules)


def write_rules(rules: FloorRules, currency: str) -> bytes:
    """The JSON that `read_rules` reads."""
    return msgspec.json.format(msgspec.json.encode({"currency": currency, "rules": rules.rules})) + b"\n"


def _check(at: str, rule: FloorRule, seen: set[tuple[str, str]], errors: list[FieldError]) -> None:
    if not _RULE_ID.fullmatch(rule.rule_id):
        remedy = "give 1 to 48 letters, digits, dots, dashes"
        errors.append(FieldError(f"{at}.rule_id", repr(rule.rule_id[:60]), remedy))
    elif (rule.publisher, rule.rule_id) in seen:
        errors.append(FieldError(f"{at}.rule_id", f"{rule.rule_id!r} stands twice", "give each rule an id of its own"))
    seen.add((rule.publisher, rule.rule_id))
    if not 0 <= rule.floor_micros <= ABSURD_PRICE_MICROS:
        errors.append(FieldError(f"{at}.floor_micros", str(rule.floor_micros), f"give 0 to {ABSURD_PRICE_MICROS}"))
    for name, word in (("publisher", rule.publisher), ("placement", rule.placement), ("category", rule.category)):
        if len(word) > _WORD_CHARS or not word.isprintable():
            errors.append(FieldError(f"{at}.{name}", repr(word[:60]), f"give at most {_WORD_CHARS} plain characters"))
    if rule.country and not _COUNTRY.fullmatch(rule.country):
        errors.append(FieldError(f"{at}.country", repr(rule.country[:20]), "give ISO 3166-1 alpha-2, such as DE"))
    if rule.size and not _SIZE.fullmatch(rule.size):
        errors.append(FieldError(f"{at}.size", repr(rule.size[:20]), "write it as 300x250"))
    if not 0 <= rule.device <= 7:
        errors.append(FieldError(f"{at}.device", str(rule.device), "give a device type from 1 on, or leave it out"))
    if rule.format and rule.format not in list(Format):
        errors.append(FieldError(f"{at}.format", str(rule.format), "give 1 banner, 2 listing, 3 video or 4 native"))
