"""A browser, a shop on an origin of its own, and a haat beside it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from tests.browser.bundle import bundle, chunks_dir
from tests.scenarios.conftest import data_dir, keys, serve

if TYPE_CHECKING:
    from playwright.async_api import Browser

__all__ = ["data_dir", "keys", "serve"]

PAGES = Path(__file__).parent / "pages"
PLAIN = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Pictures and films of advertisers are answered by the test; nothing else leaves this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1",
]
# A film that is really one: a second of a drawing, recorded by the browser itself.
_RECORD = """async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
  const pen = canvas.getContext("2d");
  const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: "video/webm" });
  const parts = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  const over = new Promise((resolve) => { recorder.onstop = resolve; });
  recorder.start();
  for (let frame = 0; frame < 25; frame++) {
    pen.fillStyle = `hsl(${frame * 12} 60% 60%)`; pen.fillRect(0, 0, 640, 360);
    pen.fillStyle = "#fff"; pen.font = "64px sans-serif"; pen.fillText("A coat, filmed", 90, 200);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  recorder.stop();
  await over;
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
}"""


def missing() -> str:
    """What is not there, as a sentence that says what to run; empty when all is."""
    if not chromium():
        return "there is no chromium: run `make browser-test`, or set CHROMIUM to its path"
    if not (chunks_dir() / "dependencies.json").exists():
        return "npm's package prebid.js is not in var/browser: run `make browser-test`, or set PREBID_PACKAGE"
    if find_spec("playwright") is None:
        return "playwright is not installed: run `make browser-test`"
    return ""


def chromium() -> str:
    """Where the browser is; empty without one."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or ""


@pytest.fixture(autouse=True)
def _all_is_there() -> None:
    if why := missing():
        pytest.skip(why)


@dataclass
class Shop:
    """The shop's pages, on the name `localhost`; haat is on 127.0.0.1, which is another site to a browser."""

    origin: str
    settings: dict[str, str] = field(default_factory=dict)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    """Serves the page, Prebid.js, and the page's settings as the test sets them."""
    found = Shop("")

    async def script(_: web.Request) -> web.Response:
        return web.Response(text=bundle(), content_type="text/javascript")

    async def settings(_: web.Request) -> web.Response:
        return web.Response(text=f"window.settings = {json.dumps(found.settings)};", content_type="text/javascript")

    async def page(request: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGES / request.match_info.get("name", "shop.html"))

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/prebid.js", script)
    app.router.add_get("/settings.js", settings)
    app.router.add_get("/{name:(page|player)[.]js}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.origin = f"http://localhost:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        await runner.cleanup()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Chromium without a window, with a profile that goes away."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=_FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


Film = Callable[[], Awaitable[bytes]]


@pytest.fixture
def film(browser: Browser) -> Film:
    """A short film in WebM."""

    async def record() -> bytes:
        page = await browser.new_page()
        try:
            return base64.b64decode(await asyncio.wait_for(page.evaluate(_RECORD), 20))
        finally:
            await page.close()

    return record


@pytest.fixture
def free_port() -> int:
    """A port that was free a moment ago, for what must know its address before it starts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
