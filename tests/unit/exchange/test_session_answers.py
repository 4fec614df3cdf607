"""One session, one question, one decision: across tabs, for its time, and no longer than it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.msgpack import decode, encode
from msgspec.structs import replace

from common.errors import BackendUnavailable
from exchange.answer import Answer
from exchange.asked import Asked
from exchange.bidding import OutsideBid
from exchange.kept_answer import KeptAnswer
from exchange.ports import LineItemRecord
from exchange.request import Deal, PageView
from streams.auction_block import AuctionColumns
from tests.builders import Market, a_creative, a_line_item, a_page_view, a_placement


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


class Shares:
    """What two processes share, in one."""

    def __init__(self) -> None:
        self.kept: dict[bytes, KeptAnswer] = {}

    def recall(self, questions: Sequence[Asked], now_ms: int) -> list[KeptAnswer | None]:
        # As it comes back from a file: whole, and nothing in it is an object of this process.
        found = [self.kept.get(asked) for asked in questions]
        return [
            decode(encode(kept), type=KeptAnswer) if kept is not None and now_ms < kept.expires_at_ms else None
            for kept in found
        ]

    def keep(self, entries: Sequence[tuple[Asked, KeptAnswer]], now_ms: int) -> None:
        self.kept.update(entries)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


async def two_processes(*items: LineItemRecord, **changes: Any) -> tuple[Answer, Answer, Market]:
    """What the first answers, then the second one, whose inventory is `changes["second"]` where that is given."""
    shares = Shares()
    first = Market(items, shared_answers=shares)
    second = Market(changes.pop("second", items), shared_answers=shares)
    for market in (first, second):
        # Their inventories are counted apart.
        market.snapshot = replace(market.snapshot, sequence=id(market))
    one = await first.ask_one(session_id="s")
    return one, await second.ask_one(session_id="s", request_id="tab-2", **changes), second


async def test_another_process_gives_the_session_the_same_answer_and_then_knows_it_itself() -> None:
    one, other, second = await two_processes(a_line_item(1), a_line_item(2, bid_micros=1_000_000))
    again = await second.ask_one(session_id="s")

    assert one.auction_id == other.auction_id == again.auction_id
    assert (other.kept, other.request_id, again.kept) == (True, "tab-2", True)
    assert other.placements == one.placements
    assert (second.answers.saved, second.tally.recalled, second.held) == ({"machine": 1, "process": 1}, 2, [])
    # The facts are this process's own, which its writers of answers know.
    assert other.placements[0].ad is not None
    assert any(other.placements[0].ad.facts is facts for facts in second.snapshot.ads)


@pytest.mark.parametrize(
    "changes",
    [
        {"second": [a_line_item(1, bid_micros=2_000_001)]},
        {"second": [a_line_item(1, creatives=(a_creative(1, title="Another chair"),))]},
        {"second": [a_line_item(2)]},
        {"permissions": 1},
        {"placements": (a_placement(floor_micros=1),)},
    ],
    ids=["price", "creative", "gone", "consent", "placement"],
)
async def test_what_is_not_the_same_for_another_process_is_decided_anew(changes: dict[str, Any]) -> None:
    one, other, second = await two_processes(a_line_item(1), **changes)

    assert one.auction_id != other.auction_id
    assert (other.kept, second.answers.saved) == (False, {})


async def test_what_is_sold_out_for_another_process_is_decided_anew() -> None:
    shares = Shares()
    first = Market([a_line_item(1)], shared_answers=shares)
    second = Market([a_line_item(1)], shared_answers=shares)
    second.snapshot.book.product_in_stock[:] = 0

    one, other = await first.ask_one(session_id="s"), await second.ask_one(session_id="s")

    assert one.placements[0].ad is not None
    assert other.placements[0].ad is None


async def test_an_answer_of_another_process_keeps_its_time() -> None:
    shares = Shares()
    first, second = Market([a_line_item(1)], shared_answers=shares), Market([a_line_item(1)], shared_answers=shares)
    one = await first.ask_one(session_id="s")
    second.clock.step(29_000)
    other = await second.ask_one(session_id="s")
    second.clock.step(1_000)
    late = await second.ask_one(session_id="s")

    assert one.auction_id == other.auction_id != late.auction_id


async def test_what_is_not_of_a_session_is_not_shared() -> None:
    shares = Shares()
    market = Market([a_line_item(1)], shared_answers=shares)

    await market.ask_one()
    await market.ask_one(session_id="s", test=True)

    assert shares.kept == {}
