"""Is OpenRTB over gRPC the same auction, over a real connection?"""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import pytest
from grpc_status import rpc_status

from accounts.grpc_edge import KEY_METADATA
from exchange.answer import Answer
from exchange.request import PageView
from protos import openrtb_pb2 as pb
from tests.builders import a_line_item
from tests.openrtb_desk import CALL_KEY, MAX_BYTES, SHOP, Desk, serving


def a_request(request_id: str = "r", floor: float = 0.5) -> pb.BidRequest:
    banner = pb.BidRequest.Banner(w=300, h=250)
    imp = pb.BidRequest.Imp(id="1", tagid="top", banner=banner, bidfloor=floor, bidfloorcur="EUR", secure=True)
    return pb.BidRequest(id=request_id, imp=[imp], site=pb.BidRequest.Site(page="https://shop.example/"), at=1)


async def test_a_request_is_answered_by_its_auction() -> None:
    desk = Desk([a_line_item(1)])

    async with serving(desk) as stub:
        response = await stub.Auction(a_request(), metadata=CALL_KEY)

    (bid,) = response.seatbid[0].bid
    assert (response.id, bid.impid, bid.price, bid.mtype) == ("r", "1", 2.0, 1)
    assert (desk.views[0].publisher_id, desk.views[0].placements[0].secure) == (SHOP, True)


async def test_no_bid_has_a_reason() -> None:
    async with serving(Desk([a_line_item(1)])) as stub:
        response = await stub.Auction(a_request(floor=900), metadata=CALL_KEY)

    assert (len(response.seatbid), response.nbr) == (0, 500)
    assert response.ext.seatnonbid[0].nonbid[0].statuscode == 301


async def test_a_malformed_request_is_invalid_with_every_field() -> None:
    wrong = a_request(floor=-1)
    wrong.ClearField("id")

    async with serving(Desk()) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Auction(wrong, metadata=CALL_KEY)

    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    status = rpc_status.from_call(refused.value)  # type: ignore[arg-type]
    assert status is not None
    assert b"imp[0].bidfloor" in status.details[0].value
    assert "3.2.1" in status.message


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ((), grpc.StatusCode.UNAUTHENTICATED),
        (((KEY_METADATA, "haat_brand"),), grpc.StatusCode.PERMISSION_DENIED),
    ],
)
async def test_a_key_of_a_storefront_is_needed(metadata: tuple[tuple[str, str], ...], code: grpc.StatusCode) -> None:
    async with serving(Desk()) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Auction(a_request(), metadata=metadata)

        assert refused.value.code() == code
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async for _ in stub.StreamAuctions(iter([a_request()]), metadata=metadata):
                pass

    assert refused.value.code() == code


async def test_a_stream_answers_each_and_goes_on_after_a_malformed_one() -> None:
    oversized = a_request("large")
    oversized.site.name = "x" * MAX_BYTES
    requests = [a_request("a"), a_request("bad", floor=-1), oversized, a_request("dear", floor=900), a_request("b")]

    async with serving(Desk([a_line_item(1)])) as stub:
        answers = [answer async for answer in stub.StreamAuctions(iter(requests), metadata=CALL_KEY)]

    by_id = {answer.id: answer for answer in answers}
    assert len(answers) == len(requests)
    assert {key: answer.nbr for key, answer in by_id.items()} == {"a": 0, "b": 0, "bad": 2, "": 2, "dear": 500}
    assert "imp[0].bidfloor" in by_id["bad"].ext.rest
    assert "bytes" in by_id[""].ext.rest


async def test_bytes_that_are_no_request_are_told_so() -> None:
    desk = Desk()

    answer = pb.BidResponse.FromString(await desk.calls._stream_answer(b"\xff\xff\xff", SHOP))

    assert answer.nbr == 2


async def test_many_of_a_stream_are_held_at_the_same_time() -> None:
    desk = Desk([a_line_item(1)])
    held = desk.auctions._hold_auction
    together = asyncio.Barrier(3)

    async def when_all_are_here(view: PageView) -> Answer:
        await together.wait()
        return await held(view)

    desk.auctions._hold_auction = when_all_are_here

    async with serving(desk) as stub:
        asked = iter([a_request(str(number)) for number in range(3)])
        answers = [answer.id async for answer in stub.StreamAuctions(asked, metadata=CALL_KEY)]

    assert sorted(answers) == ["0", "1", "2"]
