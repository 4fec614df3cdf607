"""How does a request of the 2012 log (Datacratic's, published with rtbkit) become a page view?

Each request offers one spot without a floor. The log tells neither consent nor session: a session is a hash of the
user and the page's host, and a seeded share of the users (80 % unless told otherwise) grants every purpose while the
others grant none. Requests without a user id are nobody's: they grant none.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from common.countries import alpha_2
from loadgen.readers.fields import (
    ALL_PURPOSES,
    MAX_BLOCKED,
    MAX_DOMAIN_CHARS,
    MAX_ID_CHARS,
    MAX_URL_CHARS,
    MAX_WORD_CHARS,
    items,
    of,
    text,
    texts,
    whole,
)
from loadgen.readers.lines import JsonLines
from loadgen.views import BadLine, LoggedView, draw, stable_hash
from protos.common_pb2 import (
    DEVICE_TYPE_DESKTOP,
    DEVICE_TYPE_PHONE,
    DEVICE_TYPE_TABLET,
    DEVICE_TYPE_UNSPECIFIED,
    Consent,
    Device,
    DeviceType,
    Page,
    Visitor,
)
from protos.exchange_pb2 import FORMAT_BANNER, PageView, Placement, Size

_SIZE = re.compile(r"([1-9][0-9]{0,3})x([1-9][0-9]{0,3})")
_DOMAIN = re.compile(r"(?:[a-z0-9_-]+\.)+[a-z][a-z0-9-]*")
_MAX_SPOTS = 32
_LATEST_S = 4_102_444_800


def read(path: Path, *, seed: int = 1, consent_share: float = 0.8) -> JsonLines:
    """A reader of the log, one JSON object a line."""
    return JsonLines(path, lambda request: LoggedView(page_view_of(request, seed=seed, consent_share=consent_share)))


def page_view_of(request: dict[str, Any], *, seed: int = 1, consent_share: float = 0.8) -> PageView:
    """The page view of one request; BadLine names what cannot be taken."""
    request_id = text(of(request, "id"), MAX_ID_CHARS)
    if not request_id:
        raise BadLine("id: missing")
    visitor_id = text(of(of(request, "userIds"), "xchg"), MAX_ID_CHARS)
    url = text(of(request, "url"), MAX_URL_CHARS)
    agrees = bool(visitor_id) and draw(seed, "consent", visitor_id) < consent_share
    location = of(request, "location")
    verticals = _verticals(of(of(request, "segments"), "adxVerticals"))
    return PageView(
        request_id=request_id,
        session_id=stable_hash("session", visitor_id or request_id, _host(url)),
        visitor=Visitor(visitor_id=visitor_id),
        consent=Consent(granted=ALL_PURPOSES if agrees else ()),
        page=Page(url=url, categories=verticals),
        device=Device(
            type=device_type_of(of(request, "userAgent")),
            country=alpha_2(of(location, "countryCode")),
            region=text(of(location, "regionCode"), MAX_WORD_CHARS),
            language=text(of(request, "language"), MAX_WORD_CHARS),
        ),
        placements=_placements(request),
        viewed_at_ms=_viewed_at_ms(of(request, "timestamp")),
    )


def device_type_of(user_agent: Any) -> DeviceType.ValueType:
    """The device by the words of its user agent."""
    if not isinstance(user_agent, str) or not user_agent:
        return DEVICE_TYPE_UNSPECIFIED
    # Windows laptops of the time say "Tablet PC" and are none.
    said = user_agent.replace("Tablet PC", "")
    if any(word in said for word in ("iPad", "Tablet", "Kindle")) or ("Android" in said and "Mobile" not in said):
        return DEVICE_TYPE_TABLET
    phones = ("iPhone", "iPod", "Mobile", "BlackBerry", "Windows Phone", "Opera Mini", "Symbian")
    return DEVICE_TYPE_PHONE if any(word in user_agent for word in phones) else DEVICE_TYPE_DESKTOP


def _placements(request: dict[str, Any]) -> list[Placement]:
    spots = of(request, "spots")
    if not isinstance(spots, list) or not 1 <= len(spots) <= _MAX_SPOTS:
        raise BadLine(f"spots: expected 1 to {_MAX_SPOTS} of them")
    restrictions = of(request, "restrictions")
    # The lists hold more than domains: notes of traffickers, paths. What is no domain cannot be an advertiser's.
    urls = (said.lower().split("/", 1)[0] for said in items(of(restrictions, "clickUrl")) if isinstance(said, str))
    advertisers = texts((host for host in urls if _DOMAIN.fullmatch(host)), MAX_DOMAIN_CHARS, MAX_BLOCKED)
    categories = [
        *(f"adx-sensitive-{code}" for code in items(of(restrictions, "sensitiveCategoryAttribute")) if whole(code)),
        *(f"adx-{code}" for code in items(of(restrictions, "vertical")) if whole(code)),
    ]
    placements: dict[str, Placement] = {}
    for index, spot in enumerate(spots):
        sizes = [match for said in items(of(spot, "formats")) if (match := _SIZE.fullmatch(str(said)[:20]))]
        if not sizes:
            raise BadLine(f"spots[{index}].formats: {str(of(spot, 'formats'))[:40]!r}, expected sizes such as 300x250")
        placement_id = text(of(spot, "id"), MAX_ID_CHARS) or str(index + 1)
        placements[placement_id] = Placement(
            placement_id=placement_id,
            formats=[FORMAT_BANNER],
            sizes=[Size(width=int(match[1]), height=int(match[2])) for match in sizes[:16]],
            blocked_categories=categories[:MAX_BLOCKED],
            blocked_advertisers=advertisers,
            position=index + 1,
        )
    if len(placements) < len(spots):
        raise BadLine("spots: an id is given twice")
    return list(placements.values())


def _verticals(listed: Any) -> list[str]:
    """AdX verticals as categories, the heaviest first; the log has them as numbers or as [number, weight]."""
    weighed: list[tuple[Decimal, int]] = []
    for entry in items(listed):
        pair = entry if isinstance(entry, list) and len(entry) == 2 else (entry, 0)
        weight = pair[1] if isinstance(pair[1], int | Decimal) else 0
        if whole(pair[0]):
            weighed.append((Decimal(weight), pair[0]))
    weighed.sort(key=lambda pair: (-pair[0], pair[1]))
    return [f"adx-{number}" for _, number in weighed[:32]]


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _viewed_at_ms(timestamp: Any) -> int:
    if isinstance(timestamp, bool) or not isinstance(timestamp, int | Decimal) or not 0 < timestamp < _LATEST_S:
        raise BadLine(f"timestamp: {str(timestamp)[:20]!r}, expected seconds since 1970")
    return int(timestamp * 1000)
