"""How does an OpenRTB 2.5 or 2.6 bid request become a page view?

A log of bid requests has no session, no time and no outcome: the session is a hash of the user and the page, and the
page is viewed when it is replayed. Floors are per thousand impressions as ours; they round up.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from itertools import chain
from pathlib import Path
from typing import Any

from common.countries import alpha_2
from common.money import ABSURD_PRICE_MICROS, MICROS, is_currency
from loadgen.readers.consent_string import granted_purposes
from loadgen.readers.fields import (
    ALL_PURPOSES,
    MAX_BLOCKED,
    MAX_DOMAIN_CHARS,
    MAX_ID_CHARS,
    MAX_URL_CHARS,
    MAX_WORD_CHARS,
    flag,
    items,
    of,
    text,
    texts,
    whole,
)
from loadgen.readers.lines import JsonLines
from loadgen.views import BadLine, LoggedView, stable_hash
from protos.common_pb2 import (
    DEVICE_TYPE_DESKTOP,
    DEVICE_TYPE_PHONE,
    DEVICE_TYPE_TABLET,
    DEVICE_TYPE_TV,
    DEVICE_TYPE_UNSPECIFIED,
    Consent,
    Device,
    DeviceType,
    Page,
    Visitor,
)
from protos.exchange_pb2 import (
    FORMAT_BANNER,
    FORMAT_PRODUCT_LISTING,
    FORMAT_VIDEO,
    PRICE_RULE_FIRST_PRICE,
    PRICE_RULE_SECOND_PRICE,
    PRICE_RULE_UNSPECIFIED,
    Format,
    PageView,
    Placement,
    PriceRule,
    Size,
)

MAX_PLACEMENTS = 32
_MAX_SIZES = 16
_MAX_SIDE_PX = 10_000
_MAX_TMAX_MS = 10_000

# AdCOM 1.0, List: Device Types.
_DEVICES: dict[int, DeviceType.ValueType] = {
    1: DEVICE_TYPE_PHONE,
    2: DEVICE_TYPE_DESKTOP,
    3: DEVICE_TYPE_TV,
    4: DEVICE_TYPE_PHONE,
    5: DEVICE_TYPE_TABLET,
    6: DEVICE_TYPE_TV,
    7: DEVICE_TYPE_TV,
}
_PRICE_RULES: dict[int, PriceRule.ValueType] = {1: PRICE_RULE_FIRST_PRICE, 2: PRICE_RULE_SECOND_PRICE}


def read(path: Path, *, currency: str = "") -> JsonLines:
    """A reader of bid requests, one JSON object a line; `currency` as in `page_view_of`."""
    return JsonLines(path, lambda request: LoggedView(page_view_of(request, currency=currency)))


def page_view_of(request: dict[str, Any], *, currency: str = "") -> PageView:
    """The page view of one bid request; BadLine names what cannot be taken.

    With `currency` given, floors in other currencies are taken at par: a log has no rates.
    """
    request_id = text(of(request, "id"), MAX_ID_CHARS)
    if not request_id:
        raise BadLine("id: missing, OpenRTB asks for one")
    placements, floor_currency = _placements(request)
    site, device, user = of(request, "site") or of(request, "app"), of(request, "device"), of(request, "user")
    visitor_id = _visitor_id(user)
    url = text(of(site, "page") or of(site, "storeurl"), MAX_URL_CHARS)
    return PageView(
        request_id=request_id,
        session_id=stable_hash("session", visitor_id or request_id, url),
        visitor=Visitor(visitor_id=visitor_id, segments=_segments(user)),
        consent=_consent(of(request, "regs"), user),
        page=Page(url=url, categories=_categories(site), keywords=_keywords(site)),
        device=_device(device, user),
        placements=placements,
        currency=currency or floor_currency,
        price_rule=_PRICE_RULES.get(whole(of(request, "at")), PRICE_RULE_UNSPECIFIED),
        tmax_ms=min(max(whole(of(request, "tmax")), 0), _MAX_TMAX_MS),
    )


def _placements(request: dict[str, Any]) -> tuple[list[Placement], str]:
    """The placements and the currency of their floors (empty when none has a floor)."""
    imps = of(request, "imp")
    if not isinstance(imps, list) or not imps:
        raise BadLine("imp: missing, a bid request offers at least one impression")
    if len(imps) > MAX_PLACEMENTS:
        raise BadLine(f"imp: {len(imps)} impressions, the exchange takes {MAX_PLACEMENTS} on a page")
    categories = texts(items(of(request, "bcat")), MAX_DOMAIN_CHARS, MAX_BLOCKED)
    advertisers = texts(items(of(request, "badv")), MAX_DOMAIN_CHARS, MAX_BLOCKED)
    placements: list[Placement] = []
    floor_currency = ""
    for index, imp in enumerate(imps):
        formats, sizes = _shapes(imp)
        if not formats:
            continue
        placement_id = text(of(imp, "id"), MAX_ID_CHARS) or str(index + 1)
        if any(placement.placement_id == placement_id for placement in placements):
            raise BadLine(f"imp[{index}].id: {placement_id[:20]!r} is given twice")
        floor_micros = _floor_micros(of(imp, "bidfloor"), index)
        if floor_micros:
            said = of(imp, "bidfloorcur") or "USD"
            if not isinstance(said, str) or not is_currency(said) or floor_currency not in ("", said):
                raise BadLine(
                    f"imp[{index}].bidfloorcur: {str(said)[:10]!r}, expected one ISO 4217 code for all floors"
                )
            floor_currency = said
        placements.append(
            Placement(
                placement_id=placement_id,
                formats=formats,
                sizes=sizes,
                floor_micros=floor_micros,
                blocked_categories=categories,
                blocked_advertisers=advertisers,
            )
        )
    if not placements:
        raise BadLine("imp: none offers a banner, a video or a native ad with a size that can be used")
    return placements, floor_currency


def _shapes(imp: Any) -> tuple[list[Format.ValueType], list[Size]]:
    banner, video = of(imp, "banner"), of(imp, "video")
    formats: list[Format.ValueType] = []
    sizes: dict[tuple[int, int], None] = {}
    if isinstance(banner, dict):
        found = [pair for one in items(banner.get("format")) if (pair := _size(one))]
        if not found and (pair := _size(banner)):
            found = [pair]
        if found:
            formats.append(FORMAT_BANNER)
            sizes.update(dict.fromkeys(found))
    if isinstance(video, dict) and (pair := _size(video)):
        formats.append(FORMAT_VIDEO)
        sizes[pair] = None
    if isinstance(of(imp, "native"), dict):
        formats.append(FORMAT_PRODUCT_LISTING)
    return formats, [Size(width=width, height=height) for width, height in list(sizes)[:_MAX_SIZES]]


def _size(of_what: Any) -> tuple[int, int] | None:
    width, height = whole(of(of_what, "w")), whole(of(of_what, "h"))
    return (width, height) if 0 < width <= _MAX_SIDE_PX and 0 < height <= _MAX_SIDE_PX else None


def _floor_micros(floor: Any, index: int) -> int:
    if floor is None:
        return 0
    if (
        isinstance(floor, bool)
        or not isinstance(floor, int | Decimal)
        or not 0 <= floor <= ABSURD_PRICE_MICROS // MICROS
    ):
        raise BadLine(f"imp[{index}].bidfloor: {str(floor)[:20]!r}, expected a price from 0 to 1,000,000")
    return int((Decimal(floor) * MICROS).to_integral_value(ROUND_CEILING))


def _visitor_id(user: Any) -> str:
    said = text(of(user, "id") or of(user, "buyeruid"), 4 * MAX_ID_CHARS)
    return said if len(said) <= MAX_ID_CHARS else stable_hash("visitor", said)


def _segments(user: Any) -> list[str]:
    found = (
        f"{text(of(data, 'name') or of(data, 'id'), 30)}={text(of(segment, 'value') or of(segment, 'id'), 30)}"
        for data in items(of(user, "data"))
        for segment in items(of(data, "segment"))
    )
    return texts((said for said in found if not said.startswith("=") and not said.endswith("=")), MAX_WORD_CHARS, 32)


def _consent(regs: Any, user: Any) -> Consent:
    """What the signals allow. Under GDPR only what a TCF v2 string grants; elsewhere all that is not opted out of."""
    ext = of(regs, "ext")
    under_gdpr = flag(of(regs, "gdpr")) or flag(of(ext, "gdpr"))
    consent_string = of(user, "consent") or of(of(user, "ext"), "consent")
    granted = granted_purposes(consent_string) if isinstance(consent_string, str) else []
    us_privacy = of(regs, "us_privacy") or of(ext, "us_privacy")
    opted_out = isinstance(us_privacy, str) and len(us_privacy) == 4 and us_privacy[2] in "Yy"
    return Consent(
        granted=granted if under_gdpr else ALL_PURPOSES,
        global_privacy_control=flag(of(regs, "gpc")) or flag(of(ext, "gpc")) or opted_out,
        child_directed=flag(of(regs, "coppa")),
    )


def _categories(site: Any) -> list[str]:
    lists = (items(of(site, name)) for name in ("cat", "sectioncat", "pagecat"))
    content = items(of(of(site, "content"), "cat"))
    return texts(chain(*lists, content), MAX_WORD_CHARS, 32)


def _keywords(site: Any) -> list[str]:
    said = of(site, "keywords")
    words = said[:10_000].split(",") if isinstance(said, str) else []
    both = chain(words, items(of(site, "kwarray")))
    return texts((word.lower() for word in both if isinstance(word, str)), MAX_WORD_CHARS, 64)


def _device(device: Any, user: Any) -> Device:
    geo = of(device, "geo") or of(user, "geo")
    return Device(
        type=_DEVICES.get(whole(of(device, "devicetype")), DEVICE_TYPE_UNSPECIFIED),
        country=alpha_2(of(geo, "country")),
        region=text(of(geo, "region"), MAX_WORD_CHARS),
        language=text(of(device, "language") or of(device, "langb"), MAX_WORD_CHARS),
    )
