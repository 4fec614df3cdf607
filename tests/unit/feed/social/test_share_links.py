from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app.signing_keys import rotate
from common.errors import InvalidInput, NotFound
from feed.post import PostState
from feed.social.calls import Relate, SharedLink
from feed.social.share_links import PARAMETERS, Followed, Refusal
from streams import schemas
from streams.feed_events import ShareClicked
from tests.feed_builders import a_product
from tests.social_worlds import World, social_world

pytestmark = pytest.mark.on_every_database


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with social_world(tmp_path, ["ana", "bea"]) as opened:
        opened.sell(a_product("shoe", landing_url="https://shop.example/shoe?color=red&haat_ref=mine#top"))
        yield opened


def share(world: World, post: str, **changes: Any) -> SharedLink:
    asked = {"idempotency_key": world.fresh(), "person_id": "bea", "post_id": post, "disclosure": 1}
    shared: SharedLink = world.call("ShareLink", **{**asked, **changes})
    return shared


def code_of(link: SharedLink) -> str:
    return link.url.rpartition("/s/")[2]


def followed(world: World, link: SharedLink, session_id: str = "session") -> Followed:
    led = world.part.links.follow(code_of(link), session_id)
    assert isinstance(led, Followed)
    return led


def clicks_told(world: World) -> list[ShareClicked]:
    events = [schemas.decode("share_clicks", record) for record in world.log.read("share_clicks", 0)]
    return [event for event in events if isinstance(event, ShareClicked)]


def test_a_link_leads_to_the_product_with_the_authors_tracking_id_and_the_disclosure(world: World) -> None:
    post = world.post(1, products=["shoe"])
    link = share(world, post, disclosure=2)
    author = world.call("GetProfile", viewer_id="ana", person_id="ana").person

    led = urlsplit(followed(world, link).landing_url)

    asked = parse_qs(led.query)
    assert (led.hostname, led.path, led.fragment, asked["color"]) == ("shop.example", "/shoe", "top", ["red"])
    assert [asked[name] for name in PARAMETERS if name != "haat_click"] == [
        [author.tracking_id], [link.share_id], ["paid_partnership"],
    ]  # fmt: skip
    assert len(code_of(link)) == 23
    assert "ana" not in led.query
    (told,) = clicks_told(world)
    assert (told.tracking_id, told.click_id, told.post_id) == (author.tracking_id, asked["haat_click"][0], post)


def test_a_click_counts_once_for_each_session(world: World) -> None:
    link = share(world, world.post(1, products=["shoe"]))
    for session in ("one", "two", "one", "two"):
        followed(world, link, session)
    world.reopen()
    followed(world, link, "one")

    assert world.call("GetSharedLink", person_id="bea", share_id=link.share_id).clicks == 2
    assert len(clicks_told(world)) == 2


def test_readers_without_a_session_count_once_a_day(world: World) -> None:
    link = share(world, world.post(1, products=["shoe"]))
    for stranger in (b"one", b"two", b"one"):
        world.part.links.follow(code_of(link), "", stranger)
    world.clock.step(86_400_000)
    world.part.links.follow(code_of(link), "", b"one")

    assert world.call("GetSharedLink", person_id="bea", share_id=link.share_id).clicks == 3


def test_one_session_that_clicks_from_eight_threads_counts_once(world: World) -> None:
    link = share(world, world.post(1, products=["shoe"]))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: followed(world, link), range(16)))

    assert world.call("GetSharedLink", person_id="bea", share_id=link.share_id).clicks == 1


def test_an_altered_code_leads_nowhere(world: World) -> None:
    link = share(world, world.post(1, products=["shoe"]))
    code = code_of(link)
    for at in range(len(code)):
        other = "A" if code[at] != "A" else "B"
        led = world.part.links.follow(code[:at] + other + code[at + 1 :])
        # The last character carries four spare bits, and is taken as it was written alone.
        assert led is Refusal.FOREIGN, at
    for wrong in ("", "x", code + "A", "é" * 23, "A" * 23):
        assert world.part.links.follow(wrong) is Refusal.FOREIGN


def test_a_row_that_was_changed_is_not_believed(world: World) -> None:
    link = share(world, world.post(1, products=["shoe"]))
    with world.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE share_links SET landing_url = 'https://evil.example/'")

    assert world.part.links.follow(code_of(link)) is Refusal.FOREIGN


def test_links_outlive_one_rotation_of_the_keys(world: World) -> None:
    link = share(world, world.post(1, products=["shoe"]))
    rotate(world.folder / "shares.key")
    world.reopen()
    assert isinstance(world.part.links.follow(code_of(link)), Followed)
    rotate(world.folder / "shares.key")
    world.reopen()
    assert world.part.links.follow(code_of(link)) is Refusal.FOREIGN


def test_the_same_key_makes_one_link(world: World) -> None:
    post = world.post(1, products=["shoe"])

    assert share(world, post, idempotency_key="k") == share(world, post, idempotency_key="k")


def test_a_link_to_a_post_that_is_gone_leads_nowhere_and_says_so(world: World) -> None:
    post = world.post(1, products=["shoe"])
    link = share(world, post)
    world.put_state(post, PostState.REMOVED)

    assert world.part.links.follow(code_of(link)) is Refusal.GONE
    with pytest.raises(NotFound):
        share(world, post)


def test_links_lead_into_the_shops_of_the_tagged_products_alone(world: World) -> None:
    post = world.post(1, products=["shoe"])
    assert share(world, post, landing_url="https://shop.example/sale").landing_url == "https://shop.example/sale"

    for wrong in ("https://evil.example/", "https://shop.example.evil.example/", "javascript:alert(1)", "//x"):
        with pytest.raises(InvalidInput) as refused:
            share(world, post, landing_url=wrong)
        assert [error.field for error in refused.value.errors] == ["landing_url"]
    with pytest.raises(InvalidInput) as refused:
        share(world, post, product_id="hat")
    assert [error.field for error in refused.value.errors] == ["product_id"]
    with pytest.raises(InvalidInput):
        share(world, world.post(2))


def test_nobody_shares_what_they_do_not_see_or_reads_others_clicks(world: World) -> None:
    post = world.post(1, products=["shoe"])
    link = share(world, post)
    with pytest.raises(NotFound):
        world.call("GetSharedLink", person_id="ana", share_id=link.share_id)
    world.relate("ana", Relate.BLOCK, "bea")
    with pytest.raises(NotFound):
        share(world, post)
