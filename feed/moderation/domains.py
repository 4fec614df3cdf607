"""Does this name of a host pretend to be another one? What it looks like, which scripts it mixes, whom it resembles."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from feed.moderation.confusables import skeleton
from feed.moderation.link_lists import TWO_PART_SUFFIXES

_LEAST_TO_RESEMBLE: Final = 5
_LONGEST: Final = 253
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+")


def unicode_of(host: str) -> str:
    """The host as a person sees it: labels in punycode (RFC 3492) written out; those that are broken stay."""
    return ".".join(_label(label) for label in host.split("."))


def _label(label: str) -> str:
    if not label.startswith("xn--") or len(label) > 63:
        return label
    try:
        return unicodedata.normalize("NFC", label[4:].encode("ascii").decode("punycode"))
    except (UnicodeError, ValueError, IndexError, OverflowError):
        return label


def registrable(host: str) -> str:
    """The part that somebody registered: "shop.example.co.uk" is "example.co.uk"."""
    labels = host.split(".")
    keep = 3 if ".".join(labels[-2:]) in TWO_PART_SUFFIXES else 2
    return ".".join(labels[-keep:])


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host is, also in the forms that browsers still take: 0x7f.1, 3232235521, [::1]."""
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        pass
    parts = host.rstrip(".").split(".")
    if len(parts) > 4 or not all(len(part) <= 12 and _NUMBER.fullmatch(part) for part in parts):
        return None
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:
        return None
    *first, last = numbers
    if any(number > 255 for number in first) or last >= 256 ** (5 - len(parts)):
        return None
    whole = last + sum(number << 8 * (3 - at) for at, number in enumerate(first))
    return IPv4Address(whole)


def _number(part: str) -> int:
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8) if len(part) > 1 and part.startswith("0") else int(part)


@lru_cache(maxsize=4_096)
def scripts(label: str) -> frozenset[str]:
    """The scripts of a label's letters by their Unicode names: {"LATIN"}, {"CYRILLIC", "LATIN"} …"""
    names = {unicodedata.name(letter, "UNKNOWN").split(" ")[0] for letter in label if letter.isalpha()}
    # Japanese is written in three scripts, and Korean and Chinese in two.
    return frozenset("EAST ASIAN" if name in ("CJK", "HIRAGANA", "KATAKANA", "HANGUL") else name for name in names)


class Protected:
    """Domains that others pretend to be, ready to be compared with."""

    def __init__(self, domains: Iterable[str]) -> None:
        self.domains = frozenset(domain.casefold() for domain in domains)
        self._names = {skeleton(domain.split(".")[0]): domain for domain in sorted(self.domains)}

    def pretended(self, host: str) -> str:
        """The domain that `host`, as people see it, pretends to be; "" for none, and for the domain itself."""
        own = registrable(host)
        if own in self.domains or len(host) > _LONGEST:
            return ""
        # The same name under another ending is another country's shop more often than a trap.
        name = own.split(".")[0]
        looks = skeleton(name)
        if looks in self._names and name != self._names[looks].split(".")[0]:
            return self._names[looks]
        joined = looks.replace("-", "")
        for known, domain in self._names.items():
            if len(known) > _LEAST_TO_RESEMBLE and known in joined and known != looks:
                return domain
        for part in re.split(r"[.\-]", host.removesuffix(own)) + (re.split("-", name) if "-" in name else []):
            if (meant := self._names.get(skeleton(part))) and len(part) >= _LEAST_TO_RESEMBLE:
                return meant
        return next(
            (
                domain
                for known, domain in self._names.items()
                if len(known) > _LEAST_TO_RESEMBLE and one_slip_apart(looks, known)
            ),
            "",
        )


def one_slip_apart(one: str, other: str) -> bool:
    """Is one the other with a letter added, left out, changed, or two neighbours swapped (Damerau)?"""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    a, b = one[start:], other[start:]
    if len(a) == len(b):
        return a[1:] == b[1:] or (len(a) > 1 and a[0] == b[1] and a[1] == b[0] and a[2:] == b[2:])
    return a[1:] == b if len(a) > len(b) else a == b[1:]
