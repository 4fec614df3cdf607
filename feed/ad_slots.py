"""Which ads came in time for this page?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from feed.kept_ads import KeptAds, PageKey
from feed.ports import AdRequest, AdSource, FeedAd, PageAds

_log = logging.getLogger(__name__)


class AdSlots:
    """Asks for ads while the page is being ranked; a source that fails or is late leaves the slots empty.

    `failures` and `late` count those; `deadline_ms` is counted from the moment of asking.
    """

    def __init__(self, *, source: AdSource, deadline_ms: int, kept: PageAds | None = None) -> None:
        self._source = source
        self._kept = kept if kept is not None else KeptAds()
        self.deadline_ms = deadline_ms
        self.failures = 0
        self.late = 0

    @property
    def auction_ms(self) -> int:
        """How long the auction may take, so that its answer is here by the deadline."""
        return max(self.deadline_ms * 4 // 5, 1)

    def ask(self, request: AdRequest, page: PageKey) -> Asked:
        """Begin to ask; to be used as `async with`, so that nothing goes on when the page fails.

        A page whose slots were sold to this session before, and whose ads are still kept, gets the same ads, less
        those that may no longer be shown; nothing is sold for it again.
        """
        kept = self._kept.recall(page, request.viewed_at_ms) if request.slots else None
        return Asked(self, self._source, request, page, kept)

    def keep(self, page: PageKey, ads: Mapping[int, FeedAd], now_ms: int) -> None:
        """These were sold for the page."""
        self._kept.keep(page, ads, now_ms)


class Asked:
    """One question to the ad source, under way."""

    def __init__(
        self, slots: AdSlots, source: AdSource, request: AdRequest, page: PageKey, kept: dict[int, FeedAd] | None
    ) -> None:
        self._slots = slots
        self._source = source
        self._page = page
        self._kept = kept
        self._asked_at_ms = request.viewed_at_ms
        self._wanted = request.slots
        self._due = asyncio.get_running_loop().time() + slots.deadline_ms / 1000
        self._task = asyncio.create_task(source.ads(request)) if request.slots and kept is None else None

    async def __aenter__(self) -> Self:
        if self._task is not None:
            # Let the source begin before the ranking takes the loop for itself.
            await asyncio.sleep(0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()

    async def ads(self) -> dict[int, FeedAd]:
        """The ads that came until the deadline, by slot."""
        if self._kept is not None:
            still = {ad.impression_id for ad in self._source.still_sold(list(self._kept.values()))}
            return {slot: ad for slot, ad in self._kept.items() if ad.impression_id in still}
        if self._task is None:
            return {}
        left_s = self._due - asyncio.get_running_loop().time()
        done, _ = await asyncio.wait([self._task], timeout=max(left_s, 0.0))
        if not done:
            self._slots.late += 1
            return {}
        if self._task.cancelled() or (error := self._task.exception()) is not None:
            self._slots.failures += 1
            _log.warning("the feed's ads failed: %s", "cancelled" if self._task.cancelled() else repr(error))
            return {}
        ads: dict[int, FeedAd] = {}
        for ad in self._task.result():
            if 0 <= ad.slot < self._wanted:
                ads.setdefault(ad.slot, ad)
        self._slots.keep(self._page, ads, self._asked_at_ms)
        return ads
