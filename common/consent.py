"""What may be used of this visitor? Decided once, by this function over this table; the answer travels as bits."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, IntFlag


class Purpose(IntEnum):
    """What a visitor can agree to; the numbers are those of haat.common.v1.Purpose."""

    REMEMBER = 1
    PERSONALISED_ADS = 2
    PERSONALISED_CONTENT = 3
    SHARE_WITH_BIDDERS = 4


class Permission(IntFlag):
    """What the exchange and the feed may do, as bits that travel with a request and into the event log."""

    NONE = 0
    # Keep and read the visitor's id, profile and impression history.
    REMEMBER = 1
    # Choose ads by profile and segments.
    PERSONALISE_ADS = 2
    # Choose posts by profile and segments.
    PERSONALISE_CONTENT = 4
    # Hand the visitor id to outside bidders.
    SHARE = 8
    # Add what is seen of the visitor to an ad profile.
    BUILD_PROFILE = 16
    # Measure ads and attribute conversions by the visitor.
    MEASURE = 32
    # Train models from what the visitor did.
    TRAIN = 64
    # Use a place more exact than two decimals of a degree.
    PRECISE_LOCATION = 128
    # Not a permission but what is left without any: only the house's own ads are shown, chosen by nothing but the page.
    HOUSE_ADS_ONLY = 256


_PURPOSE_GRANTS = {
    Purpose.REMEMBER: Permission.REMEMBER,
    Purpose.PERSONALISED_ADS: Permission.PERSONALISE_ADS,
    Purpose.PERSONALISED_CONTENT: Permission.PERSONALISE_CONTENT,
    Purpose.SHARE_WITH_BIDDERS: Permission.SHARE,
}


def decide(granted: Iterable[int], *, global_privacy_control: bool = False, child_directed: bool = False) -> Permission:
    """The strictest signal wins; what is not granted is refused; unknown purposes grant nothing.

    Personalising needs a profile, so PERSONALISE_* and SHARE without REMEMBER come to nothing.
    """
    if child_directed:
        return Permission.NONE
    bits = Permission.NONE
    for purpose in granted:
        bits |= _PURPOSE_GRANTS.get(purpose, Permission.NONE)  # type: ignore[call-overload]
    if not bits & Permission.REMEMBER:
        return Permission.NONE
    if global_privacy_control:
        bits &= ~(Permission.PERSONALISE_ADS | Permission.SHARE)
    return bits
