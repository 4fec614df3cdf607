"""How is an outside bidder asked that speaks OpenRTB 2.6 over HTTP? One POST for each page view, over kept connections.

The target is the operator's own setting, so it may be on a private network; redirects are not followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import aiohttp

from bidders.openrtb_answer import BadAnswer, bids_of
from bidders.openrtb_request import Asked, MayShareWith, request_for
from common.errors import InvalidInput
from exchange.bidding import OutsideBid, Replies
from exchange.openrtb.codec import TooLarge, inflate
from exchange.refusals import Refusal
from exchange.request import PageView

# An answer is not read beyond this, packed or unpacked.
ANSWER_LIMIT_BYTES: Final = 2 * 1024 * 1024
# To one bidder; further requests of a batch wait for a free one, within their time.
MOST_CONNECTIONS: Final = 64
_KEEP_ALIVE_S: Final = 30.0
_CHUNK_BYTES: Final = 64 * 1024
_HEADERS: Final = {
    "content-type": "application/json",
    "accept": "application/json",
    "accept-encoding": "gzip",
    "x-openrtb-version": "2.6",
}


class OpenRtbRemote:
    """A bidder at the URL `target`. Connections are made when it is first asked and kept.

    `currency` is what it bids in, `own_currency` the exchange's; `may_share_with` decides where a page view came with
    signals of consent whether ids may go to the vendor `vendor_id`; `seats` are those it may bid for, empty any.
    """

    def __init__(
        self,
        *,
        name: str,
        target: str,
        currency: str,
        own_currency: str,
        timeout_ms: int,
        may_share_with: MayShareWith,
        vendor_id: int = 0,
        seats: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.timeout_ms = timeout_ms
        self._target = target
        self._asked = Asked(currency, own_currency, vendor_id, may_share_with, seats, name)
        self._free = asyncio.Semaphore(MOST_CONNECTIONS)
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, auction_ids: Sequence[str], views: Sequence[PageView], timeout_ms: int) -> Replies:
        """The bids that came in time, and what came of each request."""
        if not views:
            return Replies([], [])
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_ms / 1000
        tasks = [
            loop.create_task(self._ask_one(auction_id, view, deadline_s))
            for auction_id, view in zip(auction_ids, views, strict=True)
        ]
        try:
            done, _ = await asyncio.wait(tasks, timeout=timeout_ms / 1000)
        finally:
            for task in tasks:
                task.cancel()
        said = [task.result() if task in done else Refusal.BIDDER_LATE for task in tasks]
        return Replies(
            [bid for bids in said if isinstance(bids, list) for bid in bids],
            [Refusal.WON if isinstance(one, list) else one for one in said],
        )

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _ask_one(self, auction_id: str, view: PageView, deadline_s: float) -> list[OutsideBid] | Refusal:
        """The bids, or why there is no answer."""
        async with self._free:
            return await self._post(auction_id, view, deadline_s)

    async def _post(self, auction_id: str, view: PageView, deadline_s: float) -> list[OutsideBid] | Refusal:
        left_s = deadline_s - asyncio.get_running_loop().time()
        if left_s <= 0:
            return Refusal.BIDDER_LATE
        request = request_for(auction_id, view, max(int(left_s * 1000), 1), self._asked)
        try:
            async with self._connected().post(
                self._target, data=request, headers=_HEADERS, allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=left_s),
            ) as response:  # fmt: skip
                if response.status == 204:
                    return []
                if response.status != 200:
                    return Refusal.BIDDER_FAILED
                body = await _read(response)
            return bids_of(body, auction_id, view)
        except TimeoutError:
            return Refusal.BIDDER_LATE
        except (TooLarge, InvalidInput, BadAnswer, aiohttp.ClientError, OSError, ValueError):
            return Refusal.BIDDER_FAILED

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MOST_CONNECTIONS, keepalive_timeout=_KEEP_ALIVE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body, unpacked; TooLarge beyond the limit."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > ANSWER_LIMIT_BYTES:
            raise TooLarge
    if response.headers.get("content-encoding", "").strip().lower() in ("gzip", "deflate"):
        return inflate(bytes(body), ANSWER_LIMIT_BYTES)
    return bytes(body)
