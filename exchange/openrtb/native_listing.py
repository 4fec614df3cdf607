"""How does a product listing look where a native ad was asked for? As the assets by number, of Native 1.2 §5."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from exchange.openrtb.codec import to_json
from exchange.request import NativeTerms

_SPONSORED, _DESCRIPTION, _PRICE, _DOMAIN, _CALL, _PRODUCT = 1, 2, 6, 11, 12, 13
_ICON: Final = 1


def as_native(listing: str, terms: NativeTerms) -> str:
    """The listing's markup (JSON of our own) as a native answer; unchanged when it is something else already."""
    try:
        facts = msgspec.json.decode(listing)
    except msgspec.MsgspecError:
        return listing
    if type(facts) is not dict or "landing_url" not in facts or "assets" in facts:
        return listing
    assets = [asset for asked in terms.assets if (asset := _asset(asked, facts)) is not None]
    answer = {"ver": "1.2", "assets": assets, "link": {"url": facts["landing_url"]}}
    return to_json(answer).decode()


def _asset(asked: tuple[int, str, int, bool, int, int, int], facts: dict[str, Any]) -> dict[str, Any] | None:
    number, kind, type_, _, limit, *_ = asked
    if kind == "title":
        return {"id": number, "title": {"text": str(facts.get("title", ""))[: limit or None]}}
    if kind == "img" and type_ != _ICON and facts.get("image_url"):
        return {"id": number, "img": {"url": facts["image_url"], **({"type": type_} if type_ else {})}}
    if kind == "data":
        text = {
            _SPONSORED: facts.get("sponsored_by"),
            _DESCRIPTION: facts.get("body") or facts.get("title"),
            _PRICE: facts.get("price_text"),
            _CALL: facts.get("call_to_action"),
            _DOMAIN: facts.get("sponsored_by"),
            _PRODUCT: facts.get("product_id"),
        }.get(type_)
        if text:
            return {"id": number, "data": {"value": str(text)[: limit or None], "type": type_}}
    return None
