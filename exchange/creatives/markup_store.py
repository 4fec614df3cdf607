"""Where does a player fetch a video that was sold as an address? A bounded memory of documents, by impression."""

from __future__ import annotations

import re
from collections import OrderedDict

from common.clock import Clock

PATH = "/vast"
# A player asks when its film comes to the break: OpenRTB 2.6 §7.2 gives video half an hour.
TTL_MS = 30 * 60 * 1000
_KEY = re.compile(r"[0-9a-f]{32}\.[a-z0-9]{1,8}")


class MarkupStore:
    """Documents by key: an impression's id, or a pod's. The oldest leave when it is full; all leave with their time.

    `bytes_at_most` counts characters, of which almost all are one byte.
    """

    def __init__(self, clock: Clock, *, ttl_ms: int = TTL_MS, bytes_at_most: int = 64 << 20) -> None:
        self._clock = clock
        self._ttl_ms = ttl_ms
        self._most = bytes_at_most
        self._held = 0
        self._kept: OrderedDict[str, tuple[int, str]] = OrderedDict()

    def keep(self, key: str, document: str) -> None:
        """Remember a document; one that is kept under the same key is replaced."""
        before = self._kept.pop(key, None)
        if before is not None:
            self._held -= len(before[1])
        self._kept[key] = (self._clock.now_ms() + self._ttl_ms, document)
        self._held += len(document)
        while self._held > self._most:
            _, (_, oldest) = self._kept.popitem(last=False)
            self._held -= len(oldest)

    def get(self, key: str) -> str | None:
        """The document, or None when there is none or its time is over."""
        found = self._kept.get(key)
        if found is None or self._clock.now_ms() >= found[0]:
            return None
        return found[1]

    def __len__(self) -> int:
        return len(self._kept)


def pod_key(auction_id: str, number: int) -> str:
    """Under which key the document of an answer's pod is kept; pods are counted from 0."""
    return f"{auction_id}.pod{number}"


def is_key(text: str) -> bool:
    """Could this be a key? Nothing else is looked for."""
    return _KEY.fullmatch(text) is not None


def vast_url(public_url: str, key: str) -> str:
    """Where the document of this key is served."""
    return f"{public_url}{PATH}/{key}"
