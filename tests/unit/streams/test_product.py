from __future__ import annotations

from typing import Any

import msgspec
import pytest

from common.errors import InvalidInput
from streams.product import Product, check

SHOE = Product(
    product_id="shoe",
    tenant_id="t1",
    name="Shoe – blue",
    brand="Acmé",
    category="shoes",
    price_micros=9_990_000,
    currency="EUR",
    image_url="https://shop.example:8443/shoe.jpg?w=300",
    landing_url="http://shop.example/shoe",
    in_stock=True,
    attributes={"size": "42"},
)


def with_changes(**changes: Any) -> Product:
    return msgspec.structs.replace(SHOE, **changes)


def test_a_good_product_is_taken() -> None:
    check([SHOE, with_changes(product_id="b", image_url="", price_micros=1)])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("product_id", ""),
        ("product_id", "x" * 65),
        ("product_id", "sh\noe"),
        ("name", " "),
        ("name", "x" * 201),
        ("name", "shoe\u202e"),
        ("brand", ""),
        ("category", "x" * 101),
        ("price_micros", 0),
        ("price_micros", -1),
        ("price_micros", 1_000_000_000_001),
        ("currency", "eur"),
        ("currency", ""),
        ("currency", "EURO"),
        ("landing_url", ""),
        ("landing_url", "javascript:alert(1)"),
        ("landing_url", "data:text/html,x"),
        ("landing_url", "ftp://shop.example/"),
        ("landing_url", "//shop.example/"),
        ("landing_url", "https://"),
        ("landing_url", "https://shop.example/\nx"),
        ("landing_url", 'https://shop.example/"><script>'),
        ("landing_url", "https://user:secret@shop.example/"),
        ("landing_url", "https://[::1/"),
        ("landing_url", "https://shop.example:99999/"),
        ("landing_url", "https://shop.example/" + "x" * 2048),
        ("image_url", "file:///etc/passwd"),
        ("attributes", {f"a{number}": "x" for number in range(65)}),
        ("attributes", {"": "x"}),
        ("attributes", {"x" * 65: "x"}),
    ],
)
def test_a_field_that_cannot_be_taken_is_named(field: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        check([SHOE, with_changes(**{"product_id": "other", field: value})])

    assert [error.field for error in refused.value.errors] == [f"products[1].{field}"]
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("value", ["", "x" * 257, "a\0b"])
def test_an_attribute_that_cannot_be_taken_is_named(value: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check([with_changes(attributes={"size": value, "colour": "blue"})])

    assert [error.field for error in refused.value.errors] == ["products[0].attributes['size']"]


def test_all_errors_are_told_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        check([with_changes(price_micros=-1, currency="x"), SHOE, SHOE, with_changes(product_id="c", name="")])

    assert [error.field for error in refused.value.errors] == [
        "products[0].price_micros",
        "products[0].currency",
        "products[1].product_id",
        "products[2].product_id",
        "products[3].name",
    ]


@pytest.mark.parametrize("count", [0, 1001])
def test_the_number_of_products_is_bounded(count: int) -> None:
    with pytest.raises(InvalidInput, match=f"products: {count} products — put 1 to 1000"):
        check([SHOE] * count)
