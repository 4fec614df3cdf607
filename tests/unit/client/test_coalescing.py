"""Does the coalescing client lose nothing, mix nothing up and end with a clear sentence?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import grpc
import pytest

from client.errors import AnswerLate, AuctionRefused, CallRefused, ClientClosed, FieldViolation, StreamBroken
from client.exchange import ExchangeClient
from protos.exchange_pb2 import Answer, PageView, Placement
from tests.fake_auction_service import API_KEY, FakeAuctionService, serving


def a_page_view(request_id: str) -> PageView:
    return PageView(request_id=request_id, placements=[Placement(placement_id="left", position=1)])


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def client_of(service: FakeAuctionService, **options: int) -> AsyncIterator[ExchangeClient]:
    async with serving(service) as target:
        given = {"timeout_ms": 20_000, **options}
        async with ExchangeClient(target, API_KEY, chance=Random(1), **given) as client:  # type: ignore[arg-type]
            yield client


async def test_each_call_gets_the_answer_to_its_own_page_view() -> None:
    service = FakeAuctionService()
    async with client_of(service) as client:
        names = [f"r{i}" for i in range(500)]

        answers = await asyncio.gather(*(client.hold_auction(a_page_view(name)) for name in names))

    assert [answer.request_id for answer in answers] == names
    assert service.streams_opened == 1


async def test_calls_that_arrive_while_a_batch_is_out_form_the_next_batch() -> None:
    service = FakeAuctionService()
    service.hold_back.clear()
    async with client_of(service, batches_out=1) as client:
        first = asyncio.create_task(client.hold_auction(a_page_view("first")))
        await until(lambda: len(service.batches) == 1)
        rest = [asyncio.create_task(client.hold_auction(a_page_view(f"r{i}"))) for i in range(10)]
        await asyncio.sleep(0)
        service.hold_back.set()
        await asyncio.gather(first, *rest)

    assert [len(batch) for batch in service.batches] == [1, 10]


async def test_a_batch_is_never_longer_than_max_batch() -> None:
    service = FakeAuctionService()
    async with client_of(service, max_batch=7) as client:
        await asyncio.gather(*(client.hold_auction(a_page_view(f"r{i}")) for i in range(100)))

    assert max(map(len, service.batches)) == 7
    assert sum(map(len, service.batches)) == 100


async def test_answers_that_come_in_another_order_find_their_calls() -> None:
    service = FakeAuctionService()
    service.reverse_every = 4
    async with client_of(service, max_batch=5, batches_out=4) as client:
        names = [f"r{i}" for i in range(40)]

        answers = await asyncio.gather(*(client.hold_auction(a_page_view(name)) for name in names))

    assert [answer.request_id for answer in answers] == names


async def test_a_refused_page_view_names_its_fields_and_costs_the_others_nothing() -> None:
    async with client_of(FakeAuctionService()) as client:
        names = ["r1", "bad", "r2"]
        calls = [client.hold_auction(a_page_view(name)) for name in names]
        one, refused, two = await asyncio.gather(*calls, return_exceptions=True)

    assert isinstance(one, Answer)
    assert isinstance(two, Answer)
    assert isinstance(refused, AuctionRefused)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.errors[1] == FieldViolation("currency", "'EURO' — give an ISO 4217 code")
    assert "placements[0].floor_micros: -1 — give 0 or more" in str(refused)


async def test_calls_on_a_stream_that_breaks_are_sent_once_more() -> None:
    service = FakeAuctionService()
    service.break_streams_after = [2]
    async with client_of(service, max_batch=10) as client:
        names = [f"r{i}" for i in range(60)]

        answers = await asyncio.gather(*(client.hold_auction(a_page_view(name)) for name in names))

    assert [answer.request_id for answer in answers] == names
    assert service.streams_opened == 2
    assert set(service.held) == set(names)


async def test_a_call_whose_stream_breaks_twice_fails_with_the_reason() -> None:
    service = FakeAuctionService()
    service.break_streams_after = [1, 1]
    async with client_of(service) as client:
        with pytest.raises(StreamBroken, match="UNAVAILABLE — the fake broke as told"):
            await client.hold_auction(a_page_view("unlucky"))
        after = await client.hold_auction(a_page_view("lucky"))

    assert after.request_id == "lucky"
    assert service.batches.count(["unlucky"]) == 2


async def test_where_grpcio_lost_why_a_stream_was_refused_the_server_is_asked_again() -> None:
    service = FakeAuctionService()
    service.break_streams_after = [1] * 8
    service.broken_as = grpc.StatusCode.INTERNAL, "Internal error from Core"
    async with client_of(service) as client:
        with pytest.raises(StreamBroken, match="INTERNAL — Internal error from Core"):
            await client.hold_auction(a_page_view("never"))
        service.break_streams_after = [1, 1, 1]
        answer = await client.hold_auction(a_page_view("unlucky"))

    assert answer.request_id == "unlucky"
    assert service.batches.count(["unlucky"]) == 4
    assert service.batches.count(["never"]) == 8


async def test_a_server_that_never_answers_is_late_and_the_stream_recovers() -> None:
    service = FakeAuctionService()
    service.hold_back.clear()
    async with client_of(service, timeout_ms=150, batches_out=1) as client:
        with pytest.raises(AnswerLate, match="no answer within 150 ms"):
            await client.hold_auction(a_page_view("stuck"))
        service.hold_back.set()
        answers = [await client.hold_auction(a_page_view(f"r{i}")) for i in range(3)]

    assert [answer.request_id for answer in answers] == ["r0", "r1", "r2"]


async def test_nobody_listening_fails_with_a_clear_error() -> None:
    service = FakeAuctionService()
    async with serving(service) as target:
        pass
    async with ExchangeClient(target, API_KEY, timeout_ms=20_000, chance=Random(1)) as client:
        with pytest.raises(StreamBroken, match=f"StreamAuctions to {target}: UNAVAILABLE"):
            await client.hold_auction(a_page_view("r"))


async def test_a_wrong_key_is_refused_at_once_and_for_all_calls() -> None:
    async with serving(FakeAuctionService()) as target, ExchangeClient(target, "wrong", timeout_ms=20_000) as client:
        calls = [client.hold_auction(a_page_view(f"r{i}")) for i in range(5)]
        failed = await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(one, CallRefused) and one.code is grpc.StatusCode.UNAUTHENTICATED for one in failed)


async def test_close_waits_for_the_calls_in_flight_and_takes_no_more() -> None:
    service = FakeAuctionService()
    service.hold_back.clear()
    async with serving(service) as target:
        client = ExchangeClient(target, API_KEY, timeout_ms=20_000, max_batch=3)
        calls = [asyncio.create_task(client.hold_auction(a_page_view(f"r{i}"))) for i in range(20)]
        await until(lambda: bool(service.batches))
        closing = asyncio.create_task(client.close(drain_ms=20_000))
        await asyncio.sleep(0)
        with pytest.raises(ClientClosed):
            await client.hold_auction(a_page_view("too late"))
        service.hold_back.set()
        answers = await asyncio.gather(*calls)
        await closing

    assert [answer.request_id for answer in answers] == [f"r{i}" for i in range(20)]


async def test_close_fails_what_is_not_answered_within_the_drain_time() -> None:
    service = FakeAuctionService()
    service.hold_back.clear()
    async with serving(service) as target:
        client = ExchangeClient(target, API_KEY, timeout_ms=20_000)
        call = asyncio.create_task(client.hold_auction(a_page_view("r")))
        await until(lambda: bool(service.batches))
        await client.close(drain_ms=20)
        with pytest.raises(ClientClosed, match="closed before the answer came"):
            await call


async def test_more_calls_than_places_wait_for_their_turn() -> None:
    service = FakeAuctionService()
    service.hold_back.clear()
    async with client_of(service, max_in_flight=4) as client:
        calls = [asyncio.create_task(client.hold_auction(a_page_view(f"r{i}"))) for i in range(12)]
        await until(lambda: bool(service.batches))
        in_flight = sum(map(len, service.batches))
        service.hold_back.set()
        answers = await asyncio.gather(*calls)

    assert in_flight <= 4
    assert len(answers) == 12
    assert max(map(len, service.batches)) <= 4


async def test_a_cancelled_call_is_not_sent() -> None:
    service = FakeAuctionService()
    service.hold_back.clear()
    async with client_of(service, batches_out=1) as client:
        first = asyncio.create_task(client.hold_auction(a_page_view("first")))
        await until(lambda: len(service.batches) == 1)
        given_up = asyncio.create_task(client.hold_auction(a_page_view("given up")))
        kept = asyncio.create_task(client.hold_auction(a_page_view("kept")))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        service.hold_back.set()
        await asyncio.gather(first, kept)

    assert service.batches == [["first"], ["kept"]]
