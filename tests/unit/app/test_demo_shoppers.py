from __future__ import annotations

from app.demo_shoppers import kin_of, of_orders, ordered_of
from loadgen.shoppers import Kin
from tests.recommender_builders import shop


def test_customers_of_orders_shop_for_what_is_bought_most() -> None:
    ordered = ordered_of(shop(), "EUR")
    shoppers = of_orders(ordered, seed=1)

    assert len(ordered.products) == 40
    assert all(product.price_micros > 0 and product.currency == "EUR" for product in ordered.products)
    assert len(shoppers) == len(ordered.bought) > 100
    known = {product.product_id for product in ordered.products}
    for one in shoppers:
        assert set(one.taste) <= known
        assert {product for product, _ in one.sent} < set(one.taste) or len(one.taste) < 4
    mugs = {product.product_id for product in ordered.products if product.category == "mug"}
    # Each of the shop's customers buys one kind of thing.
    assert all(set(one.taste) <= mugs or not set(one.taste) & mugs for one in shoppers)


def test_kin_are_categories_and_brands_and_the_only_brand_is_none() -> None:
    one, other = ordered_of(shop(), "EUR").products[:2]

    assert kin_of([one]) == {one.product_id: Kin(one.category, "")}
    other.brand = "another"
    assert kin_of([one, other])[one.product_id] == Kin(one.category, "House")
