"""Which ads did this session see on this very page? A page that is asked for again shows what was sold for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from feed.cursor import Chain
from feed.ports import FeedAd

MAX_PAGES = 20_000
KEPT_MS = 120_000

# Tenant, session, place in the chain of pages, how many slots.
PageKey = tuple[str, str, tuple[int, int], int]


def key_of(tenant_id: str, session_id: str, chain: Chain, slots: int) -> PageKey:
    """Names a page of a session by its place, not by what was done since."""
    return tenant_id, session_id, chain.place, slots


class KeptAds:
    """PageAds of one process: sold slots by page, for as long as their impressions can be billed; beyond a count the
    oldest leave.
    """

    def __init__(self, *, ttl_ms: int = KEPT_MS, limit: int = MAX_PAGES) -> None:
        self._ttl_ms = ttl_ms
        self._limit = limit
        self._kept: OrderedDict[PageKey, tuple[int, dict[int, FeedAd]]] = OrderedDict()

    def recall(self, key: PageKey, now_ms: int) -> dict[int, FeedAd] | None:
        """The ads by slot; None when the page was not sold, or too long ago."""
        kept = self._kept.get(key)
        if kept is None or now_ms - kept[0] >= self._ttl_ms:
            return None
        return kept[1]

    def keep(self, key: PageKey, ads: Mapping[int, FeedAd], now_ms: int) -> None:
        """Remember what was sold; a page of which nothing was sold is offered again."""
        if not ads:
            return
        self._kept[key] = now_ms, dict(ads)
        self._kept.move_to_end(key)
        while self._kept and (
            len(self._kept) > self._limit or now_ms - next(iter(self._kept.values()))[0] >= self._ttl_ms
        ):
            self._kept.popitem(last=False)
