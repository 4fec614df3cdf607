"""Who bids from another process, and under which terms? The operator's list, from tables of the TOML file or from text.

A reader raises ValueError whose message is the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from app.setting_values import currency, milliseconds, share, whole
from exchange.bidder_terms import BidderTerms, Pretargeting
from exchange.request import Format

MOST_BIDDERS: Final = 64
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_GRPC_TARGET = re.compile(r"(unix:\S{1,100}|\[[0-9A-Fa-f:.]{2,45}\]:\d{1,5}|[A-Za-z0-9._-]{1,253}:\d{1,5})")
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
_COUNTRY = re.compile(r"[A-Z]{2}")
_DEVICES: Final = {"phone": 1, "tablet": 2, "desktop": 3, "tv": 4}
_MOST_WORDS: Final = 1_000


class OutsideBidder(msgspec.Struct, frozen=True):
    """A bidder in another process.

    `target` is `host:port` for gRPC, or the URL of its OpenRTB endpoint. `currency` empty is the exchange's own;
    `timeout_ms` 0 is all the time that the page view has left. `sync_url` is where browsers are sent so that the bidder
    knows them again, with the macros of Prebid Server (`{{.RedirectURL}}` and others); `sync_frame` opens it in an
    iframe, not as a picture.
    """

    name: str
    target: str
    currency: str = ""
    timeout_ms: int = 0
    terms: BidderTerms = BidderTerms()
    sync_url: str = ""
    sync_frame: bool = False

    @property
    def speaks_openrtb(self) -> bool:
        """Is it asked by OpenRTB over HTTP, not by gRPC?"""
        return self.target.startswith(("http://", "https://"))


def outside_bidders(raw: object) -> tuple[OutsideBidder, ...]:
    """Bidders from tables, or from text `name=TARGET[,CURRENCY[,TIMEOUT]]`, several with `;`."""
    if isinstance(raw, str):
        raw = [entry for entry in raw.split(";") if entry.strip()]
    if not isinstance(raw, (list, tuple)):
        raise ValueError("give a list of tables with name, target and what else the reference lists")
    if len(raw) > MOST_BIDDERS:
        raise ValueError(f"give at most {MOST_BIDDERS} bidders")
    found = tuple(_of_text(entry) if isinstance(entry, str) else _of_table(entry) for entry in raw)
    names = [bidder.name for bidder in found]
    if len(set(names)) != len(names):
        raise ValueError("give each bidder a name of its own")
    return found


def _of_text(text: str) -> OutsideBidder:
    name, has_target, rest = text.strip().partition("=")
    parts = [part.strip() for part in rest.split(",")]
    if not has_target or len(parts) > 3:
        raise ValueError("write name=TARGET[,CURRENCY[,TIMEOUT]], such as acme=127.0.0.1:6001,EUR,20ms")
    table: dict[str, object] = {"name": name.strip(), "target": parts[0]}
    table |= dict(zip(("currency", "timeout_ms"), parts[1:], strict=False))
    return _of_table(table)


def _of_table(table: object) -> OutsideBidder:
    if not isinstance(table, Mapping):
        raise ValueError("give a table with name, target and what else the reference lists")
    _only(
        table,
        {"name", "target", "currency", "timeout_ms", "sync_url", "sync_frame", "pretargeting", *_TERMS},
        "a bidder",
    )
    name, target = table.get("name"), table.get("target")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError("give each bidder a name of a-z, 0-9, _ and -, at most 32 characters")
    if not isinstance(target, str) or not (_GRPC_TARGET.fullmatch(target) or _is_url(target)):
        raise ValueError(f"give bidder {name} a target such as 127.0.0.1:6001 or https://bid.example/openrtb2")
    sync_url = table.get("sync_url") or ""
    if not isinstance(sync_url, str) or (sync_url and not _is_url(sync_url)):
        raise ValueError(f"give bidder {name} a sync_url that is http or https, or none")
    terms: dict[str, Any] = {key: read(table[key]) for key, read in _TERMS.items() if key in table}
    code = table.get("currency") or ""
    return OutsideBidder(
        name=name,
        target=target,
        currency=currency(code) if code else "",
        timeout_ms=milliseconds(0, 10_000)(table.get("timeout_ms") or 0),
        terms=BidderTerms(pretargeting=_pretargeting(table.get("pretargeting") or {}), **terms),
        sync_url=sync_url,
        sync_frame=_flag(table.get("sync_frame", False)),
    )


def _pretargeting(table: object) -> Pretargeting:
    if not isinstance(table, Mapping):
        raise ValueError("give pretargeting as a table")
    _only(table, {*_WANTS, "needs_visitor"}, "pretargeting")
    wants: dict[str, Any] = {
        key: frozenset(map(read, _words(table[key]))) for key, read in _WANTS.items() if key in table
    }
    return Pretargeting(needs_visitor=_flag(table.get("needs_visitor", False)), **wants)


def _only(table: Mapping[Any, Any], known: set[str], what: str) -> None:
    if unknown := sorted(str(key) for key in set(table) - known):
        raise ValueError(f"{what} has {', '.join(sorted(known))}; it has no {unknown[0][:40]!r}")


def _is_url(text: str) -> bool:
    if len(text) > 2_048 or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        return False


def _words(raw: object) -> list[str]:
    words = [raw] if isinstance(raw, str) else raw
    if not isinstance(words, (list, tuple)) or len(words) > _MOST_WORDS:
        raise ValueError(f"give a list of at most {_MOST_WORDS} words")
    for word in words:
        if not isinstance(word, str) or not 0 < len(word) <= 128:
            raise ValueError("give words of 1 to 128 characters")
    return list(words)


def _flag(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise ValueError("give true or false")
    return raw


def _format(word: str) -> int:
    try:
        return int(Format[word.strip().upper()])
    except KeyError:
        raise ValueError("give formats as " + ", ".join(kind.name.lower() for kind in Format)) from None


def _device(word: str) -> int:
    if word not in _DEVICES:
        raise ValueError("give devices as " + ", ".join(_DEVICES))
    return _DEVICES[word]


def _size(word: str) -> tuple[int, int]:
    found = _SIZE.fullmatch(word)
    if found is None:
        raise ValueError("give sizes as 300x250")
    return int(found[1]), int(found[2])


def _country(word: str) -> str:
    if not _COUNTRY.fullmatch(word):
        raise ValueError("give countries as ISO 3166-1 alpha-2, such as DE")
    return word


_TERMS: Final[dict[str, Callable[[object], Any]]] = {
    "bid_cap_micros": whole(0, 10**15),
    "page_views_per_s": whole(0, 10**7),
    "most_in_flight": whole(1, 10_000),
    "least_share": share(0.001, 1.0),
    "seats": lambda raw: tuple(_words(raw)),
    "vendor_id": whole(0, 65_535),
}
_WANTS: Final[dict[str, Callable[[str], Any]]] = {
    "formats": _format,
    "sizes": _size,
    "countries": _country,
    "devices": _device,
    "publishers": str,
    "categories": str.lower,
}
