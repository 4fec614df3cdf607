"""Are publishers and the exchange's domain read as they are written?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app import setting_values as values
from app.settings import describe, load
from common.errors import InvalidInput
from exchange.openrtb.publishers import Publisher

SHOP = Publisher("shop", "0192", ("https://shop.example", "https://www.shop.example:8443"))


def test_publishers_are_read_from_text_and_from_tables(tmp_path: Path) -> None:
    text = "shop=0192, https://shop.example, https://www.shop.example:8443; app = 0193,*"
    table = [{"publisher": "shop", "tenant": "0192", "origins": list(SHOP.origins)}]

    assert values.openrtb_publishers(text) == (SHOP, Publisher("app", "0193", ("*",)))
    assert values.openrtb_publishers(table) == (SHOP,)
    assert values.openrtb_publishers("") == ()
    settings = load({"openrtb_publishers": text}, environment={}, folder=tmp_path)
    (line,) = (line for line in describe(settings) if line.name == "openrtb_publishers")
    assert line.value == "shop=0192,https://shop.example,https://www.shop.example:8443;app=0193,*"


@pytest.mark.parametrize(
    "raw",
    [
        5, "shop", "shop=", "shop=0192", "=0192,*", "shop=0192,shop.example", "shop=0192,https://shop.example/page",
        "shop=01 92,*", "shop=0192,*;shop=0193,*", [{"publisher": "shop"}], [5],
        [{"publisher": 1, "tenant": "t", "origins": ["*"]}], [{"publisher": "p", "tenant": "t", "origins": "*"}],
        [{"publisher": "p", "tenant": "t", "origins": ["*"], "x": 1}],
    ],
)  # fmt: skip
def test_what_is_no_publisher_is_refused_with_a_remedy(raw: Any) -> None:
    with pytest.raises(ValueError, match=r"give|write"):
        values.openrtb_publishers(raw)


def test_a_domain_is_a_domain(tmp_path: Path) -> None:
    assert values.domain(" Ads.Shop.example ") == "ads.shop.example"
    assert values.domain("") == ""
    for raw in ("https://ads.example", "ads", "-", "a..b", 5):
        with pytest.raises(ValueError, match="domain"):
            values.domain(raw)
    with pytest.raises(InvalidInput, match="seller-domain"):
        load({"seller_domain": "x"}, environment={}, folder=tmp_path)
