"""Is an outside bidder's markup what it says it is, and how do we hear of its impression?

A banner is HTML of a stranger: it is bounded, and belongs into a sandboxed frame. A video is VAST, or the address of
it; it is read by a parser that expands nothing, and our own addresses are put beside the bidder's. A native ad is JSON.
"""

from __future__ import annotations

import re
from html import escape
from xml.etree.ElementTree import Element, ParseError, tostring

import msgspec
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from common.errors import FieldError
from exchange.campaign_text import checked_url
from exchange.creatives.templates import (
    ERROR_URL_MACRO,
    IMPRESSION_MACRO,
    IMPRESSION_URL_MACRO,
    Template,
    template,
    xml,
)
from exchange.creatives.video import document
from exchange.refusals import Refusal
from exchange.request import Format

HTML_LIMIT_BYTES = 64 * 1024
VAST_LIMIT_BYTES = 64 * 1024
NATIVE_LIMIT_BYTES = 32 * 1024
_LIMITS = {
    Format.BANNER: HTML_LIMIT_BYTES,
    Format.VIDEO: VAST_LIMIT_BYTES,
    Format.NATIVE: NATIVE_LIMIT_BYTES,
    Format.PRODUCT_LISTING: NATIVE_LIMIT_BYTES,
}
# VAST 4.2 §3.8.2.
_DURATION = re.compile(r"<Duration>\s*(\d\d):(\d\d):(\d\d)", re.IGNORECASE)
# A deeper document than this is no VAST, and would only cost us.
_DEEPEST = 24
_MOST_ELEMENTS = 2_000
_VERSION = re.compile(r"[1-4]\.\d(\.\d)?")


# OpenRTB Native 1.2 §7.7: how an event is told.
_SCRIPT = 2
_MACRO = re.compile(r"\$\{[A-Z_]{1,40}(:[A-Za-z0-9]{1,16})?\}")


class _Link(msgspec.Struct):
    url: str = ""
    fallback: str | None = None
    clicktrackers: list[str] | None = None


class _Asset(msgspec.Struct):
    """Of an asset only where it leads: an asset may have a link of its own."""

    link: _Link | None = None


class _Tracker(msgspec.Struct):
    method: int = 0
    url: str | None = None


class _Native(msgspec.Struct):
    """What is read of a native answer; the wrapped form is of before Native 1.1."""

    link: _Link | None = None
    assets: list[_Asset] = []
    jstracker: str | None = None
    eventtrackers: list[_Tracker] | None = None
    imptrackers: list[str] | None = None
    native: _Native | None = None


_NATIVE = msgspec.json.Decoder(_Native)
_OBJECT = msgspec.json.Decoder(dict[str, object])


def duration_in(markup: str) -> int:
    """How long the video of a VAST document is, in seconds; 0 where the document does not say."""
    found = _DURATION.search(markup)
    if found is None:
        return 0
    hours, minutes, seconds = map(int, found.groups())
    return hours * 3600 + minutes * 60 + seconds


def refusal_of_markup(format_: int, markup: str) -> Refusal:
    """Why this markup cannot be shown in this format, or WON (0): MISSING_MARKUP, INVALID_BID when it is malformed or
    too large, CREATIVE_FILTERED when it does what we do not pass on.
    """
    if not markup.strip():
        return Refusal.MISSING_MARKUP
    limit = _LIMITS.get(Format(format_), 0) if format_ in list(Format) else 0
    # A character has at most four bytes, so most markup is not encoded to be measured.
    if len(markup) > limit or (4 * len(markup) > limit and len(markup.encode(errors="surrogatepass")) > limit):
        return Refusal.INVALID_BID
    if format_ == Format.VIDEO:
        return Refusal.WON if _is_address(markup) or _read_vast(markup) is not None else Refusal.INVALID_BID
    if format_ == Format.NATIVE:
        return _refusal_of_native(markup)
    if format_ == Format.PRODUCT_LISTING:
        return Refusal.WON if _is_json_object(markup) else Refusal.INVALID_BID
    return Refusal.WON


def outside_template(format_: int, markup: str) -> Template:
    """The markup of an outside bid that was not refused, with what we want to hear of it; macros of ours work in it."""
    if format_ != Format.VIDEO:
        return template(markup, ampersand=False)
    return template(_wrapper(markup.strip()) if _is_address(markup) else _tracked(markup), ampersand=True)


def framed(markup: str, width: int, height: int) -> str:
    """A frame in which HTML of a stranger may run its scripts and open its links, and reach nothing of the page.

    Without `allow-same-origin` the frame has an origin of its own: no cookies, no storage, no look at the page.
    """
    return (
        f'<iframe sandbox="allow-scripts allow-popups allow-popups-to-escape-sandbox" width="{width}" '
        f'height="{height}" style="border:0" scrolling="no" referrerpolicy="strict-origin" '
        f'srcdoc="{escape(markup, quote=True)}"></iframe>'
    )


def _is_address(markup: str) -> bool:
    errors: list[FieldError] = []
    checked_url("markup", markup, errors, required=True)
    return not errors


def _wrapper(url: str) -> str:
    """A document of ours that sends the player on to the bidder's."""
    return document(
        [
            f'<Ad id="{IMPRESSION_MACRO}"><Wrapper><AdSystem>haat</AdSystem><Error>{ERROR_URL_MACRO}</Error>'
            f"<Impression>{IMPRESSION_URL_MACRO}</Impression><VASTAdTagURI>{xml(url)}</VASTAdTagURI>"
            "</Wrapper></Ad>"
        ]
    )


def _tracked(markup: str) -> str:
    """The bidder's document with our addresses beside its own; only its first ad, which is the one that was sold."""
    root = _read_vast(markup)
    if root is None:
        # Nobody screened it; a player knows what to do with it, and we do not.
        return markup
    ad = next(child for child in root if child.tag == "Ad")
    ad.attrib.pop("sequence", None)
    ad.tail = None
    ad.set("id", IMPRESSION_MACRO)
    for told_of in ad:
        for name, macro in (("Error", ERROR_URL_MACRO), ("Impression", IMPRESSION_URL_MACRO)):
            # Players call all that there are. The schema wants them behind AdSystem, next to others of their kind.
            beside = [at for at, child in enumerate(told_of) if child.tag in (name, "AdSystem")]
            ours = Element(name)
            ours.text = macro
            told_of.insert(beside[-1] + 1 if beside else 0, ours)
    version = root.get("version", "")
    return document([tostring(ad, encoding="unicode")], version if _VERSION.fullmatch(version) else "3.0")


def _read_vast(markup: str) -> Element | None:
    """The document without its namespace, or None when it is not VAST with an ad in it that can be shown."""
    try:
        # Bytes, as text may not name an encoding of its own; surrogates are no XML.
        root: Element = fromstring(markup.strip().encode(), forbid_dtd=True)
    except (ParseError, DefusedXmlException, UnicodeEncodeError, ValueError, LookupError):
        return None
    elements = 0
    level = [root]
    for _ in range(_DEEPEST):
        for element in level:
            if isinstance(element.tag, str):
                element.tag = element.tag.rpartition("}")[2]
        elements += len(level)
        level = [child for element in level for child in element]
        if not level or elements > _MOST_ELEMENTS:
            break
    if level or elements > _MOST_ELEMENTS or root.tag != "VAST":
        return None
    ad = next((child for child in root if child.tag == "Ad"), None)
    if ad is None or len(ad) != 1:
        return None
    if ad[0].tag == "InLine":
        shown = ad[0].find("Creatives/Creative/Linear/MediaFiles/MediaFile")
        return root if shown is not None else None
    goes_on = ad[0].findtext("VASTAdTagURI", "") if ad[0].tag == "Wrapper" else ""
    return root if _is_address(goes_on) else None


def _refusal_of_native(markup: str) -> Refusal:
    try:
        read = _NATIVE.decode(markup)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return Refusal.INVALID_BID
    answer = read.native or read
    if answer.link is None or not answer.assets:
        return Refusal.INVALID_BID
    trackers = answer.eventtrackers or []
    links = [answer.link, *(asset.link for asset in answer.assets if asset.link is not None)]
    addresses = [link.url for link in links]
    for link in links:
        addresses += [address for address in (link.fallback, *(link.clicktrackers or ())) if address]
    addresses += [*(answer.imptrackers or ()), *(tracker.url for tracker in trackers if tracker.url)]
    # Macros stand for ids, numbers and codes.
    if not all(_is_address(_MACRO.sub("0", address)) for address in addresses):
        return Refusal.INVALID_BID
    # A script in a native ad runs within the shop's page.
    scripts = answer.jstracker or read.jstracker or any(tracker.method == _SCRIPT for tracker in trackers)
    return Refusal.CREATIVE_FILTERED if scripts else Refusal.WON


def _is_json_object(markup: str) -> bool:
    try:
        _OBJECT.decode(markup)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False
    return True
