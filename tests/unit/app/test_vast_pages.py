from __future__ import annotations

from typing import Any

from defusedxml.ElementTree import fromstring
from starlette.applications import Starlette

from app.vast_pages import routes
from common.clock import SteppedClock
from exchange.creatives.markup_store import MarkupStore, is_key, vast_url

KEY = "018bcfe568007a1bb2c3d4e5f6071829.0"


async def get(store: MarkupStore, path: str) -> tuple[int, dict[str, str], str]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"origin", b"https://s.example")],
    }
    await Starlette(routes=routes(store))(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"].decode()


async def test_a_kept_video_is_served_until_its_time_is_over() -> None:
    clock = SteppedClock()
    store = MarkupStore(clock, ttl_ms=1_000)
    store.keep(KEY, "<VAST/>")

    status, headers, body = await get(store, f"/vast/{KEY}")
    assert (status, body, headers["content-type"]) == (200, "<VAST/>", "application/xml")
    assert headers["access-control-allow-origin"] == "https://s.example"
    assert headers["access-control-allow-credentials"] == "true"
    clock.step(1_000)
    status, _, body = await get(store, f"/vast/{KEY}")
    assert status == 200
    assert len(fromstring(body.encode())) == 0
    assert (await get(store, "/vast/../etc"))[0] == 404
    assert (await get(store, "/vast/nobody"))[0] == 404


def test_the_store_holds_so_much_and_forgets_the_oldest() -> None:
    store = MarkupStore(SteppedClock(), bytes_at_most=250)
    for number in range(5):
        store.keep(f"{number}", "x" * 100)
    store.keep("4", "y" * 90)

    assert [store.get(str(number)) and len(store.get(str(number)) or "") for number in range(5)] == [
        None, None, None, 100, 90,
    ]  # fmt: skip
    store.keep("large", "z" * 300)
    assert len(store) == 0


def test_a_key_is_an_impression_or_a_pod() -> None:
    assert is_key(KEY)
    assert is_key(KEY[:-1] + "pod0")
    assert not is_key(KEY + "/..")
    assert vast_url("https://ads.example", KEY) == f"https://ads.example/vast/{KEY}"
