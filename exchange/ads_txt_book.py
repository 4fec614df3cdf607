"""Which pages may this exchange sell? What it knows of publishers' ads.txt files, and which it has to look up.

Page views never wait for a file: a domain is asked about, looked up in the background, and known from then on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from common.clock import Clock
from exchange.ads_txt import AdsTxt, Standing, read_ads_txt

GOOD_FOR_MS: Final = 24 * 3_600_000
# A file that could not be had is tried again sooner.
RETRY_MS: Final = 600_000
MOST_DOMAINS: Final = 20_000
_MOST_WAITING: Final = 1_000

# The content of a URL, None when it cannot be had.
Fetch = Callable[[str], Awaitable[bytes | None]]


class AdsTxtBook:
    """Standings by domain; the least recently asked about leave when there are too many. Runs on one thread."""

    def __init__(self, *, seller_domain: str, fetch: Fetch, clock: Clock) -> None:
        self._seller_domain = seller_domain
        self._fetch = fetch
        self._clock = clock
        self._files: OrderedDict[str, tuple[AdsTxt | None, int]] = OrderedDict()
        self._waiting: OrderedDict[str, None] = OrderedDict()

    def standing(self, domain: str, account: str) -> Standing:
        """What `domain` says of us selling as `account`; UNAVAILABLE until its file is known."""
        known = self._files.get(domain)
        if known is None or known[1] <= self._clock.now_ms():
            if len(self._waiting) < _MOST_WAITING:
                self._waiting[domain] = None
            if known is None:
                return Standing.UNAVAILABLE
        self._files.move_to_end(domain)
        file = known[0]
        return Standing.UNAVAILABLE if file is None else file.standing(self._seller_domain, account)

    async def look_up(self, most: int = 20) -> int:
        """Fetch the files of up to `most` domains that were asked about; how many."""
        for done in range(most):
            if not self._waiting:
                return done
            domain, _ = self._waiting.popitem(last=False)
            content = await self._fetch(f"https://{domain}/ads.txt")
            file = read_ads_txt(content) if content is not None else None
            before = self._files.get(domain)
            if file is None and before is not None:
                # The last good file stays.
                file = before[0]
            lasts_ms = GOOD_FOR_MS if content is not None else RETRY_MS
            self._files[domain] = (file, self._clock.now_ms() + lasts_ms)
            if len(self._files) > MOST_DOMAINS:
                self._files.popitem(last=False)
        return most
