"""Where do short links lead? Looked up beside the check, which never waits: a post with one is held, and checked again.

In memory and bounded: what was not looked up before a restart is held for a person, as without this.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from feed.moderation import redirects
from feed.moderation.check_ports import RedirectHop
from feed.moderation.links import LinkRules, Resolution, shortened

MOST_KNOWN: Final = 10_000
MOST_WAITING: Final = 1_000
# A short link may be made to lead elsewhere: what is known is asked again after so long.
KNOWN_FOR_MS: Final = 3_600_000
_AT_ONCE: Final = 8

# (tenant, post) that waits for a link.
Waits = tuple[str, str]


class FollowedLinks:
    """What is known of short links; `known` and `want` from any thread, `look_up` from one event loop."""

    def __init__(self, hop: RedirectHop, rules: LinkRules, now_ms: Callable[[], int]) -> None:
        self._hop = hop
        self._rules = rules
        self._now_ms = now_ms
        self._known: OrderedDict[str, tuple[int, Resolution]] = OrderedDict()
        self._waiting: OrderedDict[str, list[Waits]] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, links: Iterable[str]) -> dict[str, Resolution]:
        """Where those of the links lead that were looked up lately."""
        since_ms = self._now_ms() - KNOWN_FOR_MS
        with self._lock:
            found = {link: self._known[link] for link in links if link in self._known}
        return {link: resolution for link, (at_ms, resolution) in found.items() if at_ms >= since_ms}

    def want(self, links: Iterable[str], known: Mapping[str, Resolution], waits: Waits) -> None:
        """Look these up soon; a post waits for them. What comes when too many wait is left to people."""
        with self._lock:
            for link in shortened(links, self._rules):
                if link not in known and (link in self._waiting or len(self._waiting) < MOST_WAITING):
                    self._waiting.setdefault(link, []).append(waits)

    async def look_up(self) -> list[Waits]:
        """Follow what waits, some at a time; the posts that can be checked again."""
        ready: dict[Waits, None] = {}
        for _ in range(_AT_ONCE):
            with self._lock:
                if not self._waiting:
                    break
                link, waiting = self._waiting.popitem(last=False)
            resolution = await redirects.follow(self._hop, link, self._rules)
            with self._lock:
                self._known[link] = (self._now_ms(), resolution)
                while len(self._known) > MOST_KNOWN:
                    self._known.popitem(last=False)
            ready |= dict.fromkeys(waiting)
        return list(ready)
