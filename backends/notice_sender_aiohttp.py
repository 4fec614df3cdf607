"""How is an outside bidder's URL called? With aiohttp, at an address that was checked, for a bounded time.

The connector resolves a host once, hands on only addresses that may be called, and connects to one of these, so no name
can change in between. Redirects are followed by hand, three at most, each checked like the first.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from exchange.networks import address_of
from exchange.notice_delivery import AT_ONCE, AT_ONCE_BY_HOST, Sent
from exchange.outbound_guard import is_public, refusal_of_url

TIMEOUT_S: Final = 3.0
_REDIRECTS: Final = 3
_READ_BYTES: Final = 4_096


class AddressRefused(OSError):
    """The host has no address that may be called."""


class CheckedResolver(AbstractResolver):
    """Resolves with the system's resolver, and only to addresses that may be called."""

    def __init__(self, *, private_allowed: bool = False) -> None:
        self._private_allowed = private_allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Every allowed address of the host; AddressRefused when it has none."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        allowed = [
            ResolveResult(
                hostname=host, host=str(sockaddr[0]), port=int(sockaddr[1]), family=kind, proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, sockaddr in found
            if self._private_allowed or ((address := address_of(str(sockaddr[0]))) is not None and is_public(address))
        ]  # fmt: skip
        if not allowed:
            raise AddressRefused(f"{host} has no public address")
        return allowed

    async def close(self) -> None:
        """Nothing is open."""


class HttpNoticeSender:
    """Sends GET requests; the session is made at the first one, within the running loop."""

    def __init__(self, *, private_allowed: bool = False, timeout_s: float = TIMEOUT_S) -> None:
        self._private_allowed = private_allowed
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def send(self, url: str) -> Sent:
        """Call the URL; it never raises. Of the answer's body a few kB are read and none is kept."""
        for _ in range(_REDIRECTS + 1):
            if why := refusal_of_url(url, private_allowed=self._private_allowed):
                return Sent(0, why, refused=True)
            try:
                async with self._opened().get(url, allow_redirects=False) as response:
                    await response.content.read(_READ_BYTES)
                    status, location = response.status, response.headers.get("location", "")
            except TimeoutError:
                return Sent(0, f"no answer within {self._timeout.total} s")
            except aiohttp.ClientConnectorError as error:
                if isinstance(error.os_error, AddressRefused):
                    return Sent(0, str(error.os_error), refused=True)
                return Sent(0, f"no connection: {type(error.os_error).__name__}")
            except (aiohttp.ClientError, OSError, ValueError) as error:
                return Sent(0, f"no answer: {type(error).__name__}")
            if status not in (301, 302, 303, 307, 308) or not location:
                return Sent(status, f"HTTP {status}")
            url = urljoin(url, location)
        return Sent(0, f"more than {_REDIRECTS} redirects")

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=CheckedResolver(private_allowed=self._private_allowed),
                limit=AT_ONCE,
                limit_per_host=AT_ONCE_BY_HOST,
                # An answer of the name server is used once: the next call asks and checks again.
                use_dns_cache=False,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"user-agent": "haat", "accept": "*/*"},
                max_line_size=8_190,
                max_field_size=8_190,
                trust_env=False,
                auto_decompress=False,
            )
        return self._session
