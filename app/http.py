"""Is it alive, is it ready, what does it serve? The pages for people, probes and Prometheus, in the exchange's loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.metrics import CONTENT_TYPE
from app.ports_in_use import listening_socket
from common.errors import FieldError, InvalidInput

_PAGES = ("/status", "/livez", "/readyz", "/metrics")
_SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
# Probes and a few people, where nothing else was said: what comes beyond these gets 503.
_MOST_CONNECTIONS = 256


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What /status says. `ranker` is "model" or "prior"; `backends` maps each port to what serves it and how it is."""

    version: str
    uptime_s: float
    serves: tuple[str, ...] = ()
    grpc_address: str = ""
    currency: str = ""
    # Version, source and age of the currency rates, and whether they are too old.
    currency_rates: Mapping[str, str] = {}
    ranker: str = "prior"
    model_version: str = ""
    why_this_ranker: str = ""
    snapshot_sequence: int = 0
    snapshot_age_s: float = 0.0
    line_items: int = 0
    # How fresh the figures of what was spent are, and what is paced by them.
    spend: str = ""
    backends: Mapping[str, str] = {}
    # The name of this node, and what is known of all of them.
    node: str = ""
    nodes: Mapping[str, str] = {}
    # Records of notices that wait for other nodes, and notices whose node was written off.
    notices_waiting: int = 0
    notices_not_billed: int = 0
    not_ready: tuple[str, ...] = ()


class StatusSource(Protocol):
    """Who knows how the server is. All three answer at once, without waiting for anything."""

    def status(self) -> Status:
        """How it is now."""

    def not_ready(self) -> tuple[str, ...]:
        """Why page views are not taken yet, or no longer; empty when they are."""

    def metrics(self) -> bytes:
        """All metrics in Prometheus' text format."""


def http_app(source: StatusSource) -> Starlette:
    """The pages over one source."""

    async def root(_request: Request) -> Response:
        return _json({"name": "haat", "pages": _PAGES})

    async def status(_request: Request) -> Response:
        return _json(source.status())

    async def livez(_request: Request) -> Response:
        return _json({"alive": True})

    async def readyz(_request: Request) -> Response:
        reasons = source.not_ready()
        return _json({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def metrics(_request: Request) -> Response:
        return Response(source.metrics(), headers={"content-type": CONTENT_TYPE})

    routes = [
        Route("/", root),
        *(Route(path, page) for path, page in zip(_PAGES, (status, livez, readyz, metrics), strict=True)),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(_SecurityHeaders)],
        exception_handlers={HTTPException: _refused, Exception: _broken},
    )


class HttpServer:
    """uvicorn in the running loop, without signal handlers, access log or exits of its own."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        tls_cert: Path | None = None,
        tls_key: Path | None = None,
        most_connections: int = _MOST_CONNECTIONS,
        listener: socket.socket | None = None,
    ) -> None:
        """Listens at once, on `listener` where the port was taken before."""
        config = uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=most_connections,
            timeout_graceful_shutdown=2,
            ssl_certfile=tls_cert,
            ssl_keyfile=tls_key,
        )
        try:
            config.load()
        except OSError as error:
            wrong = FieldError("tls_cert, tls_key", str(tls_cert), f"are no certificate with its key: {error}")
            raise InvalidInput([wrong]) from None
        self._listener = listener or listening_socket(host, port, "HTTP")
        self.port: int = self._listener.getsockname()[1]
        self._server = _QuietServer(config)

    async def run(self) -> None:
        """Serve until `stop` is called or the task is cancelled; both let requests under way finish."""
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._listener]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self.stop()
            await serving
            raise
        finally:
            self._listener.close()

    def stop(self) -> None:
        """Take no more connections; `run` returns soon after."""
        self._server.should_exit = True

    def close(self) -> None:
        """Give the port back when `run` was never called."""
        self._listener.close()


async def serve_http(app: ASGIApp, host: str, port: int) -> None:
    """Serve `app` until cancelled. BackendUnavailable, with the flag to use, when the port is in use."""
    await HttpServer(app, host, port).run()


@contextlib.asynccontextmanager
async def serving_http(server: HttpServer) -> AsyncIterator[int]:
    """Serve for the length of the block; yields the port, which is the one that was taken where 0 was asked."""
    task = asyncio.create_task(server.run())
    try:
        yield server.port
    finally:
        server.stop()
        await task


class _QuietServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the process as a whole: `haat serve` drains all of its servers in order."""
        yield


class _SecurityHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    # A page that other sites may embed says so itself.
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def _json(content: object, status_code: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status_code, media_type="application/json")


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = _json({"error": error.detail, "pages": _PAGES}, error.status_code)
    response.headers.update(error.headers or {})
    return response


async def _broken(_request: Request, _error: Exception) -> Response:
    response = _json({"error": "this page is broken; the log says why"}, 500)
    # Starlette answers for a broken page outside of its middleware.
    response.headers.update(_SECURITY_HEADERS)
    return response
