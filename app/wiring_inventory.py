"""What does the inventory ask of the catalogue, and what comes before a line item runs?"""

from __future__ import annotations

from typing import cast

from exchange.budgets import BudgetBook
from exchange.inventory_follower import InventoryFollower
from exchange.pacer import Pacer
from exchange.ports import CAMPAIGN_ACCOUNTS, LineItemRecord
from exchange.spend_watch import SpendWatch
from streams.catalogue import Catalogue
from streams.product import Product


def attributes_of(catalogue: Catalogue, product_id: str) -> dict[str, str] | None:
    """What the click model may know of a product; None for one that the catalogue does not know."""
    product = catalogue.get(product_id)
    return dict(product.attributes) if product is not None else None


def in_stock(catalogue: Catalogue, product_id: str) -> bool:
    """What the catalogue does not know cannot be out of stock."""
    product = catalogue.get(product_id)
    return product is None or product.in_stock


def products_changed(follower: InventoryFollower, products: object) -> None:
    """The inventory hears of stock at once, and of the rest with its next snapshot."""
    changed = cast("list[Product]", products)
    follower.stock_changed(product.product_id for product in changed)
    follower.products_changed()


async def fund(book: BudgetBook, pacer: Pacer, watch: SpendWatch, changed: object) -> None:
    """New accounts get their pace and their first lease; accounts whose limits may have changed are leased anew."""
    await pacer.refresh()
    if watch.stale:
        return
    records = cast("list[LineItemRecord]", changed)
    accounts = {record.number for record in records} | {
        CAMPAIGN_ACCOUNTS + record.campaign_number for record in records
    }
    await book.renew(accounts)
    await book.top_up()
