"""What is a product, and can this one be taken?"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from common.errors import FieldError, InvalidInput
from common.money import ABSURD_PRICE_MICROS, is_currency

PRODUCTS_AT_ONCE = 1000
MAX_URL = 2048
MAX_ATTRIBUTES = 64
_SHOWN = 60


class Product(msgspec.Struct, frozen=True, gc=False):
    """Something that a shop sells. `price_micros` is millionths of one unit of `currency`; `image_url` may be empty.

    `attributes` is what the click model knows of it: name -> any text, or the decimal form of a number.
    """

    product_id: str
    tenant_id: str
    name: str
    brand: str
    category: str
    price_micros: int
    currency: str
    image_url: str
    landing_url: str
    in_stock: bool
    attributes: dict[str, str]


def check(products: Sequence[Product]) -> None:
    """InvalidInput naming every field of every product that cannot be taken, as `products[3].price_micros`."""
    if not 0 < len(products) <= PRODUCTS_AT_ONCE:
        remedy = f"put 1 to {PRODUCTS_AT_ONCE} products at a time"
        raise InvalidInput([FieldError("products", f"{len(products)} products", remedy)])
    errors: list[FieldError] = []
    first_index: dict[str, int] = {}
    for index, product in enumerate(products):
        path = f"products[{index}]"
        errors += _errors_of(product, path)
        first = first_index.setdefault(product.product_id, index)
        if first != index:
            taken = f"{_shown(product.product_id)} is products[{first}] too"
            errors.append(FieldError(f"{path}.product_id", taken, "name each product once in a request"))
    if errors:
        raise InvalidInput(errors)


def _errors_of(product: Product, path: str) -> list[FieldError]:
    found = [
        _text(f"{path}.product_id", product.product_id, 64),
        _text(f"{path}.name", product.name, 200),
        _text(f"{path}.brand", product.brand, 100),
        _text(f"{path}.category", product.category, 100),
        _url(f"{path}.landing_url", product.landing_url),
        _url(f"{path}.image_url", product.image_url) if product.image_url else None,
    ]
    if not 0 < product.price_micros <= ABSURD_PRICE_MICROS:
        remedy = f"give millionths of one {product.currency[:3] or 'unit'}, 1 to {ABSURD_PRICE_MICROS}"
        found.append(FieldError(f"{path}.price_micros", str(product.price_micros), remedy))
    if not is_currency(product.currency):
        found.append(FieldError(f"{path}.currency", _shown(product.currency), "give an ISO 4217 code such as EUR"))
    if len(product.attributes) > MAX_ATTRIBUTES:
        remedy = f"give at most {MAX_ATTRIBUTES}"
        found.append(FieldError(f"{path}.attributes", f"{len(product.attributes)} attributes", remedy))
    else:
        for name, value in product.attributes.items():
            found.append(_text(f"{path}.attributes", name, 64))
            found.append(_text(f"{path}.attributes[{_shown(name)}]", value, 256))
    return [error for error in found if error]


def _text(field: str, value: str, longest: int) -> FieldError | None:
    if not value.strip():
        return FieldError(field, "empty", f"give 1 to {longest} characters")
    if len(value) > longest:
        return FieldError(field, f"{len(value)} characters", f"give at most {longest}")
    if not value.isprintable():
        return FieldError(field, _shown(value), "take out the control characters")
    return None


def _url(field: str, value: str) -> FieldError | None:
    if len(value) > MAX_URL:
        return FieldError(field, f"{len(value)} characters", f"give at most {MAX_URL}")
    remedy = "give an address such as https://shop.example/shoe"
    if not value:
        return FieldError(field, "empty", remedy)
    if not value.isprintable() or any(sign in value for sign in ' "<>\\'):
        return FieldError(field, _shown(value), "percent-encode spaces, quotes and control characters")
    try:
        parts = urlsplit(value)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return FieldError(field, _shown(value), remedy)
    if parts.scheme not in ("http", "https") or not host:
        return FieldError(field, _shown(value), remedy)
    if parts.username is not None or parts.password is not None:
        return FieldError(field, "an address with a password", "take out the part before the @")
    return None


def _shown(value: str) -> str:
    return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")
