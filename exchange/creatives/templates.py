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
from html import escape as _escape_html
from typing import Final, Protocol
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


class Urls(Protocol):
    """Where is heard what becomes of ads. An address is the same for every impression but for a token within it: one
    token for all events of an impression, one for its click.

    An address is an absolute URL in ASCII without quotes, angle brackets, backslashes, spaces and control characters;
    a token holds nothing that is escaped anywhere.
    """

    def event(self, name: str) -> tuple[str, str]:
        """What stands before and behind the token where the event is told; one of EVENTS, `click` without going
        anywhere from there.
        """

    def click(self, landing_url: str) -> tuple[str, str]:
        """The same for the address of a click, which is counted and leads on to the landing page."""

    def tokens(self, impression_id: str, landing_url: str) -> tuple[str, str]:
        """The token of one impression's events, and the token of its click."""


class EventUrls:
    """The addresses of one impression."""

    __slots__ = ("_impression_id", "_urls")

    def __init__(self, urls: Urls, impression_id: str) -> None:
        self._urls = urls
        self._impression_id = impression_id

    def event(self, name: str) -> str:
        """Where to tell that the event happened."""
        return self._urls.tokens(self._impression_id, "")[0].join(self._urls.event(name))

    def click(self, landing_url: str) -> str:
        """Where a click goes, and from there to the landing page."""
        return self._urls.tokens(self._impression_id, landing_url)[1].join(self._urls.click(landing_url))


class PlainUrls:
    """Urls without a signature, below an address without a slash at its end: `/e/<event>/<impression_id>`, a click
    with `?to=<landing page>`.
    """

    def __init__(self, public_url: str) -> None:
        self._before = f"{public_url}/e/"

    def event(self, name: str) -> tuple[str, str]:
        """As Urls."""
        return f"{self._before}{name}/", ""

    def click(self, landing_url: str) -> tuple[str, str]:
        """As Urls."""
        return f"{self._before}click/", f"?to={quote(landing_url, safe='')}"

    def tokens(self, impression_id: str, _landing_url: str) -> tuple[str, str]:
        """As Urls: the id itself."""
        return impression_id, impression_id


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

    def form(self, urls: Urls, landing_url: str) -> Form:
        """All of it but what differs by impression."""
        holes: dict[int, tuple[str, int, str]] = dict.fromkeys(self.ids, ("", _ID, ""))
        for at, name in self.events:
            before, behind = urls.event(name)
            holes[at] = before, _EVENT_TOKEN, behind
        for at in self.clicks:
            before, behind = urls.click(landing_url)
            holes[at] = before, _CLICK_TOKEN, behind
        for at in self.errors:
            before, behind = urls.event("error")
            holes[at] = before, _EVENT_TOKEN, f"{behind}{'&' if '?' in before + behind else '?'}code=[ERRORCODE]"
        texts, kinds = [self.parts[0]], []
        for at in range(1, len(self.parts), 2):
            before, kind, behind = holes[at]
            if self.ampersand:
                before, behind = before.replace("&", "&amp;"), behind.replace("&", "&amp;")
            kinds.append(kind)
            texts[-1] += before
            texts.append(behind + self.parts[at + 1])
        parts = [""] * (2 * len(texts) - 1)
        parts[::2] = texts
        return Form(tuple(parts), tuple(kinds), landing_url)


_ID: Final = 0
_EVENT_TOKEN: Final = 1
_CLICK_TOKEN: Final = 2


class Form(msgspec.Struct, frozen=True, gc=False):
    """A markup with holes: every other one of `parts` is a hole, for what `kinds` says: an impression's id, the token
    of its events or of its click.
    """

    parts: tuple[str, ...]
    kinds: tuple[int, ...]
    landing_url: str

    def fill(self, impression_id: str, urls: Urls) -> str:
        """The markup of one impression."""
        kinds = self.kinds
        # A markup without any hole says nothing of its impression, and nobody signs for it.
        values = (impression_id, *urls.tokens(impression_id, self.landing_url)) if kinds else ()
        parts = list(self.parts)
        parts[1::2] = [values[kind] for kind in kinds]
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
