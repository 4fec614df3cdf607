"""One session, one question, one decision: across tabs, for its time, and no longer than it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from common.errors import BackendUnavailable
from exchange.bidding import OutsideBid
from exchange.request import Deal, PageView
from streams.auction_block import AuctionColumns
from tests.builders import Market, a_line_item, a_page_view, a_placement


class Thinker:
    """An outside bidder that thinks until it is let go."""

    name = "thinker"
    timeout_ms = 10_000

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked = 0

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> list[OutsideBid]:
        self.asked += len(views)
        await self.gate.wait()
        return []


async def test_two_tabs_in_one_batch_get_one_decision() -> None:
    market = Market([a_line_item(1)])
    view = a_page_view(session_id="s")

    first, second, other = await market.ask(view, replace(view, request_id="tab-2"), replace(view, session_id="t"))

    assert first.auction_id == second.auction_id != other.auction_id
    assert (first.kept, second.kept, other.kept) == (False, True, False)
    assert (second.request_id, market.tally.recalled, len(market.held)) == ("tab-2", 1, 1)


async def test_two_tabs_in_batches_one_after_the_other_get_one_decision() -> None:
    thinker = Thinker()
    market = Market([a_line_item(1)], outside=[thinker])
    view = a_page_view(session_id="s", tmax_ms=5_000)

    first = asyncio.create_task(market.ask(view))
    await asyncio.sleep(0)
    second = asyncio.create_task(market.ask(replace(view, request_id="tab-2"), replace(view, session_id="t")))
    while thinker.asked < 2:
        await asyncio.sleep(0)
    thinker.gate.set()

    (one,) = await first
    same, other = await second
    assert one.auction_id == same.auction_id != other.auction_id
    assert (same.kept, same.request_id, market.tally.recalled, thinker.asked) == (True, "tab-2", 1, 2)


async def test_an_empty_decision_is_shared_and_not_kept() -> None:
    market = Market([])
    view = a_page_view(session_id="s")

    first, second = await market.ask(view, view)
    (third,) = await market.ask(view)

    assert first.auction_id == second.auction_id != third.auction_id


async def test_whoever_waits_for_a_decision_that_fails_fails_as_well_and_can_ask_again() -> None:
    full = [True]

    def publish(_: AuctionColumns) -> None:
        if full[0]:
            raise BackendUnavailable("the disk is full")

    thinker = Thinker()
    market = Market([a_line_item(1)], outside=[thinker], publish=publish)
    view = a_page_view(session_id="s", tmax_ms=5_000)
    first, second = asyncio.create_task(market.ask(view)), asyncio.create_task(market.ask(view))
    while not thinker.asked:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    thinker.gate.set()

    for task in (first, second):
        with pytest.raises(BackendUnavailable):
            await task
    full[0] = False
    assert (await market.ask(view))[0].placements[0].ad is not None


async def test_a_batch_that_is_broken_off_is_told_to_those_who_wait() -> None:
    thinker = Thinker()
    market = Market([a_line_item(1)], outside=[thinker])
    view = a_page_view(session_id="s", tmax_ms=5_000)
    first = asyncio.create_task(market.ask(view))
    await asyncio.sleep(0)
    second = asyncio.create_task(market.ask(view))
    await asyncio.sleep(0)

    first.cancel()

    with pytest.raises(BackendUnavailable, match="broken off"):
        await second


@pytest.mark.parametrize(
    "changes",
    [
        {"permissions": 1},
        {"product_id": "other"},
        {"url": "https://shop.example/?price=2"},
        {"publisher_id": "other"},
        {"allowed_seats": ("advertiser-1",)},
        {"blocked_seats": ("nobody",)},
        {"allowed_languages": ("de",)},
        {"allowed_categories": ("furniture",)},
        {"placements": (a_placement(deals=(Deal("deal-1"),)),)},
        {"placements": (a_placement(secure=True),)},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_another_question_is_decided_anew(changes: dict[str, Any]) -> None:
    market = Market([a_line_item(1)])
    first = await market.ask_one(session_id="s")

    other = await market.ask_one(session_id="s", **changes)

    assert other.auction_id != first.auction_id
    assert not other.kept


async def test_what_was_sold_out_is_decided_anew() -> None:
    market = Market([a_line_item(1)])
    first = await market.ask_one(session_id="s")
    market.snapshot.book.product_in_stock[:] = 0

    second = await market.ask_one(session_id="s")

    assert first.placements[0].ad is not None
    assert second.placements[0].ad is None
