"""Are the macros in a winner's markup replaced, in the answer and in the document that a player fetches?"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from exchange.bidding import OutsideBid
from exchange.request import PageView, VideoTerms
from tests.builders import Market, a_line_item, a_placement, an_outside_bid

VIDEO = (3, 640, 360)
TOLD = "https://t.example/i?p=${AUCTION_PRICE}&amp;m=${AUCTION_MIN_TO_WIN}&amp;c=${AUCTION_CURRENCY}"
VAST = (
    f"<VAST version='4.2'><Ad><InLine><AdSystem>t</AdSystem><Impression>{TOLD}</Impression>"
    "<Creatives><Creative><Linear>"
    "<Duration>00:00:15</Duration><MediaFiles><MediaFile type='video/mp4'>https://t.example/f.mp4</MediaFile>"
    "</MediaFiles></Linear></Creative></Creatives></InLine></Ad></VAST>"
)


class Teller:
    """Bids 9.00 with markup that wants to know the price, and what would have been enough."""

    name = "teller"
    timeout_ms = 50

    def __init__(self, markup: str, shape: tuple[int, int, int]) -> None:
        self._markup, self._shape = markup, shape

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> list[OutsideBid]:
        format_, width, height = self._shape
        return [
            replace(
                an_outside_bid(auction_id, placement_id=view.placements[0].placement_id), bid_micros=9_000_000,
                format=format_, width=width, height=height, markup=self._markup,
            )
            for auction_id, view in zip(auction_ids, views, strict=True)
        ]  # fmt: skip


async def test_markup_is_told_the_price_and_the_least_bid_to_win() -> None:
    market = Market([a_line_item(1)], outside=[Teller("<i>${AUCTION_PRICE} ${AUCTION_MIN_TO_WIN}</i>", (1, 300, 250))])

    ad = (await market.ask_one()).placements[0].ad

    assert ad is not None
    # A line item at 2.00 is next: second price plus one step, and what ties with it.
    assert ad.markup == "<i>2.01 2.00</i>"


async def test_the_document_that_a_player_fetches_is_the_one_that_was_answered() -> None:
    market = Market(outside=[Teller(VAST, VIDEO)])
    placement = a_placement("roll", shapes=(VIDEO,), video=VideoTerms())

    ad = (await market.ask_one(placements=(placement,))).placements[0].ad

    assert ad is not None
    assert "p=0.50&amp;m=0.50&amp;c=EUR" in ad.markup
    assert market.films[ad.impression_id] == ad.markup
