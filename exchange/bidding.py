"""What does a bidder see, and what may it answer?

Inside bidders are pure and see arrays; outside ones are in another process, asked and waited for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from exchange.refusals import Refusal
from exchange.request import PageView


class BidContext(msgspec.Struct):
    """The finalists that one inside bidder speaks for; all arrays have one entry for each of them.

    `standing_bid_micros` is what the advertiser offers at most, per unit of `pricing_model`; `match_weight` sums what
    matched: 1 for each category and keyword of the page, the visitor's affinity for each product it was shown,
    and that times the similarity for each product that is near one of them;
    `click_prior` is the smoothed click rate of the ad's product.
    """

    standing_bid_micros: NDArray[np.int64]
    pricing_model: NDArray[np.uint8]
    match_weight: NDArray[np.float32]
    click_prior: NDArray[np.float64]


class Bidder(Protocol):
    """An inside bidder: it speaks for the line items of one strategy."""

    name: str
    # haat.campaigns.v1.Strategy
    strategy: int

    def bid(self, context: BidContext) -> NDArray[np.int64]:
        """What to bid for each finalist, in micros per unit of its pricing model: never above the standing bid, and 0
        where it is not worth bidding. Touches nothing outside its arguments.
        """


class OutsideBid(msgspec.Struct, frozen=True):
    """A bid as an outside bidder sent it; nothing of it has been checked. `bid_micros` is per thousand impressions.

    The three URLs are called by the exchange, at the win, when it is billed and when it is lost (nurl, burl and lurl of
    OpenRTB 2.6 §4.3); `seat` is on whose behalf it is made.
    """

    auction_id: str
    placement_id: str
    bid_id: str
    bid_micros: int
    currency: str
    advertiser_domain: str
    creative_id: str
    format: int
    width: int
    height: int
    markup: str
    category: str = ""
    product_id: str = ""
    # The deal it is made under, as the placement calls it; empty in the open.
    deal_id: str = ""
    # Whose money it is, as publishers allow and block it; without one it passes no list of seats.
    seat: str = ""
    # All of them, where there are more than one.
    categories: tuple[str, ...] = ()
    attributes: tuple[int, ...] = ()
    language: str = ""
    app_bundle: str = ""
    # Of a video: how long it is in seconds, and AdCOM's number of its protocol; 0 is not said.
    duration_s: int = 0
    protocol: int = 0
    mime: str = ""
    skippable: bool = False
    # OpenRTB 2.6 §4.2.3: of which type the markup is, 0 unsaid.
    mtype: int = 0
    win_url: str = ""
    billing_url: str = ""
    loss_url: str = ""
    # All of them, where the creative changes between several advertisers; the first is `advertiser_domain`.
    advertiser_domains: tuple[str, ...] = ()
    # AdCOM's numbers of the frameworks that the markup needs, such as VPAID and MRAID.
    apis: tuple[int, ...] = ()
    # Bids of one answer with the same number win all or none; 0 stands for itself. `group_bids` is how many they are.
    group: int = 0
    group_bids: int = 0

    @property
    def tells(self) -> bool:
        """Does it want to be told of anything?"""
        return bool(self.win_url or self.billing_url or self.loss_url)


class Replies(msgspec.Struct, frozen=True):
    """What came back where each page view is a request of its own: the bids, and for each page view that was asked
    about WON where an answer came, else why none did (BIDDER_LATE, BIDDER_FAILED).
    """

    bids: list[OutsideBid]
    troubles: Sequence[Refusal]


class OutsideAnswer(msgspec.Struct, frozen=True):
    """What one outside bidder said to a batch: its bids, and why some or all page views have no answer.

    `asked` are the page views, as indices into the batch, that it was asked about; `unanswered` those among them that
    it did not answer, each with BIDDER_LATE or BIDDER_FAILED; `seats` are those it may bid for, empty any.
    """

    bidder: int
    asked: Sequence[int]
    bids: list[OutsideBid]
    unanswered: Sequence[tuple[int, Refusal]] = ()
    seats: tuple[str, ...] = ()


class OutsideBidder(Protocol):
    """A bidder in another process. It is asked first and read at the deadline."""

    name: str
    timeout_ms: int

    async def ask(
        self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int
    ) -> list[OutsideBid] | Replies:
        """Its bids for this batch; TimeoutError when it was late, BackendUnavailable when it failed. A bidder that gets
        a request for each page view tells what came of each.
        """
