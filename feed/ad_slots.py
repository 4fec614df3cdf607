"""Which ads came in time for this page?"""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Self

from feed.ports import AdRequest, AdSource, FeedAd

_log = logging.getLogger(__name__)


class AdSlots:
    """Asks for ads while the page is being ranked; a source that fails or is late leaves the slots empty.

    `failures` and `late` count those; `deadline_ms` is counted from the moment of asking.
    """

    def __init__(self, *, source: AdSource, deadline_ms: int) -> None:
        self._source = source
        self.deadline_ms = deadline_ms
        self.failures = 0
        self.late = 0

    @property
    def auction_ms(self) -> int:
        """How long the auction may take, so that its answer is here by the deadline."""
        return max(self.deadline_ms * 4 // 5, 1)

    def ask(self, request: AdRequest) -> Asked:
        """Begin to ask; to be used as `async with`, so that nothing goes on when the page fails."""
        return Asked(self, self._source, request)


class Asked:
    """One question to the ad source, under way."""

    def __init__(self, slots: AdSlots, source: AdSource, request: AdRequest) -> None:
        self._slots = slots
        self._wanted = request.slots
        self._due = asyncio.get_running_loop().time() + slots.deadline_ms / 1000
        self._task = asyncio.create_task(source.ads(request)) if request.slots else None

    async def __aenter__(self) -> Self:
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
        return ads
