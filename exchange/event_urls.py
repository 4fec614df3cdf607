"""Where is told what becomes of an ad? Signed addresses of one impression, for its markup.

`<public address>/e/<token>` hears that the ad was shown, `/e/<token>/<event>` the rest, and `/c/<token>?to=<landing
page>` counts a click and leads on; the landing page is signed along, so the address leads nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from exchange.billing import Kind
from exchange.holds import Terms
from exchange.tokens import Tokens

# Events in the words of VAST 4.2 §3.14, with the notice that each is; the rest is heard and not kept.
KIND_OF: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "impression": Kind.IMPRESSION,
        "viewable": Kind.VIEWABLE,
        "click": Kind.CLICK,
        "start": Kind.VIDEO_START,
        "firstQuartile": Kind.VIDEO_FIRST_QUARTILE,
        "midpoint": Kind.VIDEO_MIDPOINT,
        "thirdQuartile": Kind.VIDEO_THIRD_QUARTILE,
        "complete": Kind.VIDEO_COMPLETE,
    }
)
UNKEPT: Final = frozenset({"loaded", "skip", "error"})


class SignedUrls:
    """The addresses below `public_url`, which has no slash at its end.

    They hold as long as the ad may be seen and then clicked; the same impression always has the same ones.
    """

    def __init__(self, tokens: Tokens, public_url: str, terms: Terms) -> None:
        self._tokens = tokens
        self._public_url = public_url
        self._open_ms = terms.unseen_ms + terms.seen_ms
        # Of the auction that was asked for last: its id, the 16 bytes of it, and until when its addresses hold.
        self._of_last: tuple[str, bytes, int] = ("", b"", 0)

    def event(self, name: str) -> tuple[str, str]:
        """What stands before and behind the token where the event is told."""
        return f"{self._public_url}/e/", "" if name == "impression" else f"/{name}"

    def click(self, landing_url: str) -> tuple[str, str]:
        """What stands before and behind the token of a click."""
        return f"{self._public_url}/c/", f"?to={_along(landing_url)[1]}"

    def tokens(self, impression_id: str, landing_url: str) -> tuple[str, str]:
        """(whoever holds it may say what a browser can of this impression; counts a click that leads to this page)."""
        auction_id = impression_id[:32]
        # All ads of a page come one behind the other.
        known, auction, expires_at_s = self._of_last
        if auction_id != known:
            auction = bytes.fromhex(auction_id)
            # The first 48 bits of an id are the millisecond in which it was made (RFC 9562 §5.7).
            expires_at_s = (int.from_bytes(auction[:6], "big") + self._open_ms) // 1000 + 1
            self._of_last = auction_id, auction, expires_at_s
        return self._tokens.sign_ad(auction, int(impression_id[33:]), expires_at_s, _along(landing_url)[0])


@lru_cache(maxsize=4096)
def _along(landing_url: str) -> tuple[bytes, str]:
    """A landing page as it is signed, and as it stands in a query."""
    return landing_url.encode(), quote(landing_url, safe="")
