"""What does the shop's catalogue say of these products?"""

from __future__ import annotations

from collections.abc import Sequence

from streams.catalogue import Catalogue
from streams.product import Product


class CatalogueProducts:
    """ProductLookup over the catalogue in memory. A post may tag what any tenant sells: brands sell, shops show."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def products(self, tenant_id: str, product_ids: Sequence[str]) -> list[Product | None]:
        """One entry for each id, None where nobody sells it."""
        return [self._catalogue.get(product_id) for product_id in product_ids]
