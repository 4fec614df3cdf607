"""Step 1: what may be used of this visitor? What is not allowed leaves the page view here, before anything reads it."""

from __future__ import annotations

from msgspec.structs import replace

from common.consent import Permission
from exchange.request import PageView

# Plain integers: this runs for every page view, and IntFlag's operators cost a microsecond each.
_REMEMBER = int(Permission.REMEMBER)
_PERSONAL = int(Permission.REMEMBER | Permission.PERSONALISE_ADS)


def apply(view: PageView) -> PageView:
    """The page view with only what the visitor allows; the same object when all of it is allowed."""
    permissions = view.permissions
    if permissions & _PERSONAL == _PERSONAL:
        return view
    if not permissions & _REMEMBER:
        return replace(view, visitor_id="", segments=(), affinities=())
    return replace(view, segments=(), affinities=())
