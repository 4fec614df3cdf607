"""Addresses at which a moderator, and nobody else, sees what is not public."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from accounts.ports import Caller
from backends.media_folder import FolderMediaStore
from backends.media_sql import SqlMediaRecords
from feed.media.addresses import MediaAddresses
from feed.media.endpoints import MediaEndpoints
from feed.media.record import Media, MediaKind, Rendition
from feed.media.tickets import Tickets
from feed.moderation import post_keeper, profile_keeper, rest
from feed.moderation.case_values import Case
from feed.moderation.moderation_server import ModerationServer
from feed.moderation.picture_keeper import PictureKeeper
from feed.moderation.previews import PREVIEW_MS, Previews
from feed.moderation.subjects import Subject, SubjectKind
from feed.post import PostMedia, PostState
from feed.social.words import Person, ProfilePicture
from feed.verdict import Outcome
from protos import moderation_pb2 as pb
from tests.feed_builders import a_post
from tests.media_builders import SECRET
from tests.moderation_desk import OTHER_TENANT, TENANT, Desk

NARROW, WIDE = b"narrow", b"wide"
PHOTO, OTHER = "a1" * 16, "b2" * 16
CALLERS = {
    "ann": Caller(TENANT, "moderator", "key-of-ann"),
    "shop": Caller(TENANT, "storefront", "key-of-shop"),
    "brand": Caller(TENANT, "advertiser", "key-of-brand"),
    "theirs": Caller(OTHER_TENANT, "moderator", "key-of-them"),
}


class Keys:
    def caller_of(self, key: str) -> Caller | None:
        return CALLERS.get(key)


class Scene:
    """A held post with two photos, over the routes of moderation and of media; `public` are ids that others see."""

    def __init__(self, folder: Path) -> None:
        self.desk = Desk(folder)
        self.public: set[str] = set()
        clock, tickets = self.desk.clock, Tickets(SECRET)
        store, self.records = (
            FolderMediaStore(folder / "media", "http://media.example"),
            SqlMediaRecords(self.desk.engine),
        )
        for media_id in (PHOTO, OTHER):
            self._keep(folder, store, media_id)
        previews = Previews(
            effects=self.desk.effects, media=self.records, is_shown=self.public.__contains__, clock=clock,
            addresses=MediaAddresses("http://cdn.example", "http://testserver", tickets, clock),
        )  # fmt: skip
        self.server = ModerationServer(
            cases=self.desk.cases, reports=self.desk.reports, reputations=self.desk.reputations, bans=self.desk.bans,
            keys=Keys(), clock=clock, previews_of=previews.of,
        )  # fmt: skip
        media = MediaEndpoints(
            store=store, receiver=None, tickets=tickets, is_shown=self.public.__contains__, clock=clock
        )
        self.http = TestClient(Starlette(routes=[*rest.routes(self.server), *media.routes()]))
        self.case = self.post("post", (PHOTO, OTHER))

    def post(self, name: str, media_ids: tuple[str, ...]) -> Case:
        case = self.desk.found(name)
        facts = self.desk.posts.by_id[TENANT, name]
        self.desk.posts.by_id[TENANT, name] = msgspec.structs.replace(facts, media_ids=media_ids)
        return case

    def previews(self, who: str = "ann") -> list[dict[str, Any]]:
        """Of the newest case, over HTTP."""
        found = self.http.get(f"/v1/moderation/cases/{self.case.case_id}", headers={"x-api-key": who})
        assert found.status_code == 200, found.text
        return list(found.json()["case"]["previews"])

    def _keep(self, folder: Path, store: FolderMediaStore, media_id: str) -> None:
        renditions = []
        for width, data in ((320, NARROW), (1_280, WIDE)):
            name = f"{hashlib.sha256(data).hexdigest()}.jpg"
            (folder / "made").write_bytes(data)
            store.put(f"{media_id}/{name}", folder / "made", "image/jpeg")
            renditions.append(Rendition(name, "image/jpeg", width, width, len(data)))
        self.records.begin(Media(media_id, TENANT, "maker", MediaKind.IMAGE, 1_280, 1_280, 0, tuple(renditions)))
        self.records.ready(media_id)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    with made.http:
        yield made
    made.desk.close()


def test_a_moderator_sees_the_widest_file_of_each_medium_that_is_not_public(scene: Scene) -> None:
    first, second = scene.previews()

    assert (first["media_id"], second["media_id"]) == (PHOTO, OTHER)
    assert first["content_type"] == "image/jpeg"
    # Without a key: an <img> of a moderator's page sends none.
    seen = scene.http.get(first["url"])
    assert (seen.status_code, seen.content) == (200, WIDE)
    assert seen.headers["cache-control"] == "private, no-store"
    assert scene.http.get(first["url"].partition("?")[0]).status_code == 404


def test_an_address_expires_and_the_next_look_has_a_new_one(scene: Scene) -> None:
    [first, _] = scene.previews()
    assert int(first["expires_at_ms"]) == scene.desk.clock.now_ms() + PREVIEW_MS

    scene.desk.clock.step(PREVIEW_MS)
    assert scene.http.get(first["url"]).status_code == 200
    scene.desk.clock.step(1)
    assert scene.http.get(first["url"]).status_code == 404
    assert scene.http.get(scene.previews()[0]["url"]).status_code == 200


def test_an_altered_address_shows_nothing(scene: Scene) -> None:
    [first, second] = scene.previews()
    address, _, word = first["url"].partition("?preview=")
    expires, _, signature = word.partition("-")

    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    for altered in (
        f"{address}?preview={int(expires) + 1}-{signature}",
        f"{address}?preview={expires}-{flipped}",
        f"{address}?preview={signature}",
        f"{address}?preview=",
        f"{second['url'].partition('?')[0]}?preview={word}",
    ):
        assert scene.http.get(altered).status_code == 404, altered


def test_what_is_public_has_no_preview(scene: Scene) -> None:
    scene.public.add(PHOTO)

    assert [preview["media_id"] for preview in scene.previews()] == [OTHER]


def test_addresses_are_given_for_a_key_of_the_tenants_moderators_alone(scene: Scene) -> None:
    at = f"/v1/moderation/cases/{scene.case.case_id}"

    statuses = {who: scene.http.get(at, headers={"x-api-key": who}).status_code for who in ("", *CALLERS)}
    assert statuses == {"": 401, "ann": 200, "shop": 403, "brand": 403, "theirs": 404}
    theirs = scene.http.get("/v1/moderation/cases", headers={"x-api-key": "theirs"})
    assert theirs.json()["cases"] == []

    scene.desk.decide(scene.case, Outcome.REMOVED)
    said = {"author_id": "maker", "text": "No."}
    appealed = scene.http.post(f"{at}/appeal", headers={"x-api-key": "shop", "idempotency-key": "1"}, json=said)
    assert (appealed.status_code, appealed.json()["previews"]) == (200, [])
    # Somebody has to look at it again.
    assert len(scene.previews()) == 2


async def test_the_queue_and_a_claim_have_them_too(scene: Scene) -> None:
    scene.post("words", ())
    methods = scene.server.methods()

    listed: Any = await methods["ListCases"][1](pb.ListCasesRequest(), CALLERS["ann"])
    claim = pb.ClaimCasesRequest(idempotency_key="1", count=2)
    claimed: Any = await methods["ClaimCases"][1](claim, CALLERS["ann"])

    for answer in (listed, claimed):
        seen = {case.subject.id: [preview.media_id for preview in case.previews] for case in answer.cases}
        assert seen == {"post": [PHOTO, OTHER], "words": []}


def test_a_case_of_what_is_gone_has_none(scene: Scene) -> None:
    del scene.desk.posts.by_id[TENANT, "post"]
    assert scene.previews() == []

    scene.records.forget([PHOTO, OTHER])
    scene.case = scene.post("erased", (PHOTO,))
    assert scene.previews() == []


def test_every_kind_with_pictures_names_them(scene: Scene) -> None:
    photos = (PostMedia(media_id=PHOTO), PostMedia(url="https://img.example/1.jpg"))
    of_post = post_keeper.facts_of(a_post(media=photos, state=PostState.CHECKING))
    ana = Person(TENANT, "ana", "ana", picture=ProfilePicture(PHOTO, "f.jpg"))
    of_picture = PictureKeeper(scene.records).facts(TENANT, Subject(SubjectKind.PICTURE, PHOTO))

    assert of_post is not None
    assert of_picture is not None
    for facts in (of_post, profile_keeper.facts_of(ana), of_picture):
        assert facts.media_ids == (PHOTO,)
    assert profile_keeper.facts_of(msgspec.structs.replace(ana, picture=None)).media_ids == ()
