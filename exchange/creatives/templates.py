"""What stays open in a markup until its impression is known? Its id and the addresses that hear what becomes of it.

A markup is written once with macros in it and cut at them; for each impression the pieces are joined again. Macros:

- `${IMPRESSION_ID}`: plain hexadecimal digits, a dot and digits
- `${HAAT_IMPRESSION_URL}`: to be called when the ad is shown
- `${HAAT_EVENT_URL:start}`: to be called when that event of EVENTS happens
- `${HAAT_ERROR_URL}`: the same for a video's error, with VAST's macro [ERRORCODE] in it
- `${HAAT_CLICK_URL}`: leads to the landing page, and counts the click
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from html import escape as _escape_html
from typing import Protocol
from urllib.parse import quote

import msgspec

IMPRESSION_MACRO = "${IMPRESSION_ID}"
IMPRESSION_URL_MACRO = "${HAAT_IMPRESSION_URL}"
CLICK_URL_MACRO = "${HAAT_CLICK_URL}"
ERROR_URL_MACRO = "${HAAT_ERROR_URL}"

# What a creative can tell of, in the words of VAST 4.2 §3.14 for video.
EVENTS = (
    *("impression", "viewable", "click", "loaded", "start", "firstQuartile", "midpoint", "thirdQuartile", "complete"),
    *("skip", "error"),
)

_MACRO = re.compile(
    r"\$\{(IMPRESSION_ID|HAAT_IMPRESSION_URL|HAAT_CLICK_URL|HAAT_ERROR_URL|HAAT_EVENT_URL:[A-Za-z]{1,32})\}"
)
# What neither XML 1.0 nor HTML can hold, however it is escaped.
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_EVENT = "HAAT_EVENT_URL:"
# Stands for a dollar sign of an advertiser until the JSON around it is written; no text may hold it.
_DOLLAR = "\ue000"


class EventUrls(Protocol):
    """The addresses that hear of one impression; each is made when it is asked for.

    An address is an absolute URL in ASCII without quotes, angle brackets, backslashes, spaces and control characters.
    """

    def event(self, name: str) -> str:
        """Where to tell that the event happened; one of EVENTS, `click` without going anywhere from there."""

    def click(self, landing_url: str) -> str:
        """Where a click goes: it is counted, and leads on to the landing page."""


UrlsOf = Callable[[str], EventUrls]


class PlainUrls:
    """EventUrls without a signature: `<before><event>/<impression_id>`, a click with `?to=<landing page>`."""

    __slots__ = ("_before", "_impression_id")

    def __init__(self, before: str, impression_id: str) -> None:
        self._before = before
        self._impression_id = impression_id

    def event(self, name: str) -> str:
        """As EventUrls."""
        return f"{self._before}{name}/{self._impression_id}"

    def click(self, landing_url: str) -> str:
        """As EventUrls."""
        return f"{self._before}click/{self._impression_id}?to={_quoted(landing_url)}"


def plain_urls(public_url: str) -> UrlsOf:
    """Unsigned addresses below `public_url`, which has no slash at its end."""
    before = f"{public_url}/e/"

    def urls(impression_id: str) -> EventUrls:
        return PlainUrls(before, impression_id)

    return urls


def event_macro(event: str) -> str:
    """The macro of one of EVENTS."""
    assert event in EVENTS, event
    return f"${{{_EVENT}{event}}}"


class Template(msgspec.Struct, frozen=True, gc=False):
    """A markup cut at its macros: `parts` has the text and, at every other place, the name of a macro.

    Where they go: `ids` for the impression's id, `clicks`, `errors`, and `events` with the event's name. With
    `ampersand` addresses stand in HTML or XML, where their `&` is written `&amp;`.
    """

    parts: tuple[str, ...]
    ids: tuple[int, ...]
    events: tuple[tuple[int, str], ...]
    clicks: tuple[int, ...]
    errors: tuple[int, ...]
    ampersand: bool

    @property
    def text(self) -> str:
        """The markup with its macros."""
        return "".join(f"${{{part}}}" if at % 2 else part for at, part in enumerate(self.parts))

    def fill(self, impression_id: str, urls: EventUrls, landing_url: str) -> str:
        """The markup of one impression."""
        parts = list(self.parts)
        for at in self.ids:
            parts[at] = impression_id
        event = urls.event
        for at, name in self.events:
            parts[at] = event(name)
        for at in self.clicks:
            parts[at] = urls.click(landing_url)
        for at in self.errors:
            url = event("error")
            parts[at] = f"{url}{'&' if '?' in url else '?'}code=[ERRORCODE]"
        # Most addresses have no ampersand, and one look at them together finds that out.
        if self.ampersand and "&" in "".join(parts[1::2]):
            parts[1::2] = [part.replace("&", "&amp;") for part in parts[1::2]]
        return "".join(parts)


def template(text: str, *, ampersand: bool) -> Template:
    """Cut a markup at its macros; what is not a macro of ours stays as it is."""
    parts = _MACRO.split(text)
    macros = [(at, parts[at]) for at in range(1, len(parts), 2)]
    events = [(at, macro[len(_EVENT) :]) for at, macro in macros if macro.startswith(_EVENT)]
    events += [(at, "impression") for at, macro in macros if macro == "HAAT_IMPRESSION_URL"]
    return Template(
        parts=tuple(parts),
        ids=tuple(at for at, macro in macros if macro == "IMPRESSION_ID"),
        events=tuple(events),
        clicks=tuple(at for at, macro in macros if macro == "HAAT_CLICK_URL"),
        errors=tuple(at for at, macro in macros if macro == "HAAT_ERROR_URL"),
        ampersand=ampersand,
    )


def html(text: str) -> str:
    """What an advertiser wrote, within HTML text or a quoted attribute; it can be no macro of ours either."""
    return _escape_html(_written(text), quote=True).replace("${", "&#36;{")


# XML knows the same five characters and numbers for the rest.
xml = html


def json_text(text: str) -> str:
    """What an advertiser wrote, within a value that goes through `json_template`."""
    return _written(text).replace("$", _DOLLAR)


def json_template(value: object) -> Template:
    """A JSON value whose texts are macros or came through `json_text`; harmless within HTML too."""
    text = msgspec.json.encode(value).decode().replace(_DOLLAR, "\\u0024")
    for character in "<>&'\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return template(text, ampersand=False)


def _written(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)


@lru_cache(maxsize=4096)
def _quoted(url: str) -> str:
    return quote(url, safe="")
