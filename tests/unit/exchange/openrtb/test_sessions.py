"""Does a session over OpenRTB get one decision and keep its caps, and is it told to nobody who may not know it?"""

from __future__ import annotations

import json
from typing import Any

import pytest

from common.consent import Permission
from exchange.openrtb.protobuf import request_from_bytes, request_to_bytes, response_from_bytes
from protos import exchange_pb2 as exchange
from protos import openrtb_pb2 as pb
from tests.builders import a_line_item
from tests.openrtb_desk import CALL_KEY, KEY, SHOP, Desk, serving

PROTOBUF = {"x-api-key": KEY, "content-type": "application/x-protobuf"}
REMEMBER, SHARE = int(Permission.REMEMBER), int(Permission.SHARE)


def of_session(session_id: Any, request_id: str = "r", **ext: Any) -> dict[str, Any]:
    imp = {"id": "1", "tagid": "top", "banner": {"w": 300, "h": 250}, "bidfloor": 0.5, "bidfloorcur": "EUR"}
    return {
        "id": request_id, "imp": [imp], "site": {"page": "https://shop.example/"}, "regs": {"gdpr": 0},
        "user": {"id": "visitor-7", "ext": {"haat": {"session_id": session_id}, **ext}},
    }  # fmt: skip


async def test_two_requests_of_one_session_get_one_decision_in_json_protobuf_and_over_grpc() -> None:
    desk = Desk([a_line_item(1)])
    first = (await desk.post(of_session("s"))).json()
    again = (await desk.post(of_session("s", "r-2"))).json()
    packed = response_from_bytes((await desk.post(request_to_bytes(of_session("s", "r-3")), PROTOBUF)).body)
    message = pb.BidRequest.FromString(request_to_bytes(of_session("s", "r-4")))
    async with serving(desk) as stub:
        called = await stub.Auction(message, metadata=CALL_KEY)

    assert first["bidid"] == again["bidid"] == packed["bidid"] == called.bidid
    assert [first["id"], again["id"], packed["id"], called.id] == ["r", "r-2", "r-3", "r-4"]
    assert first["seatbid"] == again["seatbid"]
    assert len(desk.market.held) == 1


async def test_another_session_and_none_at_all_are_decided_anew() -> None:
    desk = Desk([a_line_item(1)])
    answers = [(await desk.post(of_session(session))).json()["bidid"] for session in ("s", "t", "", None)]
    answers += [(await desk.post(of_session(""))).json()["bidid"]]

    assert len(set(answers)) == 5


async def test_caps_by_session_hold() -> None:
    desk = Desk([a_line_item(1, caps=((-1, 1, 60),))])
    await desk.post(of_session("s"))
    (key,) = desk.market.held[0].session_keys
    # What an impression of that ad is counted under.
    desk.market.sessions.remember(key, 1, 1, desk.market.clock.now_ms())
    other_page = {"site": {"page": "https://shop.example/2"}}

    seen = await desk.post({**of_session("s"), **other_page})
    fresh = await desk.post({**of_session("t"), **other_page})

    assert key == f"{SHOP} s"
    assert (seen.status, fresh.status) == (204, 200)


@pytest.mark.parametrize(
    ("permissions", "session_id"),
    [(REMEMBER | SHARE, "s"), (0, "s"), (int(Permission.HOUSE_ADS_ONLY), "")],
    ids=["all", "nothing", "house only"],
)
async def test_a_session_is_read_and_logged_as_those_of_page_views_of_our_own(
    permissions: int, session_id: str
) -> None:
    desk = Desk([a_line_item(1)], consent=lambda _: permissions)
    await desk.post(of_session("s"))

    (view,) = desk.views
    assert view.session_id == session_id
    assert exchange.PageView.FromString(view.wire).session_id == ("s" if permissions & REMEMBER else "")


async def test_no_bidder_hears_of_the_session() -> None:
    desk = Desk([a_line_item(1)], consent=lambda _: REMEMBER | SHARE)
    await desk.post(of_session("s", kept=1))

    assert json.loads(desk.views[0].openrtb)["user"] == {"id": "visitor-7", "ext": {"kept": 1}}


@pytest.mark.parametrize(
    ("ours", "path", "value"),
    [
        ({"session_id": 7}, "user.ext.haat.session_id", "a number"),
        ({"session_id": "s" * 65}, "user.ext.haat.session_id", "a text"),
        ({"session_id": ["s"]}, "user.ext.haat.session_id", "an array of 1"),
        ("s", "user.ext.haat", "a text"),
    ],
)
async def test_what_is_no_session_is_refused_with_its_path_and_without_its_value(
    ours: Any, path: str, value: str
) -> None:
    request = of_session("s")
    request["user"]["ext"]["haat"] = ours
    came = await Desk([a_line_item(1)]).post(request)

    assert came.status == 400
    (problem,) = came.json()
    assert (problem["path"], problem["value"], problem["section"]) == (path, value, "3.2.20")


async def test_a_session_of_64_characters_is_taken_through_protobuf_as_well() -> None:
    asked = of_session("ü" * 64)
    desk = Desk([a_line_item(1)])
    await desk.post(asked)

    assert desk.views[0].session_id == "ü" * 64
    assert request_from_bytes(request_to_bytes(asked))["user"]["ext"] == asked["user"]["ext"]
