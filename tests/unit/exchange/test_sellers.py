"""Every seller is named once, and who cannot be named is confidential."""

from __future__ import annotations

from accounts.ports import Tenant
from exchange.openrtb.publishers import Publisher
from exchange.sellers import sellers_json


def test_each_tenant_that_is_sold_for_stands_in_the_file_once() -> None:
    publishers = [
        Publisher("p1", "t1", ("https://shop.example", "https://www.shop.example")),
        Publisher("p2", "t1", ("https://blog.example",)),
        Publisher("p3", "t2", ("*",)),
    ]

    content = sellers_json(publishers, [Tenant("t1", "Shop Ltd", 0)], "ads@ads.example")

    assert content == {
        "contact_email": "ads@ads.example",
        "version": "1.0",
        "sellers": [
            {
                "seller_id": "t1", "seller_type": "PUBLISHER", "is_confidential": 0, "name": "Shop Ltd",
                "domain": "shop.example",
            },
            {"seller_id": "t2", "seller_type": "PUBLISHER", "is_confidential": 1},
        ],
    }  # fmt: skip
