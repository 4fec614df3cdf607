"""What nobody has let through reaches its author alone: every way by which text or a picture comes to others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.errors import NotFound
from tests.feed_builders import a_product
from tests.media_builders import a_picture
from tests.whole_haat import WholeHaat, whole_haat

MODELS = Path(__file__).parents[3] / "models"
TAG = {"product_id": "shoe", "x": 0.5, "y": 0.5}
pytestmark = pytest.mark.slow

MARK = "zebrastripe"
# A short link is held for a person, whatever the classifiers say of the words around it.
HELD = f"{MARK} https://bit.ly/3xYz12"


@pytest.fixture
def haat(tmp_path: Path) -> Iterator[WholeHaat]:
    with whole_haat(tmp_path) as opened:
        opened.join("ana", "bea")
        opened.sell(a_product("shoe", tenant_id=opened.tenant))
        yield opened


def ways_of_the_social_part(haat: WholeHaat, post_id: str, viewer_id: str) -> dict[str, Callable[[], Any]]:
    """By operation, everything that a person may read."""
    call = haat.call
    return {
        "GetProfile": lambda: call("GetProfile", person_id="eve", viewer_id=viewer_id),
        "ListPosts": lambda: [
            call("ListPosts", creator_id="eve", viewer_id=viewer_id),
            call("ListPosts", hashtag=MARK, viewer_id=viewer_id),
        ],
        "ListRelations": lambda: [call("ListRelations", person_id="ana", which=which) for which in (1, 2, 3, 4, 5)],
        "ListComments": lambda: call("ListComments", post_id=post_id, viewer_id=viewer_id),
        "Search": lambda: [
            call("Search", words=words, viewer_id=viewer_id) for words in (MARK, MARK[:5], "eve", "boots")
        ],
        "ListNotifications": lambda: [call("ListNotifications", person_id=one) for one in ("ana", "bea")],
    }


def read(ask: Callable[[], Any]) -> str:
    try:
        return msgspec.json.encode(ask()).decode()
    except NotFound:
        return ""


def test_an_author_is_told_why_at_once_whoever_reads_of_the_post_first(tmp_path: Path) -> None:
    with whole_haat(tmp_path, models_dir=MODELS) as haat:
        haat.join("eve")
        limited = haat.post("eve", "You won't BELIEVE what these boots do, 10 reasons everyone is talking about them")

        told = haat.call("ListNotifications", person_id="eve").notifications

        assert [(one.kind.name, one.subject_id) for one in told] == [("POST_LIMITED", limited)]
        assert "10 reasons everyone is talking about" in told[0].text
        assert "appeal" in told[0].text


def test_the_author_of_a_scheduled_post_is_told_what_became_of_it(haat: WholeHaat) -> None:
    haat.join("eve")
    at_ms = haat.clock.now_ms() + 60_000
    vain = haat.post("eve", "A shoe", product_tags=[TAG], publish_at_ms=at_ms)
    held = haat.post("eve", HELD, publish_at_ms=at_ms + 1)
    good = haat.post("eve", "Good evening", publish_at_ms=at_ms + 2)
    assert haat.call("ListNotifications", person_id="eve").notifications == ()

    # As when the shop's catalogue is begun anew.
    del haat.haat.catalogue._products["shoe"]
    haat.clock.step(60_010)
    haat.settle()
    haat.settle()

    told = haat.call("ListNotifications", person_id="eve").notifications
    assert {one.subject_id: one.kind.name for one in told} == {
        vain: "POST_NOT_PUBLISHED", held: "POST_HELD", good: "POST_CLEAN",
    }  # fmt: skip
    said = {one.subject_id: one.text for one in told}
    assert "unknown product 'shoe'" in said[vain]
    assert said[held].endswith("A person will look at it.")
    assert haat.view(vain, "eve")["state"] == "draft"


def test_no_operation_tells_others_what_is_held(haat: WholeHaat) -> None:
    haat.join("eve", display_name=f"Eve {MARK}", bio=HELD, links=[f"https://{MARK}.example"])
    clean = haat.post("ana", "My new boots")
    held = haat.post(
        "eve", f"@bea {HELD} #{MARK}", hashtags=[MARK], disclosure="gifted", partner=MARK,
        media=[{"media_id": haat.upload("eve", a_picture()), "alt_text": MARK}],
        product_tags=[{"product_id": "shoe", "x": 0.5, "y": 0.5}],
    )  # fmt: skip
    haat.call("AddComment", idempotency_key="c", person_id="eve", post_id=clean, text=f"@bea {HELD}")
    haat.call("Relate", person_id="eve", kind=1, subject="ana", action_id="f")
    haat.settle()

    reading = {one.name for one in haat.haat.social.operations if one.method == "GET"}
    assert reading == {*ways_of_the_social_part(haat, clean, ""), "GetSharedLink"}, "a new way: look at it here too"
    for viewer_id in ("", "bea"):
        for post_id in (clean, held):
            for name, ask in ways_of_the_social_part(haat, post_id, viewer_id).items():
                assert MARK not in read(ask), name
        haat.ask("GET", f"/v1/posts/{held}", viewer_creator_id=viewer_id, status=404)
        assert MARK not in str(haat.ask("GET", "/v1/posts", creator_id="eve", viewer_creator_id=viewer_id))
    assert MARK in read(lambda: haat.call("GetProfile", person_id="eve", viewer_id="eve"))


def test_no_page_of_the_feed_and_no_link_shows_what_is_held(haat: WholeHaat) -> None:
    clean = haat.post("ana", "My new boots")
    held = haat.post(
        "eve", HELD, hashtags=[MARK], image_urls=["https://img.example/1.jpg"],
        product_tags=[{"product_id": "shoe", "x": 0.5, "y": 0.5}],
    )  # fmt: skip
    remembered = {"visitor": {"visitor_id": "bea"}, "consent": {"granted": ["remember", "personalised_content"]}}
    haat.join("eve")
    haat.call("Relate", person_id="bea", kind=1, subject="eve", action_id="f")

    for asked in ({}, remembered, {**remembered, "around": {"keywords": [MARK], "product_id": "shoe"}}):
        page = haat.ask("POST", "/v1/feed/pages", {"session_id": haat.fresh(), **asked})
        assert MARK not in str(page)
        assert [item["post"]["post_id"] for item in page["items"] if item.get("post")] == [clean]
    with pytest.raises(NotFound):
        haat.call("ShareLink", idempotency_key="l", person_id="bea", post_id=held, disclosure=1, product_id="shoe")
    with pytest.raises(NotFound):
        haat.call("AddComment", idempotency_key="c", person_id="bea", post_id=held, text="nice")


def test_a_picture_is_fetched_by_nobody_before_something_shows_it(haat: WholeHaat) -> None:
    haat.join("eve")
    media_id = haat.upload("eve", a_picture())
    held = haat.post("eve", HELD, media=[{"media_id": media_id, "alt_text": MARK}])
    preview = haat.view(held, "eve")["media"][0]["renditions"][0]["url"]

    assert "preview=" in preview
    assert haat.fetch(preview) == 200
    assert haat.fetch(preview.partition("?")[0]) == 404
    edited = haat.edit("eve", bio=HELD, picture_media_id=media_id)
    assert haat.fetch(edited.picture_url.partition("?")[0]) == 404


def test_links_that_were_shared_lead_nowhere_once_their_post_is_held(haat: WholeHaat) -> None:
    post = haat.post("ana", "My new boots", product_tags=[{"product_id": "shoe", "x": 0.5, "y": 0.5}],
                     image_urls=["https://img.example/1.jpg"])  # fmt: skip
    link = haat.call("ShareLink", idempotency_key="l", person_id="bea", post_id=post, disclosure=1, product_id="shoe")
    assert haat.fetch(link.url) == 302
    revision = haat.view(post, "ana")["revision"]
    haat.ask("PUT", f"/v1/posts/{post}", {"creator_id": "ana", "caption": HELD, "expected_revision": revision,
                                          "product_tags": [{"product_id": "shoe", "x": 0.5, "y": 0.5}],
                                          "image_urls": ["https://img.example/1.jpg"]})  # fmt: skip
    haat.settle()

    assert haat.fetch(link.url) == 410
    with pytest.raises(NotFound):
        haat.call("ListComments", post_id=post, viewer_id="bea")
    assert haat.call("Search", words=MARK).hits == ()


def test_an_edit_of_a_comment_that_is_held_is_its_authors_alone_and_mentions_nobody(haat: WholeHaat) -> None:
    post = haat.post("ana")
    said = haat.call("AddComment", idempotency_key="c", person_id="bea", post_id=post, text="nice")
    haat.call("EditComment", person_id="bea", comment_id=said.comment_id, revision=said.revision, text=f"@ana {HELD}")
    haat.settle()

    assert haat.call("ListComments", post_id=post, viewer_id="ana").comments == ()
    assert [one.text for one in haat.call("ListComments", post_id=post, viewer_id="bea").comments] == [f"@ana {HELD}"]
    assert MARK not in read(lambda: haat.call("ListNotifications", person_id="ana"))
