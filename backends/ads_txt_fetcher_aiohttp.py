"""How is a publisher's ads.txt fetched? With aiohttp, at an address that was checked, bounded in size, time and hops.

ads.txt 1.1 §3.1: redirects may go on within the domain; out of it one alone is followed, so that a publisher can leave
its file with somebody else, and none from there. What is not text/plain is no file.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp

from backends.notice_sender_aiohttp import CheckedResolver
from exchange.ads_txt import LARGEST_BYTES
from exchange.outbound_guard import refusal_of_url

# Hops within the domain; the standard has no bound, and nobody needs more.
_REDIRECTS: Final = 5
_AT_ONCE: Final = 16
_CHUNK_BYTES: Final = 64 * 1024
_MOVED: Final = (301, 302, 303, 307, 308)


class AdsTxtFetcher:
    """Fetches files; the session is made at the first one, within the running loop."""

    def __init__(self, *, private_allowed: bool = False, timeout_ms: int = 5_000) -> None:
        self._private_allowed = private_allowed
        self._timeout = aiohttp.ClientTimeout(total=timeout_ms / 1000)
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str) -> bytes | None:
        """The file at `url`, None when there is none to be had. Never raises."""
        home = _host(url)
        left_home = False
        for _ in range(_REDIRECTS + 1):
            if refusal_of_url(url, private_allowed=self._private_allowed):
                return None
            try:
                async with self._opened().get(url, allow_redirects=False) as response:
                    if response.status == 200:
                        return await _file(response)
                    location = response.headers.get("location", "")
                    if response.status not in _MOVED or not location:
                        return None
                url = urljoin(url, location)
                at_home = _is_within(_host(url), home)
            except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
                return None
            if left_home:
                return None
            left_home = not at_home
        return None

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=CheckedResolver(private_allowed=self._private_allowed),
                    limit=_AT_ONCE,
                    # An answer of the name server is used once: the next call asks and checks again.
                    use_dns_cache=False,
                    force_close=True,
                ),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"user-agent": "haat (ads.txt)", "accept": "text/plain"},
                max_line_size=8_190,
                max_field_size=8_190,
                trust_env=False,
            )
        return self._session


async def _file(response: aiohttp.ClientResponse) -> bytes | None:
    """The body, unpacked chunk by chunk as aiohttp reads it; None when it is too large or no plain text."""
    if response.content_type != "text/plain":
        return None
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > LARGEST_BYTES:
            return None
    return bytes(body)


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").lower().rstrip(".")


def _is_within(host: str, home: str) -> bool:
    """Is `host` the domain itself or below it?"""
    return host == home or host.endswith(f".{home}")
