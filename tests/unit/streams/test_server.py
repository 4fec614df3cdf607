from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.event_log_lmdb import LmdbEventLog
from common.clock import SteppedClock
from common.errors import InvalidInput, NotFound
from protos import catalogue_pb2
from streams.catalogue import Catalogue
from streams.publisher import Publisher
from streams.server import SERVICE_NAME, CatalogueCalls


@pytest.fixture
def calls(tmp_path: Path) -> Iterator[CatalogueCalls]:
    log = LmdbEventLog(tmp_path)
    yield CatalogueCalls(Catalogue(log, Publisher(log, SteppedClock())))
    log.close()


def a_shoe(product_id: str = "shoe") -> catalogue_pb2.Product:
    return catalogue_pb2.Product(
        product_id=product_id,
        name="Shoe",
        brand="Acme",
        category="shoes",
        price_micros=9_990_000,
        currency="EUR",
        image_url="https://a.example/shoe.jpg",
        landing_url="https://a.example/shoe",
        in_stock=True,
        attributes={"size": "42"},
    )


def put(*products: catalogue_pb2.Product, tenant_id: str = "") -> catalogue_pb2.PutProductsRequest:
    return catalogue_pb2.PutProductsRequest(tenant_id=tenant_id, idempotency_key="k", products=products)


def get(product_id: str, tenant_id: str = "") -> catalogue_pb2.GetProductRequest:
    return catalogue_pb2.GetProductRequest(tenant_id=tenant_id, product_id=product_id)


def test_the_service_is_that_of_the_proto() -> None:
    assert catalogue_pb2.DESCRIPTOR.services_by_name["CatalogueService"].full_name == SERVICE_NAME


async def test_a_product_comes_back_as_it_was_put(calls: CatalogueCalls) -> None:
    stored = await calls.put_products(put(a_shoe(), tenant_id="t1"), "t1")

    assert stored.stored == 1
    assert await calls.get_product(get("shoe", "t1"), "t1") == a_shoe()


async def test_putting_twice_is_putting_once(calls: CatalogueCalls) -> None:
    first = await calls.put_products(put(a_shoe()), "t1")
    second = await calls.put_products(put(a_shoe()), "t1")

    assert first == second
    assert await calls.get_product(get("shoe"), "t1") == a_shoe()


async def test_what_is_another_tenants_does_not_exist(calls: CatalogueCalls) -> None:
    await calls.put_products(put(a_shoe()), "t1")

    with pytest.raises(NotFound, match="no product 'shoe' of yours"):
        await calls.get_product(get("shoe"), "t2")
    with pytest.raises(NotFound, match="no tenant 't1'"):
        await calls.get_product(get("shoe", "t1"), "t2")
    with pytest.raises(NotFound, match="no tenant 't1'"):
        await calls.put_products(put(a_shoe("hat"), tenant_id="t1"), "t2")
    with pytest.raises(NotFound):
        await calls.put_products(put(a_shoe()), "t2")


async def test_bad_products_are_named_by_their_path(calls: CatalogueCalls) -> None:
    bad = a_shoe("hat")
    bad.price_micros = -1
    bad.landing_url = "javascript:x"

    with pytest.raises(InvalidInput) as refused:
        await calls.put_products(put(a_shoe(), bad), "t1")

    assert {error.field for error in refused.value.errors} == {"products[1].price_micros", "products[1].landing_url"}


async def test_too_many_products_are_refused(calls: CatalogueCalls) -> None:
    with pytest.raises(InvalidInput, match="1001 products"):
        await calls.put_products(put(*[a_shoe(f"p{n}") for n in range(1001)]), "t1")
