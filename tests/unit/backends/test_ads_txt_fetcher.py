"""A file is fetched from where it may be, in the form it must have, over the hops that are allowed."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from backends.ads_txt_fetcher_aiohttp import AdsTxtFetcher, _is_within
from exchange.ads_txt import LARGEST_BYTES

FILE = b"ads.example, t1, DIRECT\n"


@contextlib.asynccontextmanager
async def site(answer: Callable[[web.Request], web.StreamResponse]) -> AsyncIterator[int]:
    """A web site on all names of this machine; yields its port."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return answer(request)

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def fetched(answer: Callable[[web.Request], web.StreamResponse], host: str = "localhost") -> bytes | None:
    async with site(answer) as port:
        fetcher = AdsTxtFetcher(private_allowed=True, timeout_ms=2_000)
        try:
            return await fetcher.fetch(f"http://{host}:{port}/ads.txt")
        finally:
            await fetcher.close()


async def test_a_file_of_plain_text_is_read_packed_or_not() -> None:
    def packed(_: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(FILE), content_type="text/plain", headers={"content-encoding": "gzip"})

    assert await fetched(lambda _: web.Response(body=FILE, content_type="text/plain", charset="utf-8")) == FILE
    assert await fetched(packed) == FILE


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: web.Response(body=FILE, content_type="text/html"),
        lambda _: web.Response(body=FILE, content_type="text/plain", status=404),
        lambda _: web.Response(body=FILE, content_type="text/plain", status=500),
        lambda _: web.Response(status=301),
        lambda _: web.Response(status=301, headers={"location": "ftp://localhost/ads.txt"}),
        lambda _: web.Response(status=301, headers={"location": "http://[::1"}),
        lambda _: web.Response(body=b"#" * (LARGEST_BYTES + 1), content_type="text/plain"),
        lambda _: web.Response(
            body=gzip.compress(b"#" * (64 << 20)), content_type="text/plain", headers={"content-encoding": "gzip"}
        ),
    ],
)
async def test_what_is_no_file_is_none(answer: Callable[[web.Request], web.StreamResponse]) -> None:
    assert await fetched(answer) is None


def hops(*hosts: str) -> Callable[[web.Request], web.StreamResponse]:
    """Redirects over these hosts one after the other; the last one has the file."""

    def answer(request: web.Request) -> web.StreamResponse:
        at = int(request.query.get("at", "0"))
        if at == len(hosts):
            return web.Response(body=FILE, content_type="text/plain")
        port = request.transport.get_extra_info("sockname")[1] if request.transport is not None else 0
        return web.Response(status=302, headers={"location": f"http://{hosts[at]}:{port}/ads.txt?at={at + 1}"})

    return answer


async def test_redirects_within_the_domain_are_followed_and_one_out_of_it() -> None:
    assert await fetched(hops("localhost", "localhost", "localhost")) == FILE
    assert await fetched(hops("localhost", "127.0.0.1")) == FILE
    # From there none, not even back.
    assert await fetched(hops("127.0.0.1", "127.0.0.1")) is None
    assert await fetched(hops("127.0.0.1", "localhost")) is None
    # And not in circles.
    assert await fetched(hops(*["localhost"] * 6)) is None


def test_a_domain_reaches_down_and_no_further() -> None:
    assert _is_within("www.shop.example", "shop.example")
    assert not _is_within("evilshop.example", "shop.example")
    assert not _is_within("shop.example", "www.shop.example")


async def test_private_addresses_are_never_called_however_they_are_reached() -> None:
    called = []

    def answer(request: web.Request) -> web.StreamResponse:
        called.append(request.host)
        return web.Response(body=FILE, content_type="text/plain")

    async with site(answer) as port:
        fetcher = AdsTxtFetcher(timeout_ms=2_000)
        for host in ("localhost", "127.0.0.1", "localhost.localdomain", "[::ffff:127.0.0.1]"):
            assert await fetcher.fetch(f"http://{host}:{port}/ads.txt") is None
        await fetcher.close()
    assert called == []
