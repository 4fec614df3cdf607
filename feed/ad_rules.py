"""Which ads may this visitor be shown, whoever won the auction?"""

from __future__ import annotations

import re
from collections.abc import Mapping

from feed.muting import folded, muted
from feed.ports import FeedAd, ProductLookup, Relation

_TAGS = re.compile(r"<[^>]*>")
_MOST_MARKUP_CHARS = 20_000


def fit(ads: Mapping[int, FeedAd], relation: Relation, products: ProductLookup, tenant_id: str) -> dict[int, FeedAd]:
    """The ads, by slot, without those of advertisers the visitor blocked (by id or domain), those that hold a muted
    word in what they show or in the name, brand or category of their product, and those whose product is sold out.
    """
    known = {
        slot: products.products(tenant_id, [ad.product_id])[0] if ad.product_id else None for slot, ad in ads.items()
    }
    kept = {}
    for slot, ad in ads.items():
        product = known[slot]
        if ad.advertiser_id in relation.blocked or ad.advertiser_domain in relation.blocked:
            continue
        # A product that the catalogue does not know may be sold by a bidder outside.
        if product is not None and not product.in_stock:
            continue
        if relation.muted_words:
            words = [_TAGS.sub(" ", ad.markup[:_MOST_MARKUP_CHARS])]
            if product is not None:
                words += [product.name, product.brand, product.category]
            if muted(relation.muted_words, folded("\n".join(words))):
                continue
        kept[slot] = ad
    return kept
