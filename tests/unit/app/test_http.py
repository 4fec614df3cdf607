"""Do the HTTP pages say how the server is, over a real connection?"""

import asyncio
import json
import logging
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.http import HttpServer, Status, http_app, serve_http, serving_http
from app.metrics import AuctionMetrics
from common.errors import BackendUnavailable, InvalidInput


@dataclass
class Source:
    reasons: tuple[str, ...] = ()
    counted: AuctionMetrics = field(default_factory=AuctionMetrics)
    broken: bool = False

    def status(self) -> Status:
        if self.broken:
            raise ValueError("visitor 'mark-4711' is odd")
        return Status(version="0.1.0", uptime_s=3.5, ranker="model", model_version="clicks-7", snapshot_sequence=42)

    def not_ready(self) -> tuple[str, ...]:
        return self.reasons

    def metrics(self) -> bytes:
        return self.counted.render()


@dataclass
class Page:
    code: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


async def get(port: int, path: str, method: str = "GET") -> Page:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Page(int(first.split()[1]), headers, body)


async def test_status_says_what_is_served() -> None:
    async with serving_http(HttpServer(http_app(Source()), "127.0.0.1", 0)) as port:
        page = await get(port, "/status")

    assert page.code == 200
    assert page.headers["content-type"] == "application/json"
    said = page.json()
    assert (said["version"], said["ranker"], said["model_version"]) == ("0.1.0", "model", "clicks-7")
    assert said["snapshot_sequence"] == 42


async def test_ready_is_503_with_reasons_until_it_is_ready() -> None:
    source = Source(reasons=("the inventory snapshot is being made",))

    async with serving_http(HttpServer(http_app(source), "127.0.0.1", 0)) as port:
        before = await get(port, "/readyz")
        source.reasons = ()
        after = await get(port, "/readyz")
        alive = await get(port, "/livez")

    assert (before.code, before.json()["reasons"]) == (503, ["the inventory snapshot is being made"])
    assert (after.code, after.json()) == (200, {"ready": True, "reasons": []})
    assert alive.code == 200


async def test_metrics_are_prometheus_text() -> None:
    async with serving_http(HttpServer(http_app(Source()), "127.0.0.1", 0)) as port:
        page = await get(port, "/metrics")

    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"haat_page_views_total 0.0" in page.body


@pytest.mark.parametrize(("method", "path", "code"), [("GET", "/none", 404), ("POST", "/status", 405)])
async def test_what_is_not_there_is_refused_with_the_pages_that_are(method: str, path: str, code: int) -> None:
    async with serving_http(HttpServer(http_app(Source()), "127.0.0.1", 0)) as port:
        page = await get(port, path, method)

    assert page.code == code
    assert page.json()["pages"] == ["/status", "/livez", "/readyz", "/metrics"]


@pytest.mark.parametrize("path", ["/", "/status", "/readyz", "/metrics", "/none"])
async def test_every_page_carries_the_security_headers(path: str) -> None:
    async with serving_http(HttpServer(http_app(Source()), "127.0.0.1", 0)) as port:
        headers = (await get(port, path)).headers

    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


async def test_a_page_may_loosen_a_header_for_itself() -> None:
    async def picture(_request: Request) -> Response:
        return Response("<svg/>", headers={"cross-origin-resource-policy": "cross-origin"})

    app = http_app(Source())
    app.router.routes.append(Route("/picture", picture))
    async with serving_http(HttpServer(app, "127.0.0.1", 0)) as port:
        headers = (await get(port, "/picture")).headers

    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert headers["x-content-type-options"] == "nosniff"


async def test_a_broken_page_is_500_and_tells_nothing_of_its_inside() -> None:
    async with serving_http(HttpServer(http_app(Source(broken=True)), "127.0.0.1", 0)) as port:
        page = await get(port, "/status")
        other = await get(port, "/livez")

    assert (page.code, other.code) == (500, 200)
    assert b"mark-4711" not in page.body
    assert page.headers["x-content-type-options"] == "nosniff"


async def test_no_line_is_logged_for_a_request(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with serving_http(HttpServer(http_app(Source()), "127.0.0.1", 0)) as port:
            await get(port, "/status?visitor_id=mark-4711")

    assert "mark-4711" not in caplog.text


async def test_beyond_the_most_connections_comes_503() -> None:
    async with serving_http(HttpServer(http_app(Source()), "127.0.0.1", 0, most_connections=2)) as port:
        _, idle = await asyncio.open_connection("127.0.0.1", port)
        page = await get(port, "/livez")
        idle.close()
        await idle.wait_closed()
        for _ in range(200):
            after = await get(port, "/livez")
            if after.code == 200:
                break

    assert page.code == 503
    assert after.code == 200


async def test_a_port_in_use_is_one_clear_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(BackendUnavailable, match=rf"port {port} \(HTTP\) is in use .* --http-port"):
            await serve_http(http_app(Source()), "127.0.0.1", port)


async def test_cancelling_ends_the_server_and_leaves_the_signals_alone() -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    server = HttpServer(http_app(Source()), "127.0.0.1", 0)
    task = asyncio.create_task(server.run())
    await get(server.port, "/livez")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)


def test_a_broken_certificate_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("not a certificate")

    with pytest.raises(InvalidInput, match="tls_cert"):
        HttpServer(
            http_app(Source()), "127.0.0.1", 0, tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "cert.pem"
        ).close()
