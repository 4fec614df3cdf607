"""When do outside bidders begin to think, and who hears of one that fails when nobody waits for it any more?"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from common.clock import SteppedClock
from common.errors import BackendUnavailable
from exchange.bidding import OutsideBid
from exchange.callout import Callout
from exchange.refusals import Refusal
from exchange.request import PageView
from exchange.solicitation import ask_outside
from tests.builders import FlatRanker, Market, a_line_item, a_page_view


class Sore:
    """A bidder that answers being left with a failure."""

    name = "sore"
    timeout_ms = 1_000

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> list[OutsideBid]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise BackendUnavailable("too late, and broken") from None
        finally:
            self.ended.set()
        return []


async def test_a_failure_after_the_deadline_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    bidder = Sore()
    asked = ask_outside([Callout(bidder, SteppedClock())], 0, ["x"], [a_page_view(tmax_ms=1)])
    with caplog.at_level(logging.DEBUG):
        (answer,) = await asked.answers(lambda _: 0)
        await bidder.ended.wait()
        del asked
        await asyncio.sleep(0)
        gc.collect()

    assert answer.unanswered == [(0, Refusal.BIDDER_LATE)]
    assert "never retrieved" not in caplog.text


class Singly:
    """A bidder that is sent each page view by itself, and says when."""

    name = "singly"
    timeout_ms = 1_000

    def __init__(self, told: list[str]) -> None:
        self.told = told

    async def _send(self) -> None:
        self.told.append("sent")

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> list[OutsideBid]:
        await asyncio.gather(*(asyncio.create_task(self._send()) for _ in views))
        return []


class TellingRanker(FlatRanker):
    """Says when it is asked."""

    def __init__(self, told: list[str]) -> None:
        super().__init__()
        self.told = told

    def score(self, *asked: Any) -> NDArray[np.float64]:
        self.told.append("ranked")
        return super().score(*asked)


async def test_outside_bidders_think_while_the_inside_bids_are_ranked() -> None:
    told: list[str] = []
    market = Market([a_line_item(1)], outside=[Singly(told)], ranker=TellingRanker(told))

    await market.ask_one()

    assert told == ["sent", "ranked"]
