"""Which bid may not win beside those that have won? The rules over the page, as clearing asks them."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from exchange.eligibility import CODE_INDEX
from exchange.refusals import Refusal
from ranking.kernel_cache import inlined, kernel

_BRAND = CODE_INDEX[Refusal.BRAND_ON_PAGE]
_PRODUCT = CODE_INDEX[Refusal.PRODUCT_ON_PAGE]
_CATEGORY = CODE_INDEX[Refusal.CATEGORY_ON_PAGE]


@inlined
def keep_out(placement_of, advertiser, product, category, kept_out, namesakes, most, separate, first, last, winner):
    """Mark the bids for other placements that may not win beside `winner`, with the rule's index into CODES.

    `separate` has the SEPARATE_… bits of exchange.page_rules. Order does not matter: a set of bids is allowed when each
    of them is allowed beside the others.
    """
    for row in range(first, last):
        if placement_of[row] == placement_of[winner]:
            continue
        if advertiser[row] == advertiser[winner]:
            namesakes[row] += 1
            if namesakes[row] >= most and kept_out[row] == 0:
                kept_out[row] = _BRAND
        elif separate & 2 != 0 and category[row] >= 0 and category[row] == category[winner] and kept_out[row] == 0:
            kept_out[row] = _CATEGORY
        if separate & 1 != 0 and product[row] >= 0 and product[row] == product[winner] and kept_out[row] == 0:
            kept_out[row] = _PRODUCT


@kernel
def rivals(advertiser, product, category, most, separate, first, last):
    """(rows, rows): may two bids of a page not win together? Those that an advertiser may win are counted elsewhere."""
    count = last - first
    apart = np.zeros((count, count), np.uint8)
    for one in range(first, last):
        for other in range(first, one):
            if advertiser[one] == advertiser[other]:
                kept = most <= 1
            else:
                kept = separate & 2 != 0 and category[one] >= 0 and category[one] == category[other]
            if kept or (separate & 1 != 0 and product[one] >= 0 and product[one] == product[other]):
                apart[one - first, other - first] = 1
                apart[other - first, one - first] = 1
    return apart
