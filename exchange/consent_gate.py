"""Step 1: what may be used of this visitor? What is not allowed leaves the page view here, before anything reads it."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from common.consent import Permission
from exchange.request import PageView

# Line items under this seat are the house's own: operators alone set them up (exchange/buying_terms.py).
HOUSE_SEAT: Final = "house"
# Plain integers: this runs for every page view, and IntFlag's operators cost a microsecond each.
_REMEMBER = int(Permission.REMEMBER)
_PERSONAL = int(Permission.REMEMBER | Permission.PERSONALISE_ADS)
_HOUSE_ONLY = int(Permission.HOUSE_ADS_ONLY)


def apply(view: PageView) -> PageView:
    """The page view with only what the visitor allows; the same object when all of it is allowed."""
    permissions = view.permissions
    if permissions & _HOUSE_ONLY:
        return _by_the_page_alone(view)
    if permissions & _PERSONAL == _PERSONAL:
        return view
    if not permissions & _REMEMBER:
        return replace(view, visitor_id="", segments=(), affinities=())
    return replace(view, segments=(), affinities=())


def _by_the_page_alone(view: PageView) -> PageView:
    """Neither the session nor the device has a say, and only the house's own ads may stand there."""
    unwanted = view.allowed_seats and HOUSE_SEAT not in view.allowed_seats
    return replace(
        view,
        visitor_id="",
        session_id="",
        segments=(),
        affinities=(),
        country="",
        device_type=0,
        language="",
        allowed_seats=(HOUSE_SEAT,),
        # A publisher that did not let this seat in does not get it now.
        blocked_seats=(*view.blocked_seats, HOUSE_SEAT) if unwanted else view.blocked_seats,
    )
