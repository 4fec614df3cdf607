"""The same calls over gRPC and over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from starlette.applications import Starlette
from starlette.testclient import TestClient

from accounts.ports import Caller
from feed.social.operations import Operation
from feed.social.rest import openapi
from protos import common_pb2, social_pb2, social_pb2_grpc
from tests.feed_builders import TENANT, a_product
from tests.social_worlds import World, social_world

KEYS = {
    "key": Caller(TENANT, "storefront"),
    "other": Caller("b" * 32, "storefront"),
    "brand": Caller(TENANT, "advertiser"),
}
METADATA = (("x-api-key", "key"),)
HEADERS = {"x-api-key": "key"}


class Keys:
    def caller_of(self, key: str) -> Caller | None:
        return KEYS.get(key)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with social_world(tmp_path, ["ana", "bea"]) as opened:
        yield opened


@pytest.fixture
async def stub(world: World) -> AsyncIterator[Any]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((world.part.handlers(Keys()),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield social_pb2_grpc.SocialServiceStub(channel)
    await server.stop(0)


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=world.part.routes(Keys())), follow_redirects=False) as opened:
        yield opened


async def refused(call: Any) -> tuple[grpc.StatusCode, list[str]]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    status = rpc_status.from_call(error.value)  # type: ignore[arg-type]
    fields = []
    for detail in status.details if status else ():
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            fields = [violation.field for violation in bad.field_violations]
    return error.value.code(), fields


async def test_every_method_is_served(world: World, stub: Any) -> None:
    service = social_pb2.DESCRIPTOR.services_by_name["SocialService"]

    assert {one.name for one in world.part.operations} == set(service.methods_by_name)
    for one in world.part.operations:
        asked = service.methods_by_name[one.name].input_type
        assert set(asked.fields_by_name) == set(one.request.__struct_fields__), one.name
        answered = service.methods_by_name[one.name].output_type
        assert set(answered.fields_by_name) == set(one.response.__struct_fields__), one.name


async def test_a_story_over_grpc(world: World, stub: Any) -> None:
    consent = common_pb2.Consent(granted=[common_pb2.PURPOSE_REMEMBER])
    joined = await stub.SignUp(
        social_pb2.SignUpRequest(idempotency_key="k", consent=consent, handle="cyd", display_name="Cyd"),
        metadata=METADATA,
    )
    post = world.post(1)
    written = await stub.AddComment(
        social_pb2.AddCommentRequest(idempotency_key="c", person_id=joined.person_id, post_id=post, text="odd"),
        metadata=METADATA,
    )
    assert written.state == social_pb2.Comment.STATE_CHECKING
    assert len(written.reasons) == 2
    related = await stub.Relate(
        social_pb2.RelateRequest(
            person_id=joined.person_id, kind=social_pb2.RelateRequest.KIND_FOLLOW, subject="ana", action_id="a"
        ),
        metadata=METADATA,
    )
    assert related.changed
    chosen = await stub.ChooseNotifications(
        social_pb2.ChooseNotificationsRequest(person_id="ana", unwanted=[social_pb2.NOTIFICATION_KIND_LIKE]),
        metadata=METADATA,
    )
    assert list(chosen.unwanted_notifications) == [social_pb2.NOTIFICATION_KIND_LIKE]
    profile = await stub.GetProfile(social_pb2.GetProfileRequest(handle="ana"), metadata=METADATA)
    assert (profile.person.followers, profile.posts) == (1, 1)
    erased = await stub.ErasePerson(social_pb2.ErasePersonRequest(person_id=joined.person_id), metadata=METADATA)
    assert {one.what: one.count for one in erased.erased}["comments"] == 1


async def test_errors_over_grpc_name_field_and_reason(world: World, stub: Any) -> None:
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    unknown = social_pb2.RelateRequest(person_id="ana", kind=99, subject="bea", action_id="a")  # type: ignore[arg-type]
    assert await refused(stub.Relate(unknown, metadata=METADATA)) == (invalid, ["kind"])
    missing = social_pb2.RelateRequest(person_id="ana", subject="bea", action_id="a")
    assert await refused(stub.Relate(missing, metadata=METADATA)) == (invalid, ["kind"])
    long = social_pb2.AddCommentRequest(text="x" * 1_000_000)
    assert await refused(stub.AddComment(long, metadata=METADATA)) == (invalid, ["AddCommentRequest"])
    of_other = stub.GetProfile(social_pb2.GetProfileRequest(person_id="ana"), metadata=(("x-api-key", "other"),))
    assert (await refused(of_other))[0] == grpc.StatusCode.NOT_FOUND
    for metadata, code in (
        ((), grpc.StatusCode.UNAUTHENTICATED),
        ((("x-api-key", "brand"),), grpc.StatusCode.PERMISSION_DENIED),
    ):
        asked = stub.GetProfile(social_pb2.GetProfileRequest(person_id="ana"), metadata=metadata)
        assert (await refused(asked))[0] == code


def test_a_story_over_http_in_words(world: World, client: TestClient) -> None:
    post = world.post(1)
    said = {"idempotency_key": "k", "consent": {"granted": ["remember"]}, "handle": "cyd", "display_name": "<b>Cyd</b>"}
    joined = client.post("/v1/people", json=said, headers=HEADERS)
    assert joined.status_code == 200, joined.text
    assert joined.headers["content-type"] == "application/json; charset=utf-8"
    assert joined.headers["x-content-type-options"] == "nosniff"
    person = joined.json()["person_id"]
    assert joined.json()["display_name"] == "<b>Cyd</b>"

    relation = {"kind": "follow", "subject": "ana", "action_id": "a"}
    assert client.post(f"/v1/people/{person}/relations", json=relation, headers=HEADERS).json() == {"changed": True}
    written = client.post(
        f"/v1/posts/{post}/comments",
        json={"idempotency_key": "c", "person_id": person, "text": "spam"},
        headers=HEADERS,
    ).json()
    assert (written["state"], written["post_id"]) == ("limited", post)
    listed = client.get(f"/v1/posts/{post}/comments?viewer_id=bea&page_size=5", headers=HEADERS).json()
    assert [one["text"] for one in listed["comments"]] == ["spam"]
    found = client.get("/v1/search?words=cyd&kinds=person&kinds=post", headers=HEADERS).json()
    assert [(one["kind"], one["title_html"]) for one in found["hits"]] == [
        ("person", "&lt;b&gt;<mark>Cyd</mark>&lt;/b&gt; @<mark>cyd</mark>")
    ]
    told = client.get("/v1/people/ana/notifications", headers=HEADERS).json()
    assert {one["kind"] for one in told["notifications"]} == {"follow", "comment", "post_clean"}
    erased = client.delete(f"/v1/people/{person}", headers=HEADERS).json()
    assert {"what": "accounts", "count": 1} in erased["erased"]


def test_the_key_of_a_write_may_stand_in_the_header_as_for_posts(world: World, client: TestClient) -> None:
    said = {"consent": {"granted": ["remember"]}, "handle": "cyd", "display_name": "Cyd"}
    headers = {**HEADERS, "Idempotency-Key": "k"}

    first, again = (client.post("/v1/people", json=said, headers=headers) for _ in range(2))

    assert first.status_code == 200, first.text
    assert first.json()["person_id"] == again.json()["person_id"]
    assert client.post("/v1/people", json={**said, "bio": "other"}, headers=headers).status_code == 409
    assert client.post("/v1/people", json=said, headers=HEADERS).json()["fields"][0]["field"] == "idempotency_key"
    described = openapi(world.part.operations)[0]["/v1/people"]["post"]["parameters"]
    assert [(one["name"], one["in"]) for one in described] == [("idempotency-key", "header")]


def test_a_word_that_is_none_is_answered_with_those_that_are(client: TestClient) -> None:
    said = {"idempotency_key": "k", "consent": {"granted": ["remember", "PURPOSE_REMEMBER"]}, "handle": "cyd"}

    joining = client.post("/v1/people", json=said, headers=HEADERS)
    listing = client.get("/v1/people/ana/relations?which=enemies", headers=HEADERS)

    assert (joining.status_code, listing.status_code) == (400, 400)
    (field,) = joining.json()["fields"]
    assert (field["field"], field["value"]) == ("consent.granted[1]", "'PURPOSE_REMEMBER'")
    assert field["remedy"] == "give one of remember, personalised_ads, personalised_content, share_with_bidders"
    assert listing.json()["fields"][0]["remedy"] == "give one of followed, followers, blocked, muted, muted_words"


@pytest.mark.parametrize(
    ("body", "field"),
    [(b"{", "request"), (b"[]", "request"), (b'{"text": 1}', "text"), (b'{"txt": "x"}', "request"),
     (b'{"text": "' + b"x" * 1_000_000 + b'"}', "request"), (b"\xff", "request"), (b"[" * 60_000, "request")],
)  # fmt: skip
def test_what_cannot_be_read_is_named_over_http(world: World, client: TestClient, body: bytes, field: str) -> None:
    answer = client.post(f"/v1/posts/{'f' * 32}/comments", content=body, headers=HEADERS)

    assert answer.status_code == 400
    assert [one["field"] for one in answer.json()["fields"]] == [field]
    assert len(answer.content) < 1_000


@pytest.mark.parametrize(("headers", "status"), [({}, 401), ({"x-api-key": "x"}, 401), ({"x-api-key": "brand"}, 403),
                                                 ({"x-api-key": "other"}, 404)])  # fmt: skip
def test_keys_are_asked_for_over_http(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.get("/v1/people?person_id=ana", headers=headers).status_code == status


def test_a_shared_link_leads_on(world: World, client: TestClient) -> None:
    world.sell(a_product("shoe"))
    post = world.post(1, products=["shoe"])
    made = {"idempotency_key": "k", "person_id": "bea", "disclosure": "gifted"}
    link = client.post(f"/v1/posts/{post}/links", json=made, headers=HEADERS).json()
    path = link["url"][link["url"].index("/s/") :]

    led = client.get(path)

    assert led.status_code == 302
    assert led.headers["location"].startswith("https://shop.example/it?haat_ref=")
    assert "set-cookie" not in led.headers
    client.get(f"{path}?session=s1")
    client.get(f"{path}?session=s1")
    assert client.head(path).status_code == 204
    assert client.get(path, headers={"sec-purpose": "prefetch"}).status_code == 204
    shown = client.get(f"/v1/links/{link['share_id']}?person_id=bea", headers=HEADERS).json()
    assert (shown["clicks"], shown["disclosure"]) == (2, "gifted")
    assert client.get("/s/" + "A" * 23).status_code == 404


def test_the_description_is_whole(world: World) -> None:
    paths, components = openapi(world.part.operations)

    described = [call for calls in paths.values() for call in calls.values()]
    assert {call["operationId"] for call in described} == {one.name for one in world.part.operations}
    text = msgspec.json.encode([paths, components]).decode()
    references = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert references <= set(components)
    assert components["CommentState"] == {
        "type": "string", "enum": ["clean", "checking", "limited", "removed", "deleted"],
    }  # fmt: skip
    assert all(call["summary"] for call in described)
    for path, calls in paths.items():
        for call in calls.values():
            in_path = {one["name"] for one in call["parameters"] if one["in"] == "path"}
            assert in_path == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def test_no_two_calls_share_a_route(world: World) -> None:
    ways = [(one.method, one.path) for one in world.part.operations]

    assert len(set(ways)) == len(ways)
    assert all(isinstance(one, Operation) for one in world.part.operations)
