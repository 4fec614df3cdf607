"""An ads.txt is read as publishers write it, and nothing in it can hurt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.ads_txt import LARGEST_BYTES, Standing, read_ads_txt

FILE = b"""\xef\xbb\xbf# who sells for us
ads.example, pub-1, DIRECT, abc123
ADS.Example , pub-2 , reseller # and here a comment
other.example,pub-1,RESELLER;extension
ads.example, pub-2, RESELLER
ads.example, pub-9, RESELLER
ads.example, pub-9, DIRECT
OWNERDOMAIN=Shop.Example
contact=ads@shop.example
this is no record
ads.example, pub-3, PERHAPS
"""


@pytest.mark.parametrize(
    ("domain", "account", "standing"),
    [
        ("ads.example", "pub-1", Standing.DIRECT),
        ("ADS.EXAMPLE", "pub-2", Standing.RESELLER),
        ("other.example", "pub-1", Standing.RESELLER),
        ("ads.example", "pub-9", Standing.DIRECT),
        ("ads.example", "pub-3", Standing.UNAUTHORISED),
        ("ads.example", "PUB-1", Standing.UNAUTHORISED),
        ("elsewhere.example", "pub-1", Standing.UNAUTHORISED),
    ],
)
def test_a_seller_stands_as_the_file_says(domain: str, account: str, standing: Standing) -> None:
    found = read_ads_txt(FILE)

    assert found is not None
    assert found.standing(domain, account) is standing
    assert (found.owner_domain, found.broken, found.nobody) == ("shop.example", (10, 11), False)


def test_a_placeholder_lets_nobody_sell() -> None:
    found = read_ads_txt(b"placeholder.example.com, placeholder, DIRECT, placeholder\n")

    assert found is not None
    assert found.nobody
    assert found.sellers == {}


@pytest.mark.parametrize("content", [b"<!doctype html><p>404", b"\x00\x01", b"a" * (LARGEST_BYTES + 1)])
def test_what_is_no_ads_txt_is_none(content: bytes) -> None:
    assert read_ads_txt(content) is None


def test_reasons_are_those_of_openrtb() -> None:
    assert [standing.nbr for standing in Standing] == [11, 0, 0, 12]


@given(st.binary(max_size=400))
def test_any_bytes_are_read(content: bytes) -> None:
    found = read_ads_txt(content)

    assert found is None or all(standing in (1, 2) for standing in found.sellers.values())
