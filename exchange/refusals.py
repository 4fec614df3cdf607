"""Why did a bid not win? Every refused bid carries one of these numbers.

Numbers below 1000 are OpenRTB's loss reason codes (AdCOM 1.0, List: Loss Reason Codes); from 1000 on they are the
exchange's own, as the list allows.
"""

from __future__ import annotations

from enum import IntEnum


class Refusal(IntEnum):
    """The outcome of a bid; WON is 0."""

    WON = 0
    INVALID_BID = 3
    BELOW_FLOOR = 100
    LOST_TO_HIGHER_BID = 102
    CREATIVE_PENDING = 201
    CREATIVE_REFUSED = 202
    SIZE_NOT_ALLOWED = 203
    FORMAT_NOT_ALLOWED = 204
    ADVERTISER_BLOCKED = 205
    CATEGORY_BLOCKED = 209
    BUDGET_EXHAUSTED = 1000
    FREQUENCY_CAPPED = 1001
    OUT_OF_SCHEDULE = 1002
    WRONG_CURRENCY = 1003
    BRAND_ON_PAGE = 1004
    PRODUCT_ON_PAGE = 1005
    BIDDER_LATE = 1006
    BIDDER_FAILED = 1007
    NOT_WORTH_BIDDING = 1008
    OUT_OF_STOCK = 1009


# Why a placement stayed empty when not a single bid came in for it; no bid can have this outcome.
NO_BIDS = 1999

MEANINGS: dict[Refusal, str] = {
    Refusal.WON: "won",
    Refusal.INVALID_BID: "the bid is malformed: its price, its placement or its creative",
    Refusal.BELOW_FLOOR: "worth less than the placement's floor",
    Refusal.LOST_TO_HIGHER_BID: "a better bid took the placement",
    Refusal.CREATIVE_PENDING: "the creative has not been reviewed yet",
    Refusal.CREATIVE_REFUSED: "the creative was refused in review",
    Refusal.SIZE_NOT_ALLOWED: "the creative's size does not fit the placement",
    Refusal.FORMAT_NOT_ALLOWED: "the creative's format is not offered by the placement",
    Refusal.ADVERTISER_BLOCKED: "the publisher blocks this advertiser",
    Refusal.CATEGORY_BLOCKED: "the publisher blocks this category",
    Refusal.BUDGET_EXHAUSTED: "the line item or its campaign has no money left to reserve",
    Refusal.FREQUENCY_CAPPED: "the visitor has seen this line item as often as it may",
    Refusal.OUT_OF_SCHEDULE: "outside the line item's dates or hours",
    Refusal.WRONG_CURRENCY: "the bid is in another currency than the auction",
    Refusal.BRAND_ON_PAGE: "this advertiser already won a placement of the page",
    Refusal.PRODUCT_ON_PAGE: "this product already won a placement of the page",
    Refusal.BIDDER_LATE: "the bidder's answer came after the deadline",
    Refusal.BIDDER_FAILED: "the bidder could not be reached or answered with an error",
    Refusal.NOT_WORTH_BIDDING: "the bidder looked at the page view and chose not to bid",
    Refusal.OUT_OF_STOCK: "the product is out of stock",
}
