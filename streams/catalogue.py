"""What does the shop sell right now? Products in memory, as the sum of topic `products`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from common.errors import FieldError, InvalidInput, NotFound
from streams import schemas
from streams.ports import EventLog
from streams.product import PRODUCTS_AT_ONCE, Product, check
from streams.publisher import Publisher
from streams.schemas import ProductsPut, Unreadable
from streams.topics import PRODUCTS

_READ_AT_ONCE = 256


class Catalogue:
    """All products of all tenants, by id; ids are unique in the exchange.

    Belongs to one thread: `put` and `follow` tell the subscribers from the thread that calls them.
    """

    def __init__(self, log: EventLog, publisher: Publisher, *, products_at_most: int = 1_000_000) -> None:
        self._log = log
        self._publisher = publisher
        self._products_at_most = products_at_most
        self._products: dict[str, Product] = {}
        self._subscribers: list[Callable[[Sequence[Product]], None]] = []
        self._next_offset = 0
        self._unreadable = 0

    @property
    def sequence(self) -> int:
        """Grows with each change; the offset of topic `products` up to which the catalogue is folded."""
        return self._next_offset

    @property
    def unreadable(self) -> int:
        """Records of topic `products` that could not be read and were passed over."""
        return self._unreadable

    def on_change(self, subscriber: Callable[[Sequence[Product]], None]) -> None:
        """Call `subscriber` with the products that changed, after each change and before `put` returns."""
        self._subscribers.append(subscriber)

    def get(self, product_id: str) -> Product | None:
        """The product, or None."""
        return self._products.get(product_id)

    def all(self) -> list[Product]:
        """Every product, in the order in which they were first put."""
        return list(self._products.values())

    def put(self, tenant_id: str, products: Sequence[Product]) -> int:
        """Add or replace products, all or none; how many were given. Those that are the same already cost nothing.

        InvalidInput names every field that cannot be taken; NotFound when an id is another tenant's;
        BackendUnavailable when the log cannot take them. It is in the log when this returns, and on disk after `sync`.
        """
        payload = self.prepare(tenant_id, products)
        if payload:
            self.keep(payload)
            self.follow()
        return len(products)

    def prepare(self, tenant_id: str, products: Sequence[Product]) -> bytes:
        """The record that puts them, empty where nothing changes; refuses as `put`."""
        check(products)
        self.follow()
        self._refuse_what_is_not_theirs(tenant_id, products)
        changed = tuple(product for product in products if self._products.get(product.product_id) != product)
        return schemas.encode(ProductsPut(tenant_id, changed)) if changed else b""

    def keep(self, payload: bytes) -> None:
        """Append a record that was prepared, here or on another node; from any thread."""
        self._publisher.publish(PRODUCTS.name, [payload])

    def records(self) -> list[bytes]:
        """What makes this catalogue again: a record for some products of a tenant each."""
        by_tenant: dict[str, list[Product]] = {}
        for product in self._products.values():
            by_tenant.setdefault(product.tenant_id, []).append(product)
        return [
            schemas.encode(ProductsPut(tenant_id, tuple(products[at : at + PRODUCTS_AT_ONCE])))
            for tenant_id, products in by_tenant.items()
            for at in range(0, len(products), PRODUCTS_AT_ONCE)
        ]

    def sync(self) -> None:
        """Return when every put so far would survive the death of the machine; blocks for a disk write."""
        self._publisher.sync()

    def load(self) -> int:
        """Read what the log holds, at the start, without telling anyone; how many products there are."""
        self._fold()
        return len(self._products)

    def follow(self) -> int:
        """Read what was put since, here or by another process, and tell the subscribers; how many changed."""
        changed = self._fold()
        if changed:
            for subscriber in self._subscribers:
                subscriber(changed)
        return len(changed)

    def _refuse_what_is_not_theirs(self, tenant_id: str, products: Sequence[Product]) -> None:
        if any(product.tenant_id != tenant_id for product in products):
            raise ValueError("products carry the tenant who puts them")
        for index, product in enumerate(products):
            known = self._products.get(product.product_id)
            if known is not None and known.tenant_id != tenant_id:
                raise NotFound(f"products[{index}].product_id: there is no product {product.product_id!r} of yours")
        new = sum(product.product_id not in self._products for product in products)
        if len(self._products) + new > self._products_at_most:
            remedy = f"this exchange takes {self._products_at_most} in all; replace products that are no longer sold"
            raise InvalidInput([FieldError("products", f"{new} new products", remedy)])

    def _fold(self) -> list[Product]:
        changed: dict[str, Product] = {}
        # Offsets are followed and not counted: retention may have dropped the first.
        while records := self._log.read(PRODUCTS.name, self._next_offset, _READ_AT_ONCE):
            for record in records:
                event = schemas.decode(PRODUCTS.name, record)
                if isinstance(event, Unreadable):
                    self._unreadable += 1
                    continue
                assert isinstance(event, ProductsPut)
                # Two tenants may have come with the same id at the same time, on two nodes: it is the first one's.
                put = {
                    product.product_id: product
                    for product in event.products
                    if (known := self._products.get(product.product_id)) is None or known.tenant_id == product.tenant_id
                }
                changed |= put
                self._products |= put
            self._next_offset = records[-1].offset + 1
        return list(changed.values())
