"""Short links are asked where they lead, where the settings let them be: against a server on loopback, and bad ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from app.wiring_checks import PublishedPictures
from backends.redirect_hop_aiohttp import HttpRedirectHop
from common.errors import BackendUnavailable
from feed.media.record import Media, MediaKind
from feed.moderation.followed_links import KNOWN_FOR_MS, FollowedLinks
from feed.moderation.links import DEFAULT_RULES
from feed.moderation.pictures import KnownPictures
from feed.post import Post, PostMedia
from tests.feed_builders import TENANT, a_post
from tests.whole_haat import whole_haat


@asynccontextmanager
async def a_server() -> AsyncIterator[str]:
    """Addresses that lead on, do not, are slow, or answer for ever."""

    over = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        match request.path:
            case "/moved":
                return web.Response(status=302, headers={"location": "/end"})
            case "/away":
                return web.Response(status=301, headers={"location": "http://10.0.0.1/secret"})
            case "/broken":
                return web.Response(status=503)
            case "/slow":
                await over.wait()
            case "/endless":
                stream = web.StreamResponse()
                await stream.prepare(request)
                for _ in range(1_000):
                    await stream.write(b"x" * 65_536)
                return stream
        return web.Response(text="here", headers={"set-cookie": "a=b"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        over.set()
        await runner.cleanup()


async def test_one_hop_is_told_and_nothing_is_followed() -> None:
    hop = HttpRedirectHop(private_allowed=True, timeout_ms=1_000)
    async with a_server() as url:
        assert await hop(f"{url}/moved") == f"{url}/end"
        assert await hop(f"{url}/end") == ""
        assert await hop(f"{url}/endless") == ""
        assert await hop(f"{url}/away") == "http://10.0.0.1/secret"
        for path in ("/broken", "/slow"):
            with pytest.raises(BackendUnavailable):
                await hop(f"{url}{path}")


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8080/x", "http://localhost/x", "http://169.254.169.254/latest", "http://[::1]/", "ftp://a.example/",
     "http://user@shop.example/", "http://10.0.0.1/", "file:///etc/passwd", "http://0x7f000001/"],
)  # fmt: skip
async def test_nothing_of_our_own_network_is_asked(url: str) -> None:
    with pytest.raises(BackendUnavailable):
        await HttpRedirectHop(timeout_ms=300)(url)


class Hops:
    def __init__(self, **to: str) -> None:
        self.asked: list[str] = []
        self.to = to

    async def __call__(self, url: str) -> str:
        self.asked.append(url)
        return self.to.get(url.rpartition("/")[2], "")


async def test_a_post_is_checked_again_when_its_short_link_was_followed(tmp_path: Path) -> None:
    with whole_haat(tmp_path, follow_short_links="on") as haat:
        followed = haat.moderation.followed
        assert followed is not None
        followed._hop = Hops(good="https://shop.example/boots", bad="http://paypa1.example.com@10.0.0.1/")
        good = await asyncio.to_thread(haat.post, "ana", "My review of these boots: https://bit.ly/good")
        bad = await asyncio.to_thread(haat.post, "bob", "My review of these shoes: https://bit.ly/bad")
        assert [haat.view(one, one_by)["state"] for one, one_by in ((good, "ana"), (bad, "bob"))] == ["checking"] * 2

        for tenant_id, post_id in await followed.look_up():
            await asyncio.to_thread(haat.haat.feed_server.posts.posts.check_again, tenant_id, post_id)

        assert haat.view(good, "ana")["state"] == "clean"
        assert haat.view(bad, "bob")["state"] == "checking"
        await asyncio.to_thread(haat.settle)
        assert await asyncio.to_thread(haat.feed, "s") == [good]


async def test_what_is_known_grows_old_and_what_waits_is_bounded() -> None:
    now_ms = [0]
    hops = Hops(a="https://shop.example/")
    followed = FollowedLinks(hops, DEFAULT_RULES, lambda: now_ms[0])
    link = "https://bit.ly/a"
    followed.want([link, "https://shop.example/no-short-one"], {}, ("t", "p1"))
    followed.want([link], {}, ("t", "p2"))
    assert await followed.look_up() == [("t", "p1"), ("t", "p2")]
    assert list(followed.known([link])) == [link]
    assert hops.asked[0] == link

    now_ms[0] = KNOWN_FOR_MS + 1
    assert followed.known([link]) == {}
    for number in range(2_000):
        followed.want([f"https://bit.ly/{number}"], {}, ("t", "p"))
    rounds = 0
    while await followed.look_up():
        rounds += 1
    assert rounds == 125


def test_without_the_setting_nobody_goes_out(tmp_path: Path) -> None:
    with whole_haat(tmp_path) as haat:
        assert haat.moderation.followed is None


class CountedMedia:
    def __init__(self) -> None:
        self.calls = 0

    def find(self, tenant_id: str, media_ids: list[str]) -> list[Media]:
        self.calls += 1
        return [
            Media(one, tenant_id, "c", MediaKind.IMAGE, 1, 1, 0, (), one[:32].encode().ljust(32, b"0"))
            for one in media_ids
        ]


def test_media_of_all_posts_are_looked_up_some_hundred_posts_at_a_time() -> None:
    media, pictures = CountedMedia(), KnownPictures()
    posts: list[Post] = [
        a_post(number, media=(PostMedia(media_id=f"{number:032x}"),) if number % 2 else ())
        for number in range(1, 2_401)
    ]

    PublishedPictures(pictures, media).load(posts)  # type: ignore[arg-type]

    assert media.calls == 3
    assert len(pictures._published[TENANT]) == 1_200
