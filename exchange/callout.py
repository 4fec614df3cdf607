"""How is one outside bidder asked about a batch? Only about what it could bid on, and as much as its health allows."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from common.clock import Clock
from common.consent import Permission
from exchange.bidder_gate import BidderGate
from exchange.bidder_quota import Quota
from exchange.bidder_terms import BidderTerms, could_bid
from exchange.bidding import OutsideBid, OutsideBidder, Replies
from exchange.request import PageView

_SHARE = int(Permission.SHARE)
ANY_TERMS = BidderTerms()


class Callout:
    """An outside bidder with its terms and its gate. `chance` draws which page views a throttled bidder gets."""

    def __init__(
        self,
        bidder: OutsideBidder,
        clock: Clock,
        chance: Random | None = None,
        terms: BidderTerms = ANY_TERMS,
        quota: Quota | None = None,
    ) -> None:
        self.name = bidder.name
        self.timeout_ms = bidder.timeout_ms
        self.terms = terms
        self.gate = BidderGate(terms, quota)
        self._bidder = bidder
        self._clock = clock
        self._chance = chance or Random()

    def rows(self, views: Sequence[PageView]) -> list[int]:
        """Which page views of the batch it is asked about, as indices."""
        terms = self.terms
        rows = [row for row, view in enumerate(views) if could_bid(terms, view, _SHARE)]
        draw = self._chance.random
        chances = [draw() for _ in rows] if self.gate.share < 1.0 else [0.0] * len(rows)
        return [rows[at] for at in self.gate.admit(chances, self._clock.monotonic_ns())]

    async def ask(
        self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int
    ) -> list[OutsideBid] | Replies:
        """Its bids; TimeoutError when it was late, BackendUnavailable when it failed."""
        return await self._bidder.ask(auction_ids, views, timeout_ms)

    def sent(self) -> None:
        """A call goes out."""
        self.gate.sent()

    def saw(self, well: int, badly: int) -> None:
        """A call ended: so many of its requests were answered well and in time, so many were not."""
        self.gate.saw(well, badly, self._clock.monotonic_ns())

    def left(self) -> None:
        """Nobody waits for the call any more, which says nothing of the bidder's health."""
        self.gate.left()
