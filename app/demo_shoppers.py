"""Whose taste do the demo's shoppers have? That of the log's visitors, or of the customers of a shop's real orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import FieldError, InvalidInput
from feed.recommender.histories import Histories
from feed.recommender.log import Log
from loadgen.readers.open_bandit import OpenBanditLog
from loadgen.shoppers import Kin, Shopper, shopper, shoppers_of_views
from loadgen.views import draw
from protos import catalogue_pb2 as catalogue
from protos.common_pb2 import DEVICE_TYPE_PHONE, Device, Page

SHOPPERS = 2_000
# Of a shop's orders, what is bought most.
ORDERED_PRODUCTS = 500
_AGREE = 0.8
_LEAST_LIKED = 2
_UNPRICED_MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class Ordered:
    """What a shop's orders come to: its products, and how often each customer bought which."""

    products: list[catalogue.Product]
    bought: dict[str, dict[str, float]]


def kin_of(products: Sequence[catalogue.Product]) -> dict[str, Kin]:
    """Category and brand of each product; a brand that all share makes nobody kin."""
    one_brand = len({product.brand for product in products}) == 1
    return {product.product_id: Kin(product.category, "" if one_brand else product.brand) for product in products}


def of_log(log: Path, products: Sequence[catalogue.Product], *, seed: int) -> list[Shopper]:
    """Visitors of the logged page views who liked something."""
    return shoppers_of_views(OpenBanditLog(log, seed=seed), kin_of(products), most=SHOPPERS, seed=seed)


def read_orders(files: Sequence[Path], currency: str) -> Ordered:
    """The products that are bought most, and the customers who bought two of them or more.

    NotFound and InvalidInput as backends.orders_duckdb; InvalidInput when too little was bought.
    """
    # DuckDB is loaded by who asks for orders, and by nobody else.
    from backends import orders_duckdb

    ordered = ordered_of(orders_duckdb.read(files), currency)
    if not ordered.bought:
        named = ", ".join(file.name for file in files)
        raise InvalidInput([FieldError("--orders", named[:100], "give orders with customers who bought two products")])
    return ordered


def ordered_of(log: Log, currency: str) -> Ordered:
    """The same of orders that are read already."""
    buys = _buys(log.histories)
    counts = np.bincount(log.histories.items[buys], minlength=len(log.items))
    most = np.argsort(-counts, kind="stable")[:ORDERED_PRODUCTS]
    kept = {int(row) for row in most if counts[row] > 0}
    bought: dict[str, dict[str, float]] = {}
    for visitor, row in zip(log.histories.rows[buys].tolist(), log.histories.items[buys].tolist(), strict=True):
        if row in kept and log.asked[visitor]:
            own = bought.setdefault(log.visitors[visitor], {})
            own[_product_id(log.items.all[row].item_id)] = own.get(_product_id(log.items.all[row].item_id), 0.0) + 1.0
    enough = [name for name, own in bought.items() if len(own) >= _LEAST_LIKED]
    return Ordered(
        products=[_product(log, row, currency) for row in sorted(kept)],
        bought={name: bought[name] for name in sorted(enough, key=lambda name: (-len(bought[name]), name))[:SHOPPERS]},
    )


def of_orders(ordered: Ordered, *, seed: int) -> list[Shopper]:
    """A shopper for each customer; who agrees to be remembered is drawn, for orders do not tell."""
    kin = kin_of(ordered.products)
    return [
        shopper(
            f"customer-{name}"[:64], liked, kin, agrees=draw(seed, "consent", name) < _AGREE,
            device=Device(type=DEVICE_TYPE_PHONE, country="DE", language="de"),
            page=Page(url="https://shop.example/feed", categories=["gifts"], keywords=["home"]), seed=seed,
        )
        for name, liked in ordered.bought.items()
    ]  # fmt: skip


def _buys(histories: Histories) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.asarray(histories.kinds > 0)


def _product_id(item_id: str) -> str:
    return f"item-{item_id}"[:64]


def _product(log: Log, row: int, currency: str) -> catalogue.Product:
    item = log.items.all[row]
    return catalogue.Product(
        product_id=_product_id(item.item_id),
        name=(item.text or item.item_id).capitalize()[:100],
        brand="House",
        category=(item.category or "other").lower(),
        price_micros=item.price_micros or _UNPRICED_MICROS,
        currency=currency,
        landing_url=f"https://shop.example/items/{row}",
        in_stock=True,
    )
