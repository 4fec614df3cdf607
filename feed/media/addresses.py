"""Under which address does a browser find a medium?"""

from __future__ import annotations

from typing import Final

from common.clock import Clock
from feed.media.tickets import Tickets

# An author's look at what is not published yet.
PREVIEW_MS: Final = 3_600_000


class MediaAddresses:
    """Addresses below `base_url` (a CDN whose origin is haat, or haat itself), which has no slash at its end.

    What is not published has an address at `own_url` that expires, so that it is in nobody's cache.
    """

    def __init__(self, base_url: str, own_url: str, tickets: Tickets, clock: Clock) -> None:
        self._base_url = base_url
        self._own_url = own_url
        self._tickets = tickets
        self._clock = clock

    def public(self, media_id: str, name: str) -> str:
        """Where everybody finds the file, once it is published."""
        return f"{self._base_url}/media/{media_id}/{name}"

    def preview(self, media_id: str, name: str) -> str:
        """Where its author finds the file until then."""
        return self.preview_until(media_id, name, self._clock.now_ms() + PREVIEW_MS)

    def preview_until(self, media_id: str, name: str, expires_at_ms: int) -> str:
        """Where whoever is given this address finds the file until then."""
        word = self._tickets.sign_preview(media_id, expires_at_ms)
        return f"{self._own_url}/media/{media_id}/{name}?preview={word}"
