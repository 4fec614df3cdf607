"""What may stand together on one page? Rules of the publisher over all placements of a page view."""

from __future__ import annotations

import math
from typing import Final

import msgspec

SEPARATE_PRODUCTS: Final = 1
SEPARATE_CATEGORIES: Final = 2
# Stands for "as many as you like"; more placements than any page view may have.
NO_LIMIT: Final = 1 << 20


class PageRules(msgspec.Struct, frozen=True, gc=False):
    """Page-wide rules; the defaults are: each advertiser once, each product once.

    `most_per_advertiser` ads of one advertiser (0: as many as it wins), and no more than `most_share_per_advertiser` of
    the page's placements (0.0: no such limit). `separate_products` shows a product once. `separate_categories` keeps
    competitors apart: creatives of one category by different advertisers do not meet. The page carries at most
    `most_ads` ads (0: no limit), and no more than `most_ads_share` of its placements (0.0: no such limit). A share is
    rounded down, to one placement at the least.
    """

    most_per_advertiser: int = 1
    most_share_per_advertiser: float = 0.0
    separate_products: bool = True
    separate_categories: bool = False
    most_ads: int = 0
    most_ads_share: float = 0.0

    def limits(self, placements: int) -> tuple[int, int, int]:
        """(most ads of one advertiser, most ads, SEPARATE_… bits) on a page of so many placements."""
        separate = SEPARATE_PRODUCTS * self.separate_products | SEPARATE_CATEGORIES * self.separate_categories
        return (
            _least(self.most_per_advertiser, self.most_share_per_advertiser, placements),
            _least(self.most_ads, self.most_ads_share, placements),
            separate,
        )


USUAL: Final = PageRules()


def _least(count: int, share: float, placements: int) -> int:
    by_count = min(count, NO_LIMIT) if count > 0 else NO_LIMIT
    # A third of three placements is one of them, though 1/3 in binary is a little less.
    by_share = max(1, math.floor(share * placements + 1e-9)) if share > 0.0 else NO_LIMIT
    return min(by_count, by_share)
