from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from feed.ad_slots import AdSlots
from feed.cursor import Chain
from feed.kept_ads import key_of
from feed.ports import AdRequest, FeedAd


def a_request(slots: int = 2) -> AdRequest:
    return AdRequest("r", "t", "s", permissions=0, slots=slots, tmax_ms=50, viewed_at_ms=0)


PAGE = key_of("t", "s", Chain(1), 2)


class Source:
    """Answers with these ads, after `wait` is set."""

    def __init__(self, ads: list[FeedAd], wait: asyncio.Event | None = None, error: Exception | None = None) -> None:
        self.answer, self.wait, self.error = ads, wait, error
        self.asked: list[AdRequest] = []
        self.cancelled = False
        self.gone: set[str] = set()

    async def ads(self, request: AdRequest) -> list[FeedAd]:
        self.asked.append(request)
        try:
            if self.wait is not None:
                await self.wait.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.error is not None:
            raise self.error
        return self.answer

    def still_sold(self, ads: Sequence[FeedAd]) -> list[FeedAd]:
        return [ad for ad in ads if ad.impression_id not in self.gone]


async def test_ads_come_by_slot_and_what_was_not_asked_for_is_left_out() -> None:
    ads = [FeedAd(1, "auction", "b"), FeedAd(0, "auction", "a"), FeedAd(0, "auction", "c"), FeedAd(7, "auction", "d"),
           FeedAd(-1, "auction", "e")]  # fmt: skip
    slots = AdSlots(source=Source(ads), deadline_ms=1_000)

    async with slots.ask(a_request(), PAGE) as asked:
        came = await asked.ads()

    assert {slot: ad.impression_id for slot, ad in came.items()} == {0: "a", 1: "b"}


async def test_the_source_is_under_way_while_the_page_is_ranked() -> None:
    source = Source([])

    async with AdSlots(source=source, deadline_ms=1_000).ask(a_request(), PAGE):
        assert len(source.asked) == 1


async def test_a_late_source_gives_no_ads_and_is_let_go() -> None:
    source = Source([FeedAd(0, "auction", "a")], wait=asyncio.Event())
    slots = AdSlots(source=source, deadline_ms=1)

    async with slots.ask(a_request(), PAGE) as asked:
        assert await asked.ads() == {}
    await asyncio.sleep(0)

    assert source.cancelled
    assert (slots.late, slots.failures) == (1, 0)


@pytest.mark.parametrize("error", [RuntimeError("broken"), asyncio.CancelledError()])
async def test_a_failing_source_gives_no_ads(error: Exception) -> None:
    slots = AdSlots(source=Source([], error=error), deadline_ms=1_000)

    async with slots.ask(a_request(), PAGE) as asked:
        assert await asked.ads() == {}

    assert (slots.late, slots.failures) == (0, 1)


async def test_without_slots_nobody_is_asked() -> None:
    source = Source([])

    async with AdSlots(source=source, deadline_ms=1_000).ask(a_request(slots=0), PAGE) as asked:
        assert await asked.ads() == {}

    assert source.asked == []


async def test_a_page_that_fails_leaves_no_question_behind() -> None:
    source = Source([], wait=asyncio.Event())
    with pytest.raises(RuntimeError, match="ranking"):
        async with AdSlots(source=source, deadline_ms=1_000).ask(a_request(), PAGE):
            raise RuntimeError("ranking")
    await asyncio.sleep(0)

    assert source.cancelled
