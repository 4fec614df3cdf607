"""Why did a bid not win? Every refused bid carries one of these numbers.

Numbers below 1000 are OpenRTB's loss reason codes (AdCOM 1.0, List: Loss Reason Codes); from 1000 on they are the
exchange's own, as the list allows.
"""

from __future__ import annotations

from enum import IntEnum


class Refusal(IntEnum):
    """The outcome of a bid; WON is 0."""

    WON = 0
    IMPRESSION_EXPIRED = 2
    INVALID_BID = 3
    INVALID_DEAL = 4
    INVALID_AUCTION = 5
    INVALID_ADVERTISER_DOMAIN = 6
    MISSING_MARKUP = 7
    MISSING_CREATIVE = 8
    MISSING_PRICE = 9
    BELOW_FLOOR = 100
    BELOW_DEAL_FLOOR = 101
    LOST_TO_HIGHER_BID = 102
    LOST_TO_DEAL = 103
    SEAT_BLOCKED = 104
    CREATIVE_FILTERED = 200
    CREATIVE_PENDING = 201
    CREATIVE_REFUSED = 202
    SIZE_NOT_ALLOWED = 203
    FORMAT_NOT_ALLOWED = 204
    ADVERTISER_BLOCKED = 205
    APP_BLOCKED = 206
    NOT_SECURE = 207
    LANGUAGE_NOT_ALLOWED = 208
    CATEGORY_BLOCKED = 209
    ATTRIBUTE_BLOCKED = 210
    AD_TYPE_BLOCKED = 211
    NOT_ALLOWED_IN_DEAL = 213
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
    CATEGORY_ON_PAGE = 1010
    AD_LOAD_REACHED = 1011
    PACED = 1012
    SPEND_UNKNOWN = 1013
    PRIVATE_AUCTION = 1014
    EXCHANGE_PAUSED = 1015
    GROUP_NOT_WON = 1016


# Why a placement stayed empty when not a single bid came in for it; no bid can have this outcome.
NO_BIDS = 1999

MEANINGS: dict[Refusal, str] = {
    Refusal.WON: "won",
    Refusal.IMPRESSION_EXPIRED: "the bid came in for an impression whose time was over",
    Refusal.INVALID_BID: "the bid is malformed: its price, its placement or its creative",
    Refusal.INVALID_DEAL: "the placement does not offer the deal that the bid names",
    Refusal.INVALID_AUCTION: "the bid names another auction",
    Refusal.INVALID_ADVERTISER_DOMAIN: "the advertiser's domain is missing or no domain",
    Refusal.MISSING_MARKUP: "the bid brings nothing to show",
    Refusal.MISSING_CREATIVE: "the bid does not name its creative",
    Refusal.MISSING_PRICE: "the bid has no price above zero",
    Refusal.BELOW_FLOOR: "worth less than the placement's floor",
    Refusal.BELOW_DEAL_FLOOR: "worth less than the deal's floor",
    Refusal.LOST_TO_HIGHER_BID: "a better bid took the placement",
    Refusal.LOST_TO_DEAL: "a bid under a deal took the placement",
    Refusal.SEAT_BLOCKED: "the publisher does not sell to this buyer's seat",
    Refusal.CREATIVE_FILTERED: "the creative does not meet the placement's terms",
    Refusal.CREATIVE_PENDING: "the creative has not been reviewed yet",
    Refusal.CREATIVE_REFUSED: "the creative was refused in review",
    Refusal.SIZE_NOT_ALLOWED: "the creative's size does not fit the placement",
    Refusal.FORMAT_NOT_ALLOWED: "the creative's format is not offered by the placement",
    Refusal.ADVERTISER_BLOCKED: "the publisher blocks this advertiser",
    Refusal.APP_BLOCKED: "the publisher blocks ads for this app",
    Refusal.NOT_SECURE: "the placement needs https throughout, and the creative does not give it",
    Refusal.LANGUAGE_NOT_ALLOWED: "the publisher does not take creatives in this language",
    Refusal.CATEGORY_BLOCKED: "the publisher blocks this category, or does not have it among those allowed",
    Refusal.ATTRIBUTE_BLOCKED: "the publisher blocks creatives of this kind (AdCOM creative attributes)",
    Refusal.AD_TYPE_BLOCKED: "the publisher blocks this type of ad",
    Refusal.NOT_ALLOWED_IN_DEAL: "the deal's terms keep this bid out: its seat, its advertiser or its creative",
    Refusal.BUDGET_EXHAUSTED: "the line item or its campaign has no money left to reserve",
    Refusal.FREQUENCY_CAPPED: "the visitor has seen this line item, campaign, brand or creative as often as it may",
    Refusal.OUT_OF_SCHEDULE: "outside the line item's dates or hours",
    Refusal.WRONG_CURRENCY: "the bid is in a currency that the auction does not take or has no rate for",
    Refusal.BRAND_ON_PAGE: "this advertiser already won as many placements of the page as it may",
    Refusal.PRODUCT_ON_PAGE: "this product already won a placement of the page",
    Refusal.BIDDER_LATE: "the bidder's answer came after the deadline",
    Refusal.BIDDER_FAILED: "the bidder could not be reached or answered with an error",
    Refusal.NOT_WORTH_BIDDING: "the bidder looked at the page view and chose not to bid",
    Refusal.OUT_OF_STOCK: "the product is out of stock",
    Refusal.CATEGORY_ON_PAGE: "a competitor of the same category already won a placement of the page",
    Refusal.AD_LOAD_REACHED: "the page carries as many ads as the publisher allows",
    Refusal.PACED: "held back so that the budget lasts its time",
    Refusal.SPEND_UNKNOWN: "the figures of what was spent are too old to go on spending",
    Refusal.PRIVATE_AUCTION: "the placement is sold under deals alone",
    Refusal.EXCHANGE_PAUSED: "the operator or the advertiser has paused all of its ads",
    Refusal.GROUP_NOT_WON: "its buyer wants several placements together or none, and could not have all of them",
}
