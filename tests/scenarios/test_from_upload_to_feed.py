"""A creator uploads a picture, posts it, edits and withdraws it, against the running program."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.call import call
from app.demo_keys import DemoKeys
from client.errors import CallFailed, CallRefused
from client.feed import FeedClient
from client.posts import PostsClient
from protos import feed_pb2 as feed
from tests.media_builders import a_picture, an_mp4
from tests.scenarios.conftest import Serve, Served, until

pytestmark = pytest.mark.slow


def ask(haat: Served, method: str, url: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One request to the running program, whatever host the address names."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(haat.http, timeout=20)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, f"{parts.path}?{parts.query}", body or None, sent)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, data


async def upload(haat: Served, ann: PostsClient, data: bytes, content_type: str) -> feed.PostMedia:
    started = await ann.start_upload(content_type, len(data))
    status, _, said = ask(haat, "PUT", started.url, data, **started.headers)
    assert status == 201, said
    return await ann.finish_upload(started.ticket)


def ids(page: feed.FeedPage) -> list[str]:
    return [item.post.post_id for item in page.items]


async def test_a_picture_goes_from_an_upload_into_the_feed_and_stays_over_a_restart(
    serve: Serve, keys: DemoKeys
) -> None:
    asked = feed.GetFeedRequest(session_id="s1", page_size=5)
    with serve() as haat:
        async with (
            PostsClient(haat.target, keys.shop.key, "ann") as ann,
            FeedClient(haat.target, keys.shop.key, keys.shop.tenant_id) as shop,
        ):
            picture = await upload(haat, ann, a_picture(), "image/jpeg")
            film = await upload(haat, ann, an_mp4(), "video/mp4")
            with pytest.raises(CallRefused, match="SVG"):
                await upload(haat, ann, b"<svg><script>alert(1)</script></svg>", "image/png")
            draft = feed.Post(caption="Look", state=feed.Post.STATE_DRAFT, media=[picture, film])
            draft.media[0].alt_text = "Red shoes"
            made = await ann.create(draft)
            url = made.media[0].renditions[0].url
            hidden = ask(haat, "GET", url.partition("?")[0])[0]
            mine = ask(haat, "GET", url)[0]
            nothing = ids(await shop.get_feed(asked))
            published = await ann.publish(made.post_id, 1)
            edited = await ann.edit(made.post_id, published, published.revision)
            page = await shop.get_feed(asked)
        haat.stop()
    assert (hidden, mine, nothing) == (404, 200, [])
    assert [item.post for item in page.items] == [edited]
    assert edited.media[0].alt_text == "Red shoes"
    assert [medium.kind for medium in edited.media] == [feed.PostMedia.KIND_IMAGE, feed.PostMedia.KIND_VIDEO]

    with serve() as haat:
        async with (
            PostsClient(haat.target, keys.shop.key, "ann") as ann,
            FeedClient(haat.target, keys.shop.key, keys.shop.tenant_id) as shop,
        ):
            asked.session_id = "s2"
            again = await shop.get_feed(asked)
            rendition = again.items[0].post.media[0].renditions[0]
            status, headers, data = ask(haat, "GET", rendition.url, range="bytes=0-9")
            openapi = ask(haat, "GET", "/openapi.json")
            history = await ann.history(made.post_id)
            revisions = await ann.revisions(made.post_id)
            await ann.withdraw(made.post_id)
            gone = ask(haat, "GET", rendition.url)[0]
    assert (status, len(data), headers["x-content-type-options"]) == (206, 10, "nosniff")
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert (openapi[0], gone) == (200, 404)
    assert [step.actor for step in history] == ["checker", "creator", "checker", "creator", "creator"]
    assert [one.revision for one in revisions] == [1]


async def test_a_post_that_the_check_holds_is_its_creators_and_moderators_alone_and_says_so(
    serve: Serve, keys: DemoKeys
) -> None:
    with serve(set="unchecked_posts=hold") as haat:
        async with (
            PostsClient(haat.target, keys.shop.key, "ann") as ann,
            PostsClient(haat.target, keys.shop.key, "bob") as bob,
            FeedClient(haat.target, keys.shop.key, keys.shop.tenant_id) as shop,
        ):
            picture = await upload(haat, ann, a_picture(), "image/jpeg")
            made = await ann.create(feed.Post(caption="Look: https://bit.ly/3xYz12", media=[picture]))
            page = await shop.get_feed(feed.GetFeedRequest(session_id="s1", page_size=5))
            with pytest.raises((CallFailed, CallRefused), match="no post"):
                await bob.get(made.post_id)
            mine = await ann.page()

            def waiting() -> list[dict[str, Any]]:
                asked = json.dumps({"tenant_id": keys.shop.tenant_id})
                return list(call(haat.target, keys.operator.key, "ListCases", asked).get("cases", []))

            [case] = await asyncio.to_thread(until, waiting)
            [preview] = case["previews"]
            looked = ask(haat, "GET", preview["url"])
            unsigned = ask(haat, "GET", preview["url"].partition("?")[0])
    assert (case["subject"]["id"], preview["media_id"]) == (made.post_id, picture.media_id)
    assert (looked[0], looked[1]["content-type"], unsigned[0]) == (200, "image/jpeg", 404)
    assert (made.state, made.verdict.outcome) == (feed.Post.STATE_CHECKING, "held")
    assert list(page.items) == []
    assert [post.post_id for post in mine.posts] == [made.post_id]
