from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_address

import pytest
from aiohttp import web
from aiohttp.abc import ResolveResult

from backends.notice_sender_aiohttp import AddressRefused, CheckedResolver, HttpNoticeSender
from exchange.outbound_guard import is_public, refusal_of_url

# Forms that lead, or could be taken to lead, to this machine or to its network: what a canary must never hear of.
FORMS = [
    "http://127.0.0.1:{port}/", "http://127.1:{port}/", "http://127.0.1:{port}/", "http://0:{port}/",
    "http://0.0.0.0:{port}/", "http://2130706433:{port}/", "http://017700000001:{port}/", "http://0x7f000001:{port}/",
    "http://0x7f.0.0.1:{port}/", "http://0177.0.0.1:{port}/", "http://127.0.0.1.:{port}/", "http://127.127.127.127:{port}/",
    "http://localhost:{port}/", "http://LOCALHOST:{port}/", "http://localhost.:{port}/", "http://a.localhost:{port}/",
    "http://[::1]:{port}/", "http://[0:0:0:0:0:0:0:1]:{port}/", "http://[::]:{port}/", "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/", "http://[::127.0.0.1]:{port}/", "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/", "http://[2002:7f00:1::]:{port}/", "http://[fe80::1%25lo]:{port}/",
    "http://[fe80::1]:{port}/", "http://[fc00::1]:{port}/", "http://[fd00:ec2::254]:{port}/", "http://[ff02::1]:{port}/",
    "http://[2001:0:7f00:1::]:{port}/",
    "http://10.0.0.1:{port}/", "http://172.16.0.1:{port}/", "http://192.168.1.1:{port}/", "http://100.64.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/", "http://metadata.google.internal/", "http://printer.local/",
    "http://192.0.0.1/", "http://198.18.0.1/", "http://224.0.0.1/", "http://255.255.255.255/", "http://240.0.0.1/",
    "http://user@127.0.0.1:{port}/", "http://good.example@127.0.0.1:{port}/", "http://user:pw@shop.example/",
    "http://127.0.0.1:{port}\\@shop.example/", "http://127.0.0.1:{port}#@shop.example/", "http:///127.0.0.1:{port}/",
    "file:///etc/passwd", "gopher://127.0.0.1:{port}/_x", "ftp://127.0.0.1/", "javascript:alert(1)", "data:text/html,x",
    "dict://127.0.0.1:{port}/", "ldap://127.0.0.1/", "//127.0.0.1:{port}/", "http://", "http:127.0.0.1:{port}", "",
    "http://shop.example:22/", "http://shop.example:25/", "http://shop.example:6379/", "http://shop.example:0/",
    "http://shop.example:99999/", "http://①②⑦.⓪.⓪.①:{port}/", "http://127。0。0。1:{port}/",
    "http://127.0.0.1%00.shop.example:{port}/", "http://%31%32%37.0.0.1:{port}/", "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1 :{port}/", "http://[::1%25.shop.example]:{port}/", "http://.shop.example/", "http://[::1:{port}/",
]  # fmt: skip


@pytest.fixture
async def canary() -> AsyncIterator[tuple[int, list[str]]]:
    heard: list[str] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append(request.path)
        return web.Response(text="secret")

    async def away(request: web.Request) -> web.Response:
        heard.append(request.path)
        raise web.HTTPFound(request.query["to"])

    app = web.Application()
    app.router.add_get("/redirect", away)
    app.router.add_get("/{rest:.*}", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    sockets = [socket.socket(family) for family in (socket.AF_INET, socket.AF_INET6)]
    sockets[0].bind(("127.0.0.1", 0))
    port = sockets[0].getsockname()[1]
    open_ = sockets[:1]
    try:
        sockets[1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sockets[1].bind(("::1", port))
        open_ = sockets
    except OSError:
        sockets[1].close()  # a machine without IPv6 is guarded by the other forms
    for one in open_:
        await web.SockSite(runner, one).start()
    yield port, heard
    await runner.cleanup()


async def test_no_form_of_an_inner_address_reaches_the_canary(canary: tuple[int, list[str]]) -> None:
    port, heard = canary
    sender = HttpNoticeSender(timeout_s=2)
    try:
        for form in FORMS:
            sent = await sender.send(form.replace("{port}", str(port)))
            assert sent.refused or sent.status == 0, form
    finally:
        await sender.close()

    assert len(FORMS) >= 40
    assert heard == []


async def test_the_canary_hears_what_the_setting_allows(canary: tuple[int, list[str]]) -> None:
    port, heard = canary
    sender = HttpNoticeSender(private_allowed=True, timeout_s=2)
    try:
        sent = await sender.send(f"http://127.0.0.1:{port}/burl?x=1")
    finally:
        await sender.close()

    assert (sent.status, heard) == (200, ["/burl"])


class _Name(CheckedResolver):
    """A name server that says one address first and another one later."""

    answers: list[str]

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return await super().resolve(self.answers.pop(0), port, family)


async def test_a_name_that_comes_to_lead_inside_is_checked_each_time(canary: tuple[int, list[str]]) -> None:
    port, heard = canary
    resolver = _Name()
    resolver.answers = ["127.0.0.1", "10.0.0.1"]

    for _ in range(2):
        with pytest.raises(AddressRefused):
            await resolver.resolve("rebinding.example", port)
    assert heard == []


async def test_a_redirect_is_checked_like_the_first_address(canary: tuple[int, list[str]]) -> None:
    port, heard = canary
    sender = HttpNoticeSender(private_allowed=True, timeout_s=2)
    try:
        onward = await sender.send(f"http://127.0.0.1:{port}/redirect?to=http://127.0.0.1:{port}/there")
        outward = await sender.send(f"http://127.0.0.1:{port}/redirect?to=file:///etc/passwd")
        round_ = await sender.send(f"http://127.0.0.1:{port}/redirect?to=/redirect")
    finally:
        await sender.close()

    assert (onward.status, outward.refused, round_.status) == (200, True, 500)
    assert heard == ["/redirect", "/there", "/redirect", "/redirect", "/redirect"]


OPEN: list[asyncio.BaseTransport] = []


class _Silent(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        OPEN.append(transport)


async def test_an_answer_that_does_not_come_is_left_in_time() -> None:
    server = await asyncio.get_running_loop().create_server(_Silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sender = HttpNoticeSender(private_allowed=True, timeout_s=0.2)
    try:
        sent = await sender.send(f"http://127.0.0.1:{port}/")
    finally:
        await sender.close()
        for transport in OPEN:
            transport.close()
        server.close()

    assert (sent.status, sent.said) == (0, "no answer within 0.2 s")


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::8.8.8.8", "2002:808:808::", "93.184.216.34"]
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("url", ["https://b.example/n?p=1", "http://8.8.8.8:8080/x", "https://[2606:4700::1]/"])
def test_public_urls_may_be_tried(url: str) -> None:
    assert refusal_of_url(url) == ""
