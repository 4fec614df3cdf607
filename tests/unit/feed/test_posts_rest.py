"""Posts over HTTP in JSON, from the upload of a picture to the appeal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from html5lib import HTMLParser

from feed.post import PostState
from feed.verdict import Finding, Label, Outcome, Verdict
from tests.feed_builders import NOW_MS, TENANT, a_product
from tests.media_builders import a_picture, an_mp4
from tests.post_desk import PostDesk

XSS = "<script>alert(document.domain)</script><img src=x onerror=alert(1)>\"'&</textarea>"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[PostDesk]:
    made = PostDesk(tmp_path)
    yield made
    made.close()


def fields(answer: Any) -> list[str]:
    assert answer["code"] == "invalid_input"
    return [entry["field"] for entry in answer["fields"]]


def test_a_creator_posts_a_picture_with_a_product_on_it_and_everybody_sees_it(desk: PostDesk) -> None:
    picture = desk.upload(a_picture(), "image/jpeg")
    film = desk.upload(an_mp4(), "video/mp4")
    assert (picture["kind"], picture["width"], picture["height"]) == ("image", 800, 600)
    assert (film["kind"], film["duration_ms"], film["height"]) == ("video", 5_000, 1_280)

    made = desk.post(
        media=[
            {"media_id": picture["media_id"], "alt_text": "Red and blue"},
            {"media_id": film["media_id"], "alt_text": "How they walk"},
        ],
        product_tags=[{"product_id": "shoe", "x": 0.25, "y": 0.75, "picture": 0}],
        hashtags=["#Boots"],
        disclosure="gifted",
        partner="Bruma",
    )
    seen = desk.read(f"/v1/posts/{made['post_id']}")

    assert seen == made
    assert (seen["state"], seen["revision"], seen["hashtags"]) == ("clean", 1, ["boots"])
    assert seen["product_tags"] == [{"product_id": "shoe", "x": 0.25, "y": 0.75, "picture": 0}]
    assert [medium["alt_text"] for medium in seen["media"]] == ["Red and blue", "How they walk"]
    assert (seen["disclosure"], seen["partner"], seen["verdict"]) == ("gifted", "Bruma", None)
    for medium in seen["media"]:
        for rendition in medium["renditions"]:
            assert rendition["url"].startswith("http://cdn.example/media/")
            served = desk.client.get(rendition["url"].replace("http://cdn.example", ""))
            assert (served.status_code, len(served.content)) == (200, rendition["size_bytes"])
            assert served.headers["content-type"] == rendition["content_type"]


def test_what_is_not_checked_is_seen_by_its_author_alone_picture_and_all(desk: PostDesk) -> None:
    desk.checker.says(Outcome.HELD)
    picture = desk.upload(a_picture(), "image/jpeg")
    made = desk.post(media=[{"media_id": picture["media_id"]}])
    path = f"/v1/posts/{made['post_id']}"

    for viewer in ("", "creator-2"):
        assert desk.read(path, 404, viewer_creator_id=viewer)["code"] == "not_found"
        assert desk.read("/v1/posts", creator_id="creator-1", viewer_creator_id=viewer)["posts"] == []
    mine = desk.read(path, viewer_creator_id="creator-1")
    preview = mine["media"][0]["renditions"][0]["url"]
    assert (mine["state"], mine["verdict"]["outcome"]) == ("checking", "held")
    assert desk.client.get(preview).status_code == 200
    assert desk.client.get(preview.partition("?")[0]).status_code == 404
    assert desk.index.shelf(TENANT).newest(9) == []

    desk.posts.decide(TENANT, made["post_id"], Outcome.CLEAN, Verdict(Outcome.CLEAN, 0), "mod", 1)
    assert desk.client.get(preview.partition("?")[0]).status_code == 200
    desk.posts.decide(TENANT, made["post_id"], Outcome.REMOVED, Verdict(Outcome.REMOVED, 1), "mod", 2)
    assert desk.client.get(preview.partition("?")[0]).status_code == 404


def test_a_creator_sees_why_a_post_is_limited_and_appeals(desk: PostDesk) -> None:
    desk.checker.says(Outcome.LIMITED, Finding(Label.SPAM, 0.9, 0.8, "caption", "buy now"))
    made = desk.post(caption="buy now")
    path = f"/v1/posts/{made['post_id']}"
    why = {"outcome": "limited", "findings": [{"label": "spam", "where": "caption", "evidence": "buy now"}]}

    assert (made["state"], made["verdict"]) == ("limited", why)
    assert desk.read(path)["verdict"] is None, "others are not told why"
    appealed = desk.write("POST", f"{path}/appeal", {"creator_id": "creator-1", "text": "It is no spam"})
    assert (appealed["state"], appealed["appeal"], appealed["verdict"]) == ("appealed", "It is no spam", why)
    desk.posts.decide(TENANT, made["post_id"], Outcome.CLEAN, Verdict(Outcome.CLEAN, 0), "mod-7", 2, why="no spam")
    steps = desk.read(f"{path}/history", creator_id="creator-1")["steps"]
    assert [(step["actor"], step["state_before"], step["state_after"], step["why"]) for step in steps] == [
        ("moderator", "appealed", "clean", "no spam"), ("creator", "limited", "appealed", ""),
        ("checker", "checking", "limited", "spam in caption"), ("creator", "", "checking", ""),
    ]  # fmt: skip
    assert "mod-7" not in json.dumps(steps), "who moderates stays unnamed"


def test_a_draft_is_edited_published_and_withdrawn(desk: PostDesk) -> None:
    draft = desk.post(draft=True)
    path = f"/v1/posts/{draft['post_id']}"
    assert (draft["state"], draft["published_at_ms"]) == ("draft", 0)

    edited = desk.write("PUT", path, {"creator_id": "creator-1", "caption": "Better", "expected_revision": 1})
    late = desk.write("PUT", path, {"creator_id": "creator-1", "caption": "Late", "expected_revision": 1}, 409)
    published = desk.write("POST", f"{path}/publish", {"creator_id": "creator-1", "expected_revision": 2})
    assert (edited["revision"], late["code"], published["state"]) == (2, "conflict", "clean")
    revisions = desk.read(f"{path}/revisions", creator_id="creator-1")["revisions"]
    assert [(one["revision"], one["caption"]) for one in revisions] == [(2, "Better"), (1, "A look")]
    assert desk.read(f"{path}/revisions", creator_id="creator-1", before="2")["revisions"] == revisions[1:]
    desk.write("POST", f"{path}/withdraw", {"creator_id": "creator-2"}, 404)
    assert desk.write("POST", f"{path}/withdraw", {"creator_id": "creator-1"})["state"] == "withdrawn"
    desk.read(path, 404)


async def test_a_scheduled_post_reaches_the_index_by_itself(desk: PostDesk) -> None:
    made = desk.post(publish_at_ms=NOW_MS + 5_000)
    await desk.calls.run_jobs()
    assert desk.index.shelf(TENANT).live_count == 0
    desk.clock.step(5_000)
    await desk.calls.run_jobs()

    assert desk.index.shelf(TENANT).live_count == 1
    assert desk.read(f"/v1/posts/{made['post_id']}")["published_at_ms"] == NOW_MS + 5_000


def test_a_list_goes_on_where_it_ended(desk: PostDesk) -> None:
    for number in range(5):
        desk.clock.step(1)
        desk.post(caption=str(number))

    first = desk.read("/v1/posts", creator_id="creator-1", page_size="3")
    rest = desk.read("/v1/posts", creator_id="creator-1", page_size="3", cursor=first["next_cursor"])

    assert [post["caption"] for post in first["posts"] + rest["posts"]] == ["4", "3", "2", "1", "0"]
    assert rest["next_cursor"] == ""


def test_the_same_key_writes_once(desk: PostDesk) -> None:
    body = {"creator_id": "creator-1", "caption": "Once"}
    first = desk.write("POST", "/v1/posts", body, 201, idempotency_key="mine")

    assert desk.write("POST", "/v1/posts", body, 201, idempotency_key="mine") == first
    other = desk.write("POST", "/v1/posts", body | {"caption": "Twice"}, 409, idempotency_key="mine")
    assert other["code"] == "conflict"
    answer = desk.client.post("/v1/posts", json=body)
    assert fields(answer.json()) == ["idempotency_key"]


def test_markup_in_every_text_field_is_kept_as_text_and_inert_on_its_way_out(desk: PostDesk) -> None:
    desk.shop.by_id[XSS[:60]] = a_product(XSS[:60])
    desk.checker.says(Outcome.LIMITED, Finding(Label.SPAM, 1, 1, "caption", XSS[:80]))
    medium = {"url": "https://img.example/1.jpg", "alt_text": XSS}
    made = desk.write("POST", "/v1/posts", {
        "creator_id": XSS[:60], "caption": XSS, "media": [medium], "disclosure": "gifted", "partner": XSS[:90],
        "product_tags": [{"product_id": XSS[:60], "x": 0, "y": 0}],
    }, 201)  # fmt: skip
    path = f"/v1/posts/{made['post_id']}"
    desk.write("POST", f"{path}/appeal", {"creator_id": XSS[:60], "text": XSS})
    answers = [
        desk.client.get(path, params={"viewer_creator_id": XSS[:60]}),
        desk.client.get("/v1/posts", params={"creator_id": XSS[:60], "viewer_creator_id": XSS[:60]}),
        desk.client.get(f"{path}/revisions", params={"creator_id": XSS[:60]}),
        desk.client.get(f"{path}/history", params={"creator_id": XSS[:60]}),
        # What is wrong is quoted, too.
        desk.client.post("/v1/posts", json={"creator_id": XSS, "hashtags": [XSS], XSS: 1}),
        desk.client.post("/v1/posts", json={"creator_id": XSS * 9, "hashtags": [XSS], "disclosure": "none"}),
        desk.client.get(f"/v1/posts/{XSS[:20]}"),
    ]

    seen = answers[0].json()
    assert (seen["caption"], seen["media"][0]["alt_text"], seen["appeal"]) == (XSS, XSS, XSS)
    assert (seen["partner"], seen["product_tags"][0]["product_id"]) == (XSS[:90], XSS[:60])
    for answer in answers:
        if "json" not in answer.headers["content-type"]:
            assert answer.status_code == 404
            assert "<" not in answer.text
            continue
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert not set("<>&") & set(answer.text)
        # A browser that took it for a page all the same would find no element in it but the frame of every page.
        page = HTMLParser(namespaceHTMLElements=False).parse(answer.text)
        assert [element.tag for element in page.iter()] == ["html", "head", "body"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"creator_id": 5}, "creator_id"),
        ({"caption": "no creator"}, "creator_id"),
        ({"creator_id": "c", "caption": "x", "state": "clean"}, "state"),
        ({"creator_id": "c", "caption": "x", "disclosure": "free"}, "disclosure"),
        ({"creator_id": "c", "media": [{"media_id": "x", "renditions": []}]}, "media[0].renditions"),
        ({"creator_id": "c", "caption": "x", "product_tags": [{"product_id": "shoe", "x": "left"}]},
         "product_tags[0].x"),
        ({"creator_id": "c", "caption": "turned \u202e round"}, "caption"),
        ({"creator_id": "c", "caption": "x" * 2_201}, "caption"),
        ({"creator_id": "c", "caption": "x", "product_tags": [{"product_id": "gone", "x": 0, "y": 0}]},
         "product_tags[0].product_id"),
        ([], "body"),
        ("text", "body"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_named(desk: PostDesk, body: Any, field: str) -> None:
    assert fields(desk.write("POST", "/v1/posts", body, 400)) == [field]


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"creator_id": "\\ud800"}', b"null", b"{}" * 2]
)
def test_what_is_no_json_is_refused(desk: PostDesk, data: bytes) -> None:
    answer = desk.client.post("/v1/posts", content=data, headers={"idempotency-key": "k"})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")


def test_a_caption_of_a_megabyte_is_turned_away_early(desk: PostDesk) -> None:
    long = json.dumps({"creator_id": "c", "caption": "x" * (1 << 20)}).encode()
    pulled = 0

    def pieces() -> Iterator[bytes]:
        nonlocal pulled
        for at in range(0, len(long), 1 << 16):
            pulled += 1
            yield long[at : at + (1 << 16)]

    announced = desk.client.post("/v1/posts", content=long, headers={"idempotency-key": "k"})
    streamed = desk.client.post("/v1/posts", content=pieces(), headers={"idempotency-key": "k"})

    for answer in (announced, streamed):
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert pulled
    assert list(desk.store.all()) == []


def test_a_key_opens_its_own_tenants_posts_and_a_brands_key_none(desk: PostDesk) -> None:
    made = desk.post()
    path = f"/v1/posts/{made['post_id']}"
    asked = {"creator_id": "creator-1", "content_type": "image/png", "size_bytes": 9}
    ticket = desk.write("POST", "/v1/uploads", asked, 201)["ticket"]

    other = desk.client.get(path, params={"viewer_creator_id": "creator-1"}, headers={"x-api-key": "other"})
    assert other.status_code == 404
    assert desk.client.get(path, headers={"x-api-key": "brand"}).status_code == 403
    for key in ("", "unknown", "x" * 10_000):
        assert desk.client.get(path, headers={"x-api-key": key}).status_code == 401
    desk.write("POST", f"{path}/withdraw", {"creator_id": "creator-1"}, 404, x_api_key="other")
    desk.write("POST", "/v1/uploads/finish", {"ticket": ticket}, 404, x_api_key="other")
    assert desk.posts.get(TENANT, made["post_id"]).state is PostState.CLEAN


def test_a_mistake_of_ours_is_said_to_be_one_and_tells_nothing(desk: PostDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(desk.posts, "seen_by", broken)

    answer = desk.client.get("/v1/posts/x")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text


def test_openapi_describes_every_route_that_there_is(desk: PostDesk) -> None:
    told = desk.read("/openapi.json")
    paths = {(method.upper(), path) for path, methods in told["paths"].items() for method in methods}

    assert told["openapi"] == "3.1.0"
    assert paths == {
        ("POST", "/v1/posts"), ("GET", "/v1/posts"), ("GET", "/v1/posts/{post_id}"), ("PUT", "/v1/posts/{post_id}"),
        ("POST", "/v1/posts/{post_id}/publish"), ("POST", "/v1/posts/{post_id}/withdraw"),
        ("POST", "/v1/posts/{post_id}/appeal"), ("GET", "/v1/posts/{post_id}/revisions"),
        ("GET", "/v1/posts/{post_id}/history"), ("POST", "/v1/uploads"), ("POST", "/v1/uploads/finish"),
    }  # fmt: skip
    references = set(_references(told))
    schemas = told["components"]["schemas"]
    assert {name.rpartition("/")[2] for name in references} <= set(schemas)
    assert schemas["PostGiven"]["properties"]["caption"]["maxLength"] == 2_200
    assert schemas["PostGiven"]["additionalProperties"] is False
    operations = [op for methods in told["paths"].values() for op in methods.values()]
    assert len({op["operationId"] for op in operations}) == len(operations)
    writes = [op for op in operations if any(p["name"] == "Idempotency-Key" for p in op["parameters"])]
    assert len(writes) == 5
    listing = told["paths"]["/v1/posts"]["get"]["parameters"]
    assert [(p["name"], p["required"]) for p in listing] == [
        ("creator_id", True), ("viewer_creator_id", False), ("page_size", False), ("cursor", False),
    ]  # fmt: skip


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            else:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
