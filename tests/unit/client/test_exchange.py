"""Do unary calls, batches and notices say what happened to each of their items?"""

from __future__ import annotations

import pytest

from client.errors import AuctionRefused, CallFailed, CallRefused, ClientClosed
from client.exchange import ExchangeClient
from protos.exchange_pb2 import Answer, Notice, NoticeOutcome, PageView, Placement
from tests.fake_auction_service import API_KEY, FakeAuctionService, serving


def a_page_view(request_id: str) -> PageView:
    return PageView(request_id=request_id, placements=[Placement(placement_id="left", position=1)])


def an_impression(impression_id: str) -> Notice:
    return Notice(kind=Notice.KIND_IMPRESSION, impression_id=impression_id)


async def test_without_coalescing_each_call_is_its_own() -> None:
    service = FakeAuctionService()
    async with serving(service) as target, ExchangeClient(target, API_KEY, coalesce=False) as client:
        answer = await client.hold_auction(a_page_view("r"))
        with pytest.raises(AuctionRefused, match="currency: 'EURO' — give an ISO 4217 code"):
            await client.hold_auction(a_page_view("bad"))

    assert answer.request_id == "r"
    assert service.streams_opened == 0


async def test_a_batch_tells_answers_from_refusals() -> None:
    async with serving(FakeAuctionService()) as target, ExchangeClient(target, API_KEY) as client:
        one, refused, two = await client.hold_auctions([a_page_view(name) for name in ("r1", "bad", "r2")])

    assert isinstance(one, Answer)
    assert isinstance(refused, AuctionRefused)
    assert isinstance(two, Answer)
    assert (one.request_id, two.request_id) == ("r1", "r2")


async def test_notices_are_sent_again_while_the_server_is_away_and_counted_once() -> None:
    service = FakeAuctionService()
    service.unavailable_calls = 2
    async with serving(service) as target, ExchangeClient(target, API_KEY, timeout_ms=20_000) as client:
        first = await client.report_notices([an_impression(f"i{i}") for i in range(1500)])
        again = await client.report_notices([an_impression("i7")])

    assert len(first) == 1500
    assert {outcome.verdict for outcome in first} == {NoticeOutcome.VERDICT_ACCEPTED}
    assert again[0].verdict == NoticeOutcome.VERDICT_DUPLICATE
    assert len(service.notices) == 1500


async def test_a_server_that_stays_away_is_given_up_with_its_reason() -> None:
    service = FakeAuctionService()
    service.unavailable_calls = 100
    async with serving(service) as target, ExchangeClient(target, API_KEY, timeout_ms=20_000) as client:
        with pytest.raises(CallFailed, match="UNAVAILABLE — the fake is away as told"):
            await client.report_notices([an_impression("i")])

    assert service.unavailable_calls == 97


async def test_what_would_be_refused_again_is_not_sent_again() -> None:
    async with serving(FakeAuctionService()) as target, ExchangeClient(target, "wrong") as client:
        with pytest.raises(CallRefused, match="UNAUTHENTICATED — the API key is not known"):
            await client.report_notices([an_impression("i")])


async def test_a_closed_client_takes_no_calls() -> None:
    async with serving(FakeAuctionService()) as target:
        client = ExchangeClient(target, API_KEY)
        await client.close()

        with pytest.raises(ClientClosed):
            await client.hold_auction(a_page_view("r"))
        with pytest.raises(ClientClosed):
            await client.hold_auctions([a_page_view("r")])


async def test_a_batch_above_the_limit_is_refused_before_it_is_sent() -> None:
    async with serving(FakeAuctionService()) as target, ExchangeClient(target, API_KEY) as client:
        with pytest.raises(ValueError, match="at most 1024"):
            await client.hold_auctions([PageView()] * 1025)
