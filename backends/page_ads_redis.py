"""Ads that were sold for pages of the feed, in Redis: whichever node is asked for the page again shows what was sold.

What this node sold it knows by itself, also while Redis is away. Keys are digests, so nobody is named in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from backends.redis_connection import RedisConnection
from common.errors import BackendUnavailable
from feed.kept_ads import KEPT_MS, KeptAds, PageKey
from feed.ports import FeedAd


class _Sold(msgspec.Struct, array_like=True, frozen=True):
    at_ms: int
    ads: list[FeedAd]


class RedisPageAds:
    """PageAds. `counts`: pages that were looked up or kept without Redis (`unasked`, `unkept`), or not understood
    (`unreadable`). Used from one thread, which waits for `hot` no longer than a page may.
    """

    def __init__(self, hot: RedisConnection, *, ttl_ms: int = KEPT_MS) -> None:
        self.counts: Counter[str] = Counter()
        self._hot = hot
        self._ttl_ms = ttl_ms
        self._prefix = f"{hot.prefix}:ads:"
        self._near = KeptAds(ttl_ms=ttl_ms)
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(_Sold)

    def recall(self, key: PageKey, now_ms: int) -> dict[int, FeedAd] | None:
        """See PageAds; one round trip for a page that this node has not sold."""
        if (near := self._near.recall(key, now_ms)) is not None:
            return near
        try:
            (value,) = self._hot.ask([("GET", self._key(key))])
            sold = self._decoder.decode(value) if value is not None else None
        except BackendUnavailable:
            self.counts["unasked"] += 1
            return None
        except msgspec.DecodeError:
            self.counts["unreadable"] += 1
            return None
        if sold is None or now_ms - sold.at_ms >= self._ttl_ms:
            return None
        return {ad.slot: ad for ad in sold.ads}

    def keep(self, key: PageKey, ads: Mapping[int, FeedAd], now_ms: int) -> None:
        """See PageAds; one round trip."""
        if not ads:
            return
        self._near.keep(key, ads, now_ms)
        value = self._encoder.encode(_Sold(now_ms, list(ads.values())))
        try:
            self._hot.ask([("SET", self._key(key), value, "PX", self._ttl_ms)])
        except BackendUnavailable:
            self.counts["unkept"] += 1

    def _key(self, key: PageKey) -> str:
        return self._prefix + blake2b(self._encoder.encode(key), digest_size=16).hexdigest()
