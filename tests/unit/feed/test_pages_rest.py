"""Pages and actions over HTTP in JSON: the same feed through another door."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from feed.pages_rest import PageEndpoints
from feed.rest import RestEdge
from tests.unit.feed.test_server import Keys, Scene

AGREED = {"granted": ["remember", "personalised_ads", "personalised_content"]}


class Answer:
    """What came back over ASGI."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.body = status, body

    def json(self) -> Any:
        return json.loads(self.body)


class Door:
    """A scene of the gRPC tests, and the HTTP door of its feed."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        edge = RestEdge(PageEndpoints(scene.feed).table(), Keys(), version="1")
        self._app = Starlette(routes=edge.routes())

    async def call(self, method: str, path: str, body: object = None, key: str = "shop") -> Answer:
        data = b"" if body is None else json.dumps(body).encode()
        told: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": data, "more_body": False}

        async def send(message: Any) -> None:
            told.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
            "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http",
            "server": ("feed.example", 80), "client": ("127.0.0.1", 1), "headers": [(b"x-api-key", key.encode())],
        }  # fmt: skip
        await self._app(scope, receive, send)
        return Answer(told[0]["status"], b"".join(part.get("body", b"") for part in told[1:]))

    async def post(self, path: str, status: int = 200, **body: Any) -> Any:
        answer = await self.call("POST", path, body)
        assert answer.status == status, answer.body
        return answer.json()


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    scene = Scene(tmp_path)
    await scene.serve()
    made = Door(scene)
    yield made
    await scene.stop()
    scene.close()


async def test_a_page_scrolls_with_its_ads_and_actions_answer_on_the_next(door: Door) -> None:
    made = await door.scene.fill()
    first = await door.post("/v1/feed/pages", session_id="s", consent=AGREED, page_size=6, ad_slots=2)

    shown = [item["post"]["post_id"] for item in first["items"] if item["post"]]
    assert (len(shown), len(first["items"])) == (6, 8)
    assert all(item["why"] for item in first["items"])
    assert [item["ad"]["format"] for item in first["items"] if item["ad"]] == ["product_listing"] * 2

    bag = next(post for post in made if post.product_tags[0].product_id == "bag" and post.post_id not in shown)
    like = {"kind": "like", "subject_id": bag.post_id, "action_id": "a"}
    for expected in ({"recorded": 1, "duplicates": 0}, {"recorded": 0, "duplicates": 1}):
        assert await door.post("/v1/feed/actions", session_id="s", consent=AGREED, actions=[like]) == expected
    second = await door.post("/v1/feed/pages", session_id="s", consent=AGREED, page_size=6, cursor=first["next_cursor"])

    again = [item["post"]["post_id"] for item in second["items"]]
    assert not set(again) & set(shown)
    assert second["items"][0]["post"]["product_tags"][0]["product_id"] == "bag"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/feed/pages", {}, "session_id"),
        ("/v1/feed/pages", {"session_id": "s", "page_size": 51}, "page_size"),
        ("/v1/feed/pages", {"session_id": "s", "page_size": -1}, "page_size"),
        ("/v1/feed/pages", {"session_id": "s", "page_size": 2**40}, "page_size"),
        ("/v1/feed/pages", {"session_id": "s", "consent": {"granted": ["everything"]}}, "consent.granted[0]"),
        ("/v1/feed/pages", {"session_id": "s", "cursor": "forged"}, "cursor"),
        ("/v1/feed/pages", {"session_id": "s", "unknown": 1}, "unknown"),
        ("/v1/feed/actions", {"session_id": "s", "actions": []}, "actions"),
        ("/v1/feed/actions", {"session_id": "s", "actions": [{"kind": "adore", "subject_id": "p", "action_id": "a"}]},
         "actions[0].kind"),
        ("/v1/feed/actions", {"session_id": "s", "actions": [{"kind": "like", "subject_id": "no post",
                                                              "action_id": "a"}]}, "actions[0].subject_id"),
    ],
)  # fmt: skip
async def test_what_cannot_be_taken_is_named(door: Door, path: str, body: dict[str, Any], field: str) -> None:
    answer = await door.post(path, 400, **body)

    assert answer["code"] == "invalid_input"
    assert [entry["field"] for entry in answer["fields"]] == [field]


async def test_a_key_is_needed_and_openapi_tells_of_both(door: Door) -> None:
    refused = await door.call("POST", "/v1/feed/pages", {"session_id": "s"}, key="no key")
    brand = await door.call("POST", "/v1/feed/pages", {"session_id": "s"}, key="brand")
    told = (await door.call("GET", "/openapi.json")).json()

    assert (refused.status, brand.status) == (401, 403)
    assert set(told["paths"]) == {"/v1/feed/pages", "/v1/feed/actions"}
    assert "PageAsked" in told["components"]["schemas"]
