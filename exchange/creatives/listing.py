"""What does a product listing hold? JSON for the shop's own cards: the product as it is sold now, and who pays.

Words, pictures, price and stock are the catalogue's of this moment; what the creative says comes first for the title
and the picture. A placement that says which native assets it shows gets the product in those: that is how OpenRTB's
community extension for product listing ads sells them (context 3, data asset 13 is the product's id).
"""

from __future__ import annotations

from exchange.creatives import native
from exchange.creatives.prices import amount, price_text
from exchange.creatives.shown import Shown
from exchange.creatives.templates import (
    CLICK_URL_MACRO,
    IMPRESSION_MACRO,
    IMPRESSION_URL_MACRO,
    Template,
    event_macro,
    json_template,
    json_text,
)


def markup(shown: Shown) -> Template:
    """The listing's markup; without a product in the catalogue it has neither price nor stock."""
    if shown.native is not None:
        return native.markup(shown)
    creative, product = shown.creative, shown.product
    entry: dict[str, object] = {
        "impression_id": IMPRESSION_MACRO,
        "product_id": json_text(creative.product_id),
        "title": json_text(creative.title or (product.name if product else "")),
        "image_url": json_text(creative.image_url or (product.image_url if product else "")),
        "landing_url": json_text(creative.landing_url),
        "sponsored_by": json_text(shown.advertiser_domain),
    }
    for name, text in (("body", creative.body), ("call_to_action", creative.call_to_action)):
        if text:
            entry[name] = json_text(text)
    if product is not None:
        entry |= {
            "name": json_text(product.name),
            "brand": json_text(product.brand),
            "category": json_text(product.category),
            "price": amount(product.price_micros, product.currency),
            "currency": product.currency,
            "price_text": price_text(product.price_micros, product.currency),
            "in_stock": product.in_stock,
        }
    entry |= {
        "click_url": CLICK_URL_MACRO,
        "impression_url": IMPRESSION_URL_MACRO,
        "viewable_url": event_macro("viewable"),
    }
    return json_template(entry)
