"""What came from the same network lately? Counts in memory, by networks that are hashed with a salt of the day.

Nothing here is written down: an address becomes its network (/24, /48), the network a keyed hash whose key nobody else
has and which changes every day, and all of it is gone with the process.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import Final

from exchange.billing import Kind
from exchange.holds import Hold
from exchange.invalid_traffic import Around
from exchange.networks import Address

_DAY_MS: Final = 86_400_000
_MINUTE_MS: Final = 60_000
# Over so long a network shows whether it clicks as people do.
_SHARE_MS: Final = 6 * 3_600_000
_MOST_ENTRIES: Final = 200_000


class Counts:
    """How often something happened within about `window_ms`: this window, and of the one before the part not yet over.

    At most so many things are counted at once; the oldest window is let go early when there are more.
    """

    def __init__(self, window_ms: int, most: int = _MOST_ENTRIES) -> None:
        self._window_ms = window_ms
        self._most = most
        self._window = 0
        self._now: dict[bytes, int] = {}
        self._before: dict[bytes, int] = {}

    def of(self, what: bytes, at_ms: int) -> int:
        """How often it happened."""
        into_ms = self._turn(at_ms)
        return self._now.get(what, 0) + self._before.get(what, 0) * (self._window_ms - into_ms) // self._window_ms

    def add(self, what: bytes, at_ms: int) -> int:
        """Count it; how often it happened before."""
        into_ms = self._turn(at_ms)
        here = self._now.get(what, 0)
        self._now[what] = here + 1
        return here + self._before.get(what, 0) * (self._window_ms - into_ms) // self._window_ms

    def _turn(self, at_ms: int) -> int:
        """Begin a new window where it is time; how far into it this is."""
        window, into_ms = divmod(at_ms, self._window_ms)
        if window != self._window:
            self._before = self._now if window == self._window + 1 else {}
            self._now, self._window = {}, window
        elif len(self._now) >= self._most:
            self._before, self._now = self._now, {}
        return into_ms


class TrafficMemory:
    """Remembers what is needed to tell people from the rest, and no more."""

    def __init__(self) -> None:
        self._networks = Counts(_MINUTE_MS)
        self._clicks = Counts(10 * _MINUTE_MS)
        self._network_shown = Counts(_SHARE_MS)
        self._network_clicked = Counts(_SHARE_MS)
        self._day = -1
        self._salt = b""
        # Impression id -> when it was shown and to which network; the oldest leave.
        self._shown: dict[str, tuple[int, bytes]] = {}

    def around(self, kind: int, hold: Hold | None, address: Address | None, agent: str, at_ms: int) -> Around:
        """What is known around an event that came now; it is counted with this."""
        network = self._network(address, at_ms)
        of_network = self._networks.add(network, at_ms)
        if hold is None:
            return Around(of_network=of_network)
        shown_at_ms, shown_to = self._shown.get(hold.impression_id, (hold.seen_at_ms, network))
        clicks = of_shown = of_clicked = 0
        if kind == Kind.CLICK:
            of_shown, of_clicked = self._network_shown.of(network, at_ms), self._network_clicked.of(network, at_ms)
            item = f"{hold.line_item_number or hold.bidder} {agent[:512]}".encode("utf-8", "replace")
            clicks = self._clicks.add(network + item, at_ms)
        return Around(shown_at_ms, of_network, clicks, shown_to != network, of_shown, of_clicked)

    def shown(self, impression_id: str, address: Address | None, at_ms: int) -> None:
        """An impression counted: what comes after is measured by it."""
        if impression_id not in self._shown:
            network = self._network(address, at_ms)
            self._network_shown.add(network, at_ms)
            self._shown[impression_id] = (at_ms, network)
            if len(self._shown) > _MOST_ENTRIES:
                del self._shown[next(iter(self._shown))]

    def clicked(self, address: Address | None, at_ms: int) -> None:
        """A click broke no rule but that of its network: by those the network is judged. What one machine behind it did
        and was marked for by itself is not held against the others.
        """
        self._network_clicked.add(self._network(address, at_ms), at_ms)

    def _network(self, address: Address | None, at_ms: int) -> bytes:
        if at_ms // _DAY_MS != self._day:
            # Who was who yesterday cannot be told today, not even by us.
            self._day, self._salt = at_ms // _DAY_MS, os.urandom(32)
            self._shown.clear()
        if address is None:
            return b"nowhere"
        prefix = address.packed[:3] if address.version == 4 else address.packed[:6]
        return blake2b(prefix, digest_size=8, key=self._salt).digest()
