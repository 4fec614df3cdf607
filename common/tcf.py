"""What does a TC string say? The Transparency & Consent Framework's string, versions 2.2 and 2.3, read to the bit.

Layout: IAB Tech Lab, "Consent string and vendor list formats v2". TCF 2.3 makes the segment of disclosed vendors
mandatory for strings made after 28 February 2026; older strings stay valid without it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Final

from common.bits import BitReader
from common.vendor_ids import VendorIds

# 2026-03-01 00:00 UTC in the string's unit of tenths of a second.
DISCLOSURE_MANDATORY_FROM_DS: Final = 17_723_232_000
CONSENT_ONLY: Final = frozenset({1, 3, 4, 5, 6})
_LONGEST_STRING = 16_384
# Real ones are shorter; what is longer is read each time, so that nobody fills the memory with them.
_LONGEST_KEPT = 2_048
_MOST_VENDORS = 0xFFFF
_DISCLOSED_VENDORS = 1
_PURPOSES = 24
_FEATURES = 12


class Restriction(IntEnum):
    """What a publisher restricts a purpose to, for some vendors."""

    FORBIDDEN = 0
    CONSENT = 1
    LEGITIMATE_INTEREST = 2


class Basis(IntEnum):
    """What a vendor may rely on for a purpose."""

    NOTHING = 0
    CONSENT = 1
    LEGITIMATE_INTEREST = 2


class Restrictions(Mapping[tuple[int, int], Restriction]):
    """What publishers restrict, by (purpose, vendor); kept by runs of vendors."""

    def __init__(self, vendors: Mapping[tuple[int, Restriction], VendorIds]) -> None:
        self._vendors = vendors

    def __getitem__(self, key: tuple[int, int]) -> Restriction:
        purpose, vendor_id = key
        kinds = [kind for kind in Restriction if vendor_id in self._vendors.get((purpose, kind), ())]
        if not kinds:
            raise KeyError(key)
        # Two restrictions of one purpose and vendor contradict each other: nothing is left.
        return kinds[0] if len(kinds) == 1 else Restriction.FORBIDDEN

    def __iter__(self) -> Iterator[tuple[int, int]]:
        pairs = ((purpose, vendor) for (purpose, _), vendors in self._vendors.items() for vendor in vendors)
        yield from dict.fromkeys(pairs)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True)
class TcString:
    """A decoded string; times in tenths of a second since 1970, sets hold ids from 1 on.

    `restrictions` maps (purpose, vendor) to its type; `disclosed_vendors` is None where the segment is missing.
    """

    created_ds: int
    cmp_id: int
    vendor_list_version: int
    policy_version: int
    service_specific: bool
    purpose_one_treatment: bool
    publisher_country: str
    special_features: frozenset[int]
    purpose_consents: frozenset[int]
    purpose_interests: frozenset[int]
    vendor_consents: Set[int]
    vendor_interests: Set[int]
    restrictions: Mapping[tuple[int, int], Restriction]
    disclosed_vendors: Set[int] | None


@dataclass(frozen=True, slots=True)
class Vendor:
    """What a vendor declares in the vendor list."""

    purposes: frozenset[int] = field(default_factory=frozenset)
    interests: frozenset[int] = field(default_factory=frozenset)
    flexible: frozenset[int] = field(default_factory=frozenset)


def decode(text: str) -> TcString:
    """The string's content. ValueError when it is no TC string of version 2 or is cut off."""
    if len(text) > _LONGEST_STRING:
        raise ValueError(f"a TC string of {len(text)} characters: at most {_LONGEST_STRING} are read")
    return _decode(text) if len(text) > _LONGEST_KEPT else _kept(text)


@lru_cache(maxsize=2048)
def _kept(text: str) -> TcString:
    return _decode(text)


def _decode(text: str) -> TcString:
    core, *segments = text.split(".")
    bits = BitReader(core)
    version = bits.take(6)
    if version != 2:
        raise ValueError(f"a TC string of version {version}: only version 2 is read")
    created_ds = bits.take(36)
    bits.take(36)  # last updated
    cmp_id = bits.take(12)
    bits.take(12 + 6 + 12)  # version of the consent platform, its screen, the language
    vendor_list_version, policy_version = bits.take(12), bits.take(6)
    service_specific = bits.flag()
    bits.flag()  # non-standard texts
    features, consents, interests = bits.ids(_FEATURES), bits.ids(_PURPOSES), bits.ids(_PURPOSES)
    one_treatment = bits.flag()
    country = "".join(chr(ord("A") + bits.take(6)) for _ in range(2))
    vendor_consents, vendor_interests = _vendors(bits), _vendors(bits)
    restrictions = _restrictions(bits)
    return TcString(
        created_ds=created_ds,
        cmp_id=cmp_id,
        vendor_list_version=vendor_list_version,
        policy_version=policy_version,
        service_specific=service_specific,
        purpose_one_treatment=one_treatment,
        publisher_country=country,
        special_features=features,
        purpose_consents=consents,
        purpose_interests=interests,
        vendor_consents=vendor_consents,
        vendor_interests=vendor_interests,
        restrictions=restrictions,
        disclosed_vendors=_disclosed(segments),
    )


def basis(tc: TcString, vendor_id: int, purpose: int, declared: Vendor | None) -> Basis:
    """What `vendor_id` may rely on for `purpose` (1 to 11); IAB Europe, TCF Implementation Guidelines.

    `declared` is the vendor's entry of the vendor list. Without one only consent counts.
    """
    if tc.disclosed_vendors is None:
        if tc.created_ds >= DISCLOSURE_MANDATORY_FROM_DS:
            return Basis.NOTHING
    elif vendor_id not in tc.disclosed_vendors:
        return Basis.NOTHING
    wanted = _declared_basis(purpose, declared)
    restriction = tc.restrictions.get((purpose, vendor_id))
    if restriction is Restriction.FORBIDDEN or wanted is Basis.NOTHING:
        return Basis.NOTHING
    if restriction is not None and restriction != wanted.value:
        if declared is None or purpose not in declared.flexible:
            return Basis.NOTHING
        wanted = Basis(restriction.value)
    if wanted is Basis.CONSENT:
        given = purpose in tc.purpose_consents and vendor_id in tc.vendor_consents
    else:
        given = purpose not in CONSENT_ONLY and purpose in tc.purpose_interests and vendor_id in tc.vendor_interests
    return wanted if given else Basis.NOTHING


def _declared_basis(purpose: int, declared: Vendor | None) -> Basis:
    if declared is None or purpose in declared.purposes:
        return Basis.CONSENT
    return Basis.LEGITIMATE_INTEREST if purpose in declared.interests else Basis.NOTHING


def _vendors(bits: BitReader) -> VendorIds:
    """A set of vendors: a bit field, or ranges."""
    most = bits.take(16)
    if not bits.flag():
        return VendorIds.of_field(bits.take(most), most)
    return VendorIds(_ranges(bits, most))


def _ranges(bits: BitReader, most: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for _ in range(bits.take(12)):
        is_range = bits.flag()
        first = bits.take(16)
        last = bits.take(16) if is_range else first
        if not 0 < first <= last <= most:
            raise ValueError(f"vendors {first} to {last} are no range within 1 to {most}")
        found.append((first, last))
    return found


def _restrictions(bits: BitReader) -> Restrictions:
    ranges: defaultdict[tuple[int, Restriction], list[tuple[int, int]]] = defaultdict(list)
    for _ in range(bits.take(12)):
        purpose, kind = bits.take(6), bits.take(2)
        vendors = _ranges(bits, _MOST_VENDORS)
        if kind <= Restriction.LEGITIMATE_INTEREST:  # the one beyond is reserved by the standard
            ranges[purpose, Restriction(kind)] += vendors
    return Restrictions({key: VendorIds(named) for key, named in ranges.items()})


def _disclosed(segments: Sequence[str]) -> VendorIds | None:
    disclosed = None
    for segment in segments:
        bits = BitReader(segment)
        if bits.take(3) == _DISCLOSED_VENDORS:
            disclosed = _vendors(bits)
    return disclosed
