"""Why was nothing bid, in the words of OpenRTB? Our refusals as status codes of the seat-non-bid extension, and `nbr`.

Sources: community extension "Seat Non Bid Response", list of non-bid status codes; AdCOM's no-bid reason codes, which
leave 500 and above to the exchange.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from exchange.refusals import NO_BIDS, Refusal


class NoBid(IntEnum):
    """`nbr` of a response without bids."""

    TECHNICAL_ERROR = 1
    INVALID_REQUEST = 2
    # The site's ads.txt does not name us.
    ADS_TXT_VIOLATION = 12
    # Of this exchange: an auction was held, and nothing was sold.
    NOTHING_SOLD = 500
    # No impression has a format that this exchange sells.
    NO_FORMAT = 501
    # The currencies of the request are none that this exchange has a rate for.
    NO_CURRENCY = 502


STATUS_OF: Final[dict[int, int]] = {
    NO_BIDS: 0,
    Refusal.WON: 0,
    Refusal.IMPRESSION_EXPIRED: 101,
    Refusal.INVALID_BID: 102,
    Refusal.INVALID_DEAL: 102,
    Refusal.INVALID_AUCTION: 102,
    Refusal.INVALID_ADVERTISER_DOMAIN: 102,
    Refusal.MISSING_MARKUP: 350,
    Refusal.MISSING_CREATIVE: 350,
    Refusal.MISSING_PRICE: 102,
    Refusal.BELOW_FLOOR: 301,
    Refusal.BELOW_DEAL_FLOOR: 304,
    Refusal.LOST_TO_HIGHER_BID: 300,
    Refusal.LOST_TO_DEAL: 300,
    Refusal.SEAT_BLOCKED: 200,
    Refusal.CREATIVE_FILTERED: 350,
    Refusal.CREATIVE_PENDING: 350,
    Refusal.CREATIVE_REFUSED: 350,
    Refusal.SIZE_NOT_ALLOWED: 351,
    Refusal.FORMAT_NOT_ALLOWED: 353,
    Refusal.ADVERTISER_BLOCKED: 356,
    Refusal.APP_BLOCKED: 356,
    Refusal.NOT_SECURE: 352,
    Refusal.LANGUAGE_NOT_ALLOWED: 350,
    Refusal.CATEGORY_BLOCKED: 357,
    Refusal.ATTRIBUTE_BLOCKED: 350,
    Refusal.AD_TYPE_BLOCKED: 353,
    Refusal.NOT_ALLOWED_IN_DEAL: 300,
    Refusal.BUDGET_EXHAUSTED: 0,
    Refusal.FREQUENCY_CAPPED: 9,
    Refusal.OUT_OF_SCHEDULE: 0,
    Refusal.WRONG_CURRENCY: 205,
    Refusal.BRAND_ON_PAGE: 355,
    Refusal.PRODUCT_ON_PAGE: 302,
    Refusal.BIDDER_LATE: 101,
    Refusal.BIDDER_FAILED: 103,
    Refusal.NOT_WORTH_BIDDING: 0,
    Refusal.OUT_OF_STOCK: 0,
    Refusal.CATEGORY_ON_PAGE: 355,
    Refusal.AD_LOAD_REACHED: 203,
    Refusal.PACED: 0,
    Refusal.SPEND_UNKNOWN: 100,
    Refusal.PRIVATE_AUCTION: 200,
    Refusal.EXCHANGE_PAUSED: 0,
    Refusal.GROUP_NOT_WON: 300,
}
_GENERAL: Final = 0


def status_of(reason: int) -> int:
    """The non-bid status code of a refusal's number."""
    return STATUS_OF.get(reason, _GENERAL)
