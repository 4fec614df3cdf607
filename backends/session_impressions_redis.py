"""What sessions were shown, in Redis, for all nodes: whichever node a session comes to, its caps count the same.

Read in one round trip for a batch; written by a thread, which keeps some thousand impressions in memory while Redis is
away. What this node has noticed it knows by itself, also then. Keys are digests, so nobody is named in them.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

from backends.redis_connection import Call, RedisConnection
from backends.writer_thread import WriterThread
from common.errors import BackendUnavailable
from exchange.session_impressions import IMPRESSIONS_AT_MOST, SESSION_MS, Seen, SessionImpressions

# Line item, creative, when.
_SEEN: Final = struct.Struct(">IIQ")
_AGAIN_AFTER_S: Final = 0.25

# Key, line item, creative, at_ms.
_Impression = tuple[str, int, int, int]


class RedisSessionImpressions:
    """SessionMemory. `hot` is asked while page views wait, so it waits a few milliseconds at most; `patient` is not.

    `counts`: impressions kept and dropped, batches that were read without Redis (`unasked`), unreadable values.
    """

    empty = False

    def __init__(self, hot: RedisConnection, patient: RedisConnection, *, ttl_ms: int = SESSION_MS) -> None:
        self._hot = hot
        self._patient = patient
        self._ttl_ms = ttl_ms
        self._prefix = f"{hot.prefix}:seen:"
        self._near = SessionImpressions()
        self._writer: WriterThread[_Impression] = WriterThread(
            "sessions' impressions to Redis", self._write, again_after_s=_AGAIN_AFTER_S
        )

    @property
    def counts(self) -> Counter[str]:
        """What came of it, since the start."""
        return self._writer.counts

    def read(self, keys: Sequence[str]) -> list[Seen | None]:
        """See SessionMemory; what this node alone knows while Redis does not answer."""
        near = self._near.read(keys)
        try:
            values = self._hot.ask([("HGET", self._key(key), "seen") for key in keys])
        except BackendUnavailable:
            self.counts["unasked"] += 1
            return near
        return [self._seen(value, known) for value, known in zip(values, near, strict=True)]

    def remember(self, key: str, line_item_number: int, creative_number: int, at_ms: int) -> None:
        """See SessionMemory; written soon, in a thread."""
        self._near.remember(key, line_item_number, creative_number, at_ms)
        self._writer.put((key, line_item_number, creative_number, at_ms))

    def flush(self) -> None:
        """See SessionMemory."""
        self._writer.flush()

    def close(self) -> None:
        """See SessionMemory; what waits is written before. The connections are not closed."""
        self._writer.close()

    def _write(self, impressions: Sequence[_Impression]) -> None:
        by_session: defaultdict[str, list[_Impression]] = defaultdict(list)
        for impression in impressions:
            by_session[impression[0]].append(impression)
        calls: list[Call] = []
        for key, shown in by_session.items():
            seen = b"".join(_SEEN.pack(*impression[1:]) for impression in shown)
            more = (seen, IMPRESSIONS_AT_MOST * _SEEN.size, shown[-1][3], self._ttl_ms)
            calls.append(((self._key(key),), more))
        self._patient.run("add_impressions", calls)

    def _seen(self, value: bytes | None, near: Seen | None) -> Seen | None:
        """What all nodes have written, and what this one has and is not written yet."""
        if value is None:
            return near
        if len(value) % _SEEN.size:
            self.counts["unreadable"] += 1
            return near
        shown = list(_SEEN.iter_unpack(value))
        if near is not None:
            known = set(shown)
            own = zip(near.line_items, near.creatives, near.at_ms, strict=True)
            if missing := [impression for impression in own if impression not in known]:
                shown = sorted([*shown, *missing], key=lambda impression: impression[2])[-IMPRESSIONS_AT_MOST:]
        line_items, creatives, at_ms = map(list, zip(*shown, strict=True)) if shown else ([], [], [])
        return Seen(line_items, creatives, at_ms)

    def _key(self, key: str) -> str:
        digest: Any = blake2b(key.encode(errors="surrogatepass"), digest_size=16)
        return self._prefix + str(digest.hexdigest())
