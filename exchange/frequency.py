"""How often may somebody see it whom nobody can recognise? The share of page views that a capped line item then takes.

A page view without a visitor and without a session cannot be counted against a cap. Showing everything would break the
cap for everybody who keeps to himself, showing nothing would punish publishers for their visitors' privacy. So whoever
is not known is taken for a heavy visitor, and a capped line item takes so small a share of these page views that such a
visitor is expected to see it no oftener than the cap says. Which page views these are is drawn from the auction's id:
the same auction always falls the same way.
"""

from __future__ import annotations

# A heavy visitor: two page views at once, and thirty over a day.
PAGE_VIEWS_AT_ONCE = 2
PAGE_VIEWS_A_DAY = 30
_DAY_S = 86_400
WHOLE = 1 << 32


def unrecognised_share(impressions: int, window_s: int) -> int:
    """The share of page views, out of 2^32, in which a line item with this cap may take part."""
    expected = PAGE_VIEWS_AT_ONCE + (PAGE_VIEWS_A_DAY - PAGE_VIEWS_AT_ONCE) * window_s / _DAY_S
    return min(WHOLE, int(WHOLE * impressions / expected))
