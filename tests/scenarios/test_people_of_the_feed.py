"""People sign up, follow, block and comment in a haat that runs, and one of them is erased from the terminal."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import grpc
import pytest

from app.demo_keys import DemoKeys
from protos import catalogue_pb2, catalogue_pb2_grpc, common_pb2, feed_pb2, feed_pb2_grpc, social_pb2
from protos import social_pb2_grpc as social_grpc
from tests.scenarios.conftest import Serve, Served

pytestmark = pytest.mark.slow

REMEMBER = common_pb2.Consent(granted=[common_pb2.PURPOSE_REMEMBER])


class Shop:
    """A storefront's stubs."""

    def __init__(self, channel: grpc.Channel, key: str) -> None:
        self.social: Any = social_grpc.SocialServiceStub(channel)
        self.feed: Any = feed_pb2_grpc.FeedServiceStub(channel)
        self.catalogue: Any = catalogue_pb2_grpc.CatalogueServiceStub(channel)
        self.key = {"metadata": (("x-api-key", key),)}
        self._written = 0

    def fresh(self) -> str:
        self._written += 1
        return f"key-{self._written}"

    def join(self, person_id: str) -> None:
        asked = social_pb2.SignUpRequest(
            idempotency_key=self.fresh(),
            consent=REMEMBER,
            person_id=person_id,
            handle=person_id,
            display_name=person_id,
        )
        self.social.SignUp(asked, **self.key)

    def post(self, creator_id: str, caption: str) -> str:
        post = feed_pb2.Post(
            creator_id=creator_id, caption=caption, image_urls=["https://img.example/1.jpg"],
            product_tags=[feed_pb2.ProductTag(product_id="boot", x=0.5, y=0.5)],
        )  # fmt: skip
        made = self.feed.CreatePost(feed_pb2.CreatePostRequest(idempotency_key=self.fresh(), post=post), **self.key)
        return str(made.post_id)

    def seen(self, visitor_id: str) -> set[str]:
        asked = feed_pb2.GetFeedRequest(
            session_id=self.fresh(), visitor=common_pb2.Visitor(visitor_id=visitor_id), consent=REMEMBER, page_size=50
        )
        return {item.post.post_id for item in self.feed.GetFeed(asked, **self.key).items}

    def act(
        self, visitor_id: str, kind: str, subject_id: str, *, session_id: str = "", remembered: bool = True
    ) -> None:
        action = feed_pb2.Action(kind=feed_pb2.Action.Kind.Value(kind), subject_id=subject_id, action_id=self.fresh())
        asked = feed_pb2.RecordActionsRequest(
            session_id=session_id or self.fresh(), visitor=common_pb2.Visitor(visitor_id=visitor_id),
            consent=REMEMBER if remembered else None, actions=[action],
        )  # fmt: skip
        self.feed.RecordActions(asked, **self.key)

    def likes(self, post_id: str) -> int:
        return int(self.feed.GetPost(feed_pb2.GetPostRequest(post_id=post_id), **self.key).likes)

    def found(self, words: str) -> list[str]:
        answer = self.social.Search(social_pb2.SearchRequest(words=words), **self.key)
        return sorted(hit.id for hit in answer.hits)


def until(holds: Any) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it did not come to be so"
        time.sleep(0.05)


def run_erase(served: Served, key: str, person: str) -> dict[str, int]:
    words = [sys.executable, "-m", "app", "erase", person, "--target", served.target, "--api-key", key, "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    erased: dict[str, int] = json.loads(done.stdout)
    return erased


def test_people_meet_part_and_are_forgotten(serve: Serve, keys: DemoKeys) -> None:
    with serve() as served, grpc.insecure_channel(served.target) as channel:
        shop = Shop(channel, keys.shop.key)
        product = catalogue_pb2.Product(
            product_id="boot", name="Winter boots", brand="b", category="shoes", price_micros=50_000_000,
            currency="EUR", in_stock=True,
            landing_url="https://shop.example/boot",
        )  # fmt: skip
        shop.catalogue.PutProducts(catalogue_pb2.PutProductsRequest(products=[product]), **shop.key)
        for person in ("ana", "bea", "cyd"):
            shop.join(person)
        of_ana, of_bea = shop.post("ana", "boots #winter"), shop.post("bea", "boots for @cyd")

        # Before anybody blocks anybody: who is blocked when a post is followed is not told of it.
        until(lambda: shop.found("boots") == sorted([of_ana, of_bea, "boot"]))

        def told() -> list[str]:
            page = shop.social.ListNotifications(social_pb2.ListNotificationsRequest(person_id="cyd"), **shop.key)
            return [one.subject_id for one in page.notifications]

        until(lambda: told() == [of_bea])

        # Likes of one person count once, on however many devices; strangers count by their session.
        for _ in range(3):
            shop.act("cyd", "KIND_LIKE", of_ana)
        shop.act("", "KIND_LIKE", of_ana, remembered=False)
        assert shop.likes(of_ana) == 2
        shop.act("cyd", "KIND_UNLIKE", of_ana)
        assert shop.likes(of_ana) == 1

        # Who is blocked is gone from the feed of other sessions too, both ways.
        assert shop.seen("cyd") >= {of_ana, of_bea}
        shop.act("cyd", "KIND_BLOCK", "bea")
        assert shop.seen("cyd") == {of_ana}
        shop.act("cyd", "KIND_UNBLOCK", "bea")
        assert shop.seen("cyd") == {of_ana, of_bea}

        # Without consent nothing is kept under the id.
        shop.act("cyd", "KIND_MUTE", "ana", remembered=False)
        assert shop.seen("cyd") == {of_ana, of_bea}

        erased = run_erase(served, keys.shop.key, "bea")
        assert (erased["posts"], erased["accounts"]) == (1, 1)
        until(lambda: shop.seen("cyd") == {of_ana})
        assert shop.found("boots") == sorted([of_ana, "boot"])
        with pytest.raises(grpc.RpcError):
            shop.feed.GetPost(feed_pb2.GetPostRequest(post_id=of_bea), **shop.key)
        assert not any(run_erase(served, keys.shop.key, "bea").values())
        assert served.stop() == 0

    with serve() as served, grpc.insecure_channel(served.target) as channel:
        shop = Shop(channel, keys.shop.key)
        assert shop.seen("cyd") == {of_ana}
        assert shop.likes(of_ana) == 1
        assert "bea" not in served.log.read_text()
