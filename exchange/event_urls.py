"""Where is told what becomes of an ad? Signed addresses of one impression, for its markup.

`<public address>/e/<token>` hears that the ad was shown, `/e/<token>/<event>` the rest, and `/c/<token>?to=<landing
page>` counts a click and leads on; the landing page is signed along, so the address leads nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from common.ids import made_at_ms
from exchange.billing import Kind
from exchange.holds import Terms
from exchange.tokens import TokenKind, Tokens

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
    """The addresses of one impression; a token is signed when it is first asked for."""

    __slots__ = ("_before", "_expires_at_s", "_impression_id", "_token", "_tokens")

    def __init__(self, tokens: Tokens, before: str, impression_id: str, expires_at_s: int) -> None:
        self._tokens = tokens
        self._before = before
        self._impression_id = impression_id
        self._expires_at_s = expires_at_s
        self._token = ""

    def event(self, name: str) -> str:
        """Where to tell that the event happened."""
        token = self._token
        if not token:
            token = self._token = self._tokens.sign(TokenKind.EVENT, self._impression_id, self._expires_at_s)
        return f"{self._before}/e/{token}" if name == "impression" else f"{self._before}/e/{token}/{name}"

    def click(self, landing_url: str) -> str:
        """Where a click goes, and from there to the landing page."""
        along, quoted = _along(landing_url)
        token = self._tokens.sign(TokenKind.CLICK, self._impression_id, self._expires_at_s, along=along)
        return f"{self._before}/c/{token}?to={quoted}"


def signed_urls(tokens: Tokens, public_url: str, terms: Terms) -> Callable[[str], SignedUrls]:
    """Addresses below `public_url`, which has no slash at its end, by impression id.

    They hold as long as the ad may be seen and then clicked; the same impression always has the same ones.
    """
    open_ms = terms.unseen_ms + terms.seen_ms

    def urls(impression_id: str) -> SignedUrls:
        expires_at_s = (made_at_ms(int(impression_id[:32], 16)) + open_ms) // 1000 + 1
        return SignedUrls(tokens, public_url, impression_id, expires_at_s)

    return urls


@lru_cache(maxsize=4096)
def _along(landing_url: str) -> tuple[bytes, str]:
    """A landing page as it is signed, and as it stands in a query."""
    return landing_url.encode(), quote(landing_url, safe="")
