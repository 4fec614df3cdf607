from __future__ import annotations

from feed.cursor import Chain
from feed.kept_ads import KeptAds, key_of
from feed.ports import FeedAd

ADS = {0: FeedAd(0, "auction", "impression")}


def test_old_pages_leave_and_beyond_the_limit_the_oldest() -> None:
    kept = KeptAds(ttl_ms=1_000, limit=2)
    pages = [key_of("t", "s", Chain(1, number), 1) for number in range(4)]
    for page in pages[:3]:
        kept.keep(page, ADS, 0)
    assert [kept.recall(page, 0) is not None for page in pages] == [False, True, True, False]

    kept.keep(pages[3], ADS, 2_000)

    assert len(kept._kept) == 1
