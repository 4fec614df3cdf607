"""What is there to make a markup of? A creative, its product as the shop sells it now, and what the placement wants."""

from __future__ import annotations

from typing import NamedTuple

from exchange.ports import CreativeRecord
from exchange.request import NativeTerms
from streams.product import Product


class Shown(NamedTuple):
    """All that a format's markup is made of. `product` is None where the catalogue does not know it or none is named;
    `native` is None outside of native placements.
    """

    creative: CreativeRecord
    advertiser_domain: str
    product: Product | None = None
    native: NativeTerms | None = None
