"""Where does one address lead? With aiohttp, at an address that was checked, one answer's head and nothing else.

Nothing of the answer's body is read, no cookie is kept, and nothing is told of who asked.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urljoin

import aiohttp

from backends.notice_sender_aiohttp import CheckedResolver
from common.errors import BackendUnavailable
from exchange.outbound_guard import refusal_of_url

_MOVED: Final = (301, 302, 303, 307, 308)
_LONGEST_URL: Final = 2_048


class HttpRedirectHop:
    """RedirectHop: each call opens a connection of its own and closes it."""

    def __init__(self, *, private_allowed: bool = False, timeout_ms: int = 2_000) -> None:
        self._private_allowed = private_allowed
        self._timeout = aiohttp.ClientTimeout(total=timeout_ms / 1000)

    async def __call__(self, url: str) -> str:
        """The address that it redirects to; "" when it is the end. BackendUnavailable when it cannot be told."""
        if why := refusal_of_url(url, private_allowed=self._private_allowed):
            raise BackendUnavailable(f"a link is not asked where it leads: {why}")
        # An answer of the name server is used once: the next call asks and checks again.
        connector = aiohttp.TCPConnector(
            resolver=CheckedResolver(private_allowed=self._private_allowed), use_dns_cache=False, force_close=True
        )
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector, timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar(),
                    headers={"user-agent": "haat", "accept": "*/*"}, max_line_size=8_190, max_field_size=8_190,
                    trust_env=False, auto_decompress=False,
                ) as session,
                session.get(url, allow_redirects=False) as response,
            ):  # fmt: skip
                status, location = response.status, response.headers.get("location", "")
                # Whatever follows the head is not wanted.
                response.close()
            if status >= 500 or status == 429:
                raise BackendUnavailable(f"a link answers with HTTP {status}")
            if status not in _MOVED or not location:
                return ""
            return urljoin(url, location)[: _LONGEST_URL + 1]
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise BackendUnavailable(f"a link does not answer: {type(error).__name__}") from None
