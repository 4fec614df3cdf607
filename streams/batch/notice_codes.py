"""Which numbers do recorded notices hold? Those of exchange.billing, which stands above this package.

A test holds the two together.
"""

from __future__ import annotations

from typing import Final

IMPRESSION: Final = 1
CLICK: Final = 2
CONVERSION: Final = 3
VIEWABLE: Final = 4
VIDEO_START: Final = 5
VIDEO_COMPLETE: Final = 9
CORRECTION: Final = 15

# Verdicts of notices that count; one beyond the budget is an impression all the same.
COUNTED: Final = (1, 5)
INVALID: Final = 6

# Reasons why a notice does not count stand from here on, beside those why a bid did not win.
INVALID_FROM: Final = 10_000

# What is counted of notices, by kind.
METRIC_OF: Final = {
    "impressions": IMPRESSION,
    "viewable": VIEWABLE,
    "clicks": CLICK,
    "conversions": CONVERSION,
    "video_starts": VIDEO_START,
    "video_completes": VIDEO_COMPLETE,
}
# haat.feed.v1.Action.Kind
PURCHASE: Final = 12
