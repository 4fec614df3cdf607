"""Does the HTTP door do what OpenRTB and browsers ask of it?"""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest

from common.errors import BackendUnavailable
from exchange.answer import Answer
from exchange.openrtb.edge import PATH
from exchange.openrtb.protobuf import request_to_bytes, response_from_bytes
from exchange.request import PageView
from tests.builders import a_line_item
from tests.openrtb_desk import KEY, MAX_BYTES, ORIGIN, SHOP, Desk, call

REQUEST: dict[str, Any] = {
    "id": "r", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}, "bidfloor": 0.5, "bidfloorcur": "EUR"}],
    "site": {"page": "https://shop.example/", "publisher": {"id": "pub-1"}},
}  # fmt: skip
DEAR = {**REQUEST, "imp": [{**REQUEST["imp"][0], "bidfloor": 900}]}
WITH_KEY = {"x-api-key": KEY}


@pytest.fixture
def desk() -> Desk:
    return Desk([a_line_item(1)])


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "text/plain", ""])
async def test_json_is_taken_as_what_clients_call_it(desk: Desk, kind: str) -> None:
    came = await desk.post(REQUEST, {**WITH_KEY, "content-type": kind})

    assert (came.status, came.headers["content-type"]) == (200, "application/json")
    assert came.headers["x-openrtb-version"] == "2.6"


async def test_protobuf_is_answered_in_protobuf(desk: Desk) -> None:
    came = await desk.post(request_to_bytes(REQUEST), {**WITH_KEY, "content-type": "application/x-protobuf"})

    assert (came.status, came.headers["content-type"]) == (200, "application/x-protobuf")
    response = response_from_bytes(came.body)
    assert response["seatbid"][0]["bid"][0]["price"] == 0.5
    assert response["ext"]["responsetimemillis"] == {"advertiser-1": 0}


async def test_no_bid_is_204_or_as_the_caller_wants_it(desk: Desk) -> None:
    plain = await desk.post(DEAR)
    wished = await desk.post(DEAR, query="nobid=200")
    prebid = await desk.post({**DEAR, "ext": {"prebid": {}}})
    binary = await desk.post(
        request_to_bytes(DEAR), {**WITH_KEY, "content-type": "application/x-protobuf"}, "nobid=200"
    )

    assert (plain.status, plain.body) == (204, b"")
    assert [came.json()["seatbid"] for came in (wished, prebid)] == [[], []]
    assert response_from_bytes(binary.body)["nbr"] == 500


@pytest.mark.parametrize(
    ("headers", "query", "pack"),
    [
        ({"content-encoding": "gzip"}, "", gzip.compress),
        ({"content-encoding": "GZIP"}, "", gzip.compress),
        ({"content-encoding": "deflate"}, "", zlib.compress),
        ({}, "gzip=1", gzip.compress),
        ({}, "", gzip.compress),
        ({"content-encoding": "identity"}, "", bytes),
        ({}, "gzip=1", bytes),
    ],
)
async def test_a_packed_body_is_unpacked(desk: Desk, headers: dict[str, str], query: str, pack: Any) -> None:
    came = await desk.post(pack(json.dumps(REQUEST).encode()), {**WITH_KEY, **headers}, query)

    assert came.status == 200


async def test_an_answer_is_packed_where_it_is_worth_it_and_taken(desk: Desk) -> None:
    imps = [{**REQUEST["imp"][0], "id": str(number)} for number in range(32)]
    long = {**REQUEST, "imp": imps}

    packed = await desk.post(long, {**WITH_KEY, "accept-encoding": "br, gzip;q=0.5"})
    refused = await desk.post(long, {**WITH_KEY, "accept-encoding": "gzip;q=0"})
    short = await desk.post(REQUEST, {**WITH_KEY, "accept-encoding": "gzip"})

    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) == len(packed.body)
    assert packed.json()["id"] == refused.json()["id"] == "r"
    assert "content-encoding" not in {**refused.headers, **short.headers}


@pytest.mark.parametrize("lies", [True, False])
async def test_a_large_body_is_refused_before_it_is_read_whole(desk: Desk, lies: bool) -> None:
    headers = {**WITH_KEY, "content-length": "10" if lies else str(50 << 20)}

    came = await desk.post(b"{" * (MAX_BYTES + 1), headers)

    assert came.status == 413


async def test_a_bomb_is_not_unpacked(desk: Desk) -> None:
    bomb = gzip.compress(b" " * (50 << 20))
    assert len(bomb) < MAX_BYTES

    assert (await desk.post(bomb, {**WITH_KEY, "content-encoding": "gzip"})).status == 413


@pytest.mark.parametrize(
    "body",
    [b"", b"nonsense", b"[]", b"null", b"5", b'{"id":', b"\xff\xfe", b'{"id":"1"}x', b'{"a":NaN}', b'{"a":1e999}',
     b"[" * 30_000, b'{"a":' * 10_000, b"\x1f\x8b nonsense", gzip.compress(b"{}", mtime=0)[:-4], b'{"a":"\\ud800"}',
     b"9" * 50_000],
)  # fmt: skip
async def test_what_is_no_request_is_400_and_told_why(desk: Desk, body: bytes) -> None:
    came = await desk.post(body)

    assert came.status == 400
    assert {"path", "value", "remedy", "section"} <= came.json()[0].keys()
    assert len(came.body) < 1_000


@pytest.mark.parametrize(
    "headers", [{"content-type": "text/html"}, {"content-encoding": "br"}, {"content-encoding": "gzip, gzip"}]
)
async def test_what_is_in_another_format_is_415(desk: Desk, headers: dict[str, str]) -> None:
    assert (await desk.post(REQUEST, {**WITH_KEY, **headers})).status == 415


@pytest.mark.parametrize(("version", "status"), [("2.5", 200), ("2.6", 200), ("3.0", 400), ("x" * 9_000, 400)])
async def test_versions_of_2_are_taken(desk: Desk, version: str, status: int) -> None:
    assert (await desk.post(REQUEST, {**WITH_KEY, "x-openrtb-version": version})).status == status


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        (WITH_KEY, "", 200),
        ({}, f"key={KEY}", 200),
        ({"x-api-key": "haat_unknown"}, "", 401),
        ({"x-api-key": "x" * 9_000}, "", 401),
        ({"x-api-key": "haat_brand"}, "", 403),
        ({}, "", 403),
        ({"origin": ORIGIN}, "", 200),
        ({"origin": "https://evil.example"}, "", 403),
        ({"origin": "null"}, "", 403),
        ({"origin": ORIGIN + ".evil.example"}, "", 403),
    ],
)
async def test_who_may_ask(desk: Desk, headers: dict[str, str], query: str, status: int) -> None:
    assert (await desk.post(REQUEST, headers, query)).status == status


async def test_a_publisher_that_is_not_known_is_asked_for_a_key(desk: Desk) -> None:
    stranger = {**REQUEST, "site": {"publisher": {"id": "pub-2"}}}
    nobody = {**REQUEST, "site": {}}
    app = {**{name: held for name, held in REQUEST.items() if name != "site"}, "app": {"publisher": {"id": "app-1"}}}

    assert [(await desk.post(body, {"origin": ORIGIN})).status for body in (stranger, nobody)] == [401, 401]
    assert (await desk.post(app, {})).status == 200
    assert desk.views[-1].publisher_id == SHOP


async def test_a_known_page_may_read_the_answer_with_its_cookies_and_others_may_not(desk: Desk) -> None:
    known = await desk.post(REQUEST, {"origin": ORIGIN, "content-type": "text/plain"})
    refused = await desk.post(REQUEST, {"origin": "https://evil.example", **WITH_KEY})
    malformed = await desk.post(b"x", {"origin": ORIGIN})

    for came in (known, malformed):
        assert came.headers["access-control-allow-origin"] == ORIGIN
        assert came.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in came.headers["vary"]
    assert "access-control-allow-origin" not in refused.headers


async def test_a_preflight_is_answered_for_known_origins(desk: Desk) -> None:
    known = await desk.post(b"", {"origin": ORIGIN, "access-control-request-method": "POST"}, method="OPTIONS")
    stranger = await desk.post(b"", {"origin": "https://evil.example"}, method="OPTIONS")

    assert (known.status, known.headers["access-control-allow-methods"]) == (204, "POST")
    assert "content-type" in known.headers["access-control-allow-headers"]
    assert (stranger.status, "access-control-allow-origin" in stranger.headers) == (403, False)


async def test_other_methods_are_not_allowed(desk: Desk) -> None:
    assert (await call(desk.app, "GET", PATH, "", {}, b"")).status == 405


@pytest.mark.parametrize(("header", "bits"), [({}, 15), ({"sec-gpc": "1"}, 5), ({"dnt": "1"}, 5), ({"dnt": "0"}, 15)])
async def test_headers_of_the_browser_count_as_signals(desk: Desk, header: dict[str, str], bits: int) -> None:
    await desk.post(REQUEST, {**WITH_KEY, **header})

    assert desk.views[0].permissions == bits


async def test_the_connections_address_is_the_devices_where_the_request_has_none(desk: Desk) -> None:
    await desk.post(REQUEST, {**WITH_KEY, "user-agent": "Browser/1"})

    assert json.loads(desk.views[0].openrtb)["device"] == {"ip": "203.0.113.77", "ua": "Browser/1"}


async def test_trouble_behind_is_503_and_a_mistake_of_ours_500_without_its_text(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    async def full(_view: PageView) -> Answer:
        raise BackendUnavailable("the log is full")

    async def broken(_view: PageView) -> Answer:
        raise ValueError("visitor 4711 is odd")

    desk.auctions._hold_auction = full
    unavailable = await desk.post(REQUEST)
    desk.auctions._hold_auction = broken
    mistaken = await desk.post(REQUEST)

    assert (unavailable.status, unavailable.json()) == (503, {"error": "the log is full"})
    assert mistaken.status == 500
    assert b"4711" not in mistaken.body
    assert "an OpenRTB call failed" in caplog.text


async def test_a_test_is_decided_as_a_test(desk: Desk) -> None:
    await desk.post({**REQUEST, "test": 1})

    assert desk.views[0].test
