"""Which addresses come with a bid? The film's for a video, and where to say that the ad was shown."""

from __future__ import annotations

from collections.abc import Mapping

from exchange.answer import Ad
from exchange.creatives.markup_store import vast_url
from exchange.creatives.templates import EventUrls, Urls
from exchange.request import Format

# Formats whose markup tells us of the impression also when an outside bidder wrote it: we put our address into VAST.
_TRACKED = (Format.VIDEO,)


class BidLinks:
    """nurl, burl of ads, as OpenRTB 2.6 §4.2.3 names them.

    A video's `nurl` gives its VAST document at an address, as header bidders want it. `burl` is the address that the
    impression's own pixel calls, so it bills the same impression and bills it once, whichever of the two comes first
    and however often: browsers call both. A server that sells on would call it as the program it is, and that counts
    as no impression; so it is given where a browser asked, and where the markup is a stranger's and nothing in it
    would tell us.
    """

    def __init__(self, urls: Urls, public_url: str) -> None:
        self._urls = urls
        self._public_url = public_url

    def __call__(self, ad: Ad, from_browser: bool) -> Mapping[str, str]:
        """The addresses of this ad; those that there are."""
        links: dict[str, str] = {}
        if ad.facts.format == Format.VIDEO:
            links["nurl"] = vast_url(self._public_url, ad.impression_id)
        outside = not ad.facts.line_item_id
        if from_browser or (outside and ad.facts.format not in _TRACKED):
            links["burl"] = EventUrls(self._urls, ad.impression_id).event("impression")
        return links
