"""Which pages may this exchange sell? What it knows of publishers' ads.txt files, and which it has to look up.

Page views never wait for a file: a domain is asked about, looked up in the background, and known from then on.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from common.clock import Clock
from exchange.ads_txt import AdsTxt, Standing, read_ads_txt

GOOD_FOR_MS: Final = 24 * 3_600_000
# A good file that cannot be had again speaks for its domain so long.
STALE_MS: Final = 7 * 24 * 3_600_000
# A file that could not be had is tried again sooner.
RETRY_MS: Final = 600_000
MOST_DOMAINS: Final = 20_000
_MOST_WAITING: Final = 1_000

# The content of a URL, None when it cannot be had.
Fetch = Callable[[str], Awaitable[bytes | None]]


class AdsTxtBook:
    """Standings by domain; the least recently asked about leave when there are too many. Runs on one thread."""

    def __init__(self, *, seller_domain: str, fetch: Fetch, clock: Clock, good_for_ms: int = GOOD_FOR_MS) -> None:
        self._seller_domain = seller_domain
        self._fetch = fetch
        self._clock = clock
        self._good_for_ms = good_for_ms
        self._files: OrderedDict[str, _Known] = OrderedDict()
        # Look-ups by whether a file was had.
        self.had = 0
        self.missed = 0
        self._waiting: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        """Domains of which something is known."""
        return len(self._files)

    def standing(self, domain: str, account: str) -> Standing:
        """What `domain` says of us selling as `account`; UNAVAILABLE until its file is known."""
        known = self._files.get(domain)
        if known is None or known.until_ms <= self._clock.now_ms():
            if len(self._waiting) < _MOST_WAITING:
                self._waiting[domain] = None
            if known is None:
                return Standing.UNAVAILABLE
        self._files.move_to_end(domain)
        return Standing.UNAVAILABLE if known.file is None else known.file.standing(self._seller_domain, account)

    async def look_up(self, most: int = 20) -> int:
        """Fetch the files of up to `most` domains that were asked about, all at once; how many."""
        domains = [self._waiting.popitem(last=False)[0] for _ in range(min(most, len(self._waiting)))]
        await asyncio.gather(*map(self._look_up, domains))
        return len(domains)

    async def _look_up(self, domain: str) -> None:
        content = await self._fetch(f"https://{domain}/ads.txt")
        if content is None:
            # ads.txt 1.1 §3.1: a site without TLS has its file all the same.
            content = await self._fetch(f"http://{domain}/ads.txt")
        file = read_ads_txt(content) if content is not None else None
        now_ms = self._clock.now_ms()
        if file is not None:
            self.had += 1
            known = _Known(file, now_ms + self._good_for_ms, now_ms)
        else:
            self.missed += 1
            before = self._files.get(domain)
            # The last good file stays for a while.
            stays = before is not None and before.file is not None and now_ms < before.had_at_ms + STALE_MS
            known = _Known(
                before.file if stays and before else None, now_ms + RETRY_MS, before.had_at_ms if before else 0
            )
        self._files[domain] = known
        if len(self._files) > MOST_DOMAINS:
            self._files.popitem(last=False)


class _Known(NamedTuple):
    """A domain's file, None without one; when it is looked up again, and when it was last had."""

    file: AdsTxt | None
    until_ms: int
    had_at_ms: int
