from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from backends.event_log_lmdb import LmdbEventLog
from common.clock import SteppedClock
from common.errors import BackendUnavailable, InvalidInput, NotFound
from streams.catalogue import Catalogue
from streams.product import Product
from streams.publisher import Publisher


def a_product(product_id: str = "shoe", tenant_id: str = "t1", price_micros: int = 9_990_000) -> Product:
    return Product(
        product_id, tenant_id, "Shoe", "Acme", "shoes", price_micros, "EUR", "", "https://a.example/", True, {"n": "1"}
    )


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LmdbEventLog]:
    log = LmdbEventLog(tmp_path, map_size_bytes=1 << 20)
    yield log
    log.close()


def catalogue_on(log: LmdbEventLog, products_at_most: int = 100) -> Catalogue:
    return Catalogue(log, Publisher(log, SteppedClock()), products_at_most=products_at_most)


def test_a_product_that_was_put_is_there(log: LmdbEventLog) -> None:
    catalogue = catalogue_on(log)

    assert catalogue.put("t1", [a_product("a"), a_product("b")]) == 2

    assert catalogue.get("a") == a_product("a")
    assert catalogue.get("c") is None
    assert catalogue.all() == [a_product("a"), a_product("b")]


def test_the_catalogue_is_the_same_after_a_restart(log: LmdbEventLog) -> None:
    before = catalogue_on(log)
    for number in range(600):
        before.put("t1", [a_product(f"p{number % 50}", price_micros=number + 1)])
        if number % 10 == 0:
            before.sync()

    after = catalogue_on(log)

    assert after.load() == 50
    assert after.all() == before.all()
    assert after.sequence == before.sequence == 600


def test_a_product_is_replaced_and_subscribers_are_told_at_once(log: LmdbEventLog) -> None:
    catalogue = catalogue_on(log)
    catalogue.put("t1", [a_product("a"), a_product("b")])
    told: list[Sequence[Product]] = []
    catalogue.on_change(told.append)
    sold_out = msgspec.structs.replace(a_product("a"), in_stock=False)

    catalogue.put("t1", [sold_out, a_product("b")])

    assert [list(products) for products in told] == [[sold_out]]
    assert catalogue.get("a") == sold_out


def test_putting_the_same_again_writes_nothing_and_tells_nobody(log: LmdbEventLog) -> None:
    catalogue = catalogue_on(log)
    catalogue.put("t1", [a_product("a")])
    told: list[Sequence[Product]] = []
    catalogue.on_change(told.append)

    assert catalogue.put("t1", [a_product("a")]) == 1

    assert told == []
    assert log.end("products") == 1


def test_another_tenants_product_cannot_be_overwritten(log: LmdbEventLog) -> None:
    catalogue = catalogue_on(log)
    catalogue.put("t1", [a_product("a")])

    with pytest.raises(NotFound, match=r"products\[1\]\.product_id"):
        catalogue.put("t2", [a_product("new", "t2"), a_product("a", "t2")])

    assert catalogue.all() == [a_product("a")]
    assert log.end("products") == 1


def test_one_bad_product_and_none_is_put(log: LmdbEventLog) -> None:
    catalogue = catalogue_on(log)

    with pytest.raises(InvalidInput, match=r"products\[1\]\.price_micros: -1"):
        catalogue.put("t1", [a_product("a"), a_product("b", price_micros=-1)])

    assert catalogue.all() == []
    assert log.end("products") == 0


def test_a_full_exchange_takes_no_new_product_and_still_replaces(log: LmdbEventLog) -> None:
    catalogue = catalogue_on(log, products_at_most=2)
    catalogue.put("t1", [a_product("a"), a_product("b")])

    with pytest.raises(InvalidInput, match="this exchange takes 2 in all"):
        catalogue.put("t1", [a_product("a", price_micros=5), a_product("c")])
    catalogue.put("t1", [a_product("a", price_micros=6)])

    assert catalogue.get("a") == a_product("a", price_micros=6)


def test_a_full_disk_is_told_and_nothing_changes(log: LmdbEventLog) -> None:
    catalogue = catalogue_on(log)
    catalogue.put("t1", [a_product("a")])
    log.append("auctions", [b"x" * 900_000], 1)
    many = [
        msgspec.structs.replace(a_product(f"p{n}"), attributes={f"a{i}": "x" * 256 for i in range(64)})
        for n in range(20)
    ]

    with pytest.raises(BackendUnavailable, match="largest size"):
        catalogue.put("t1", many)

    assert catalogue.all() == [a_product("a")]


def test_a_record_that_cannot_be_read_is_passed_over_and_counted(log: LmdbEventLog) -> None:
    catalogue_on(log).put("t1", [a_product("a")])
    log.append("products", [b"\xff\xff"], 1)
    catalogue = catalogue_on(log)
    catalogue.load()

    catalogue.put("t1", [a_product("b")])

    assert catalogue.unreadable == 1
    assert catalogue.all() == [a_product("a"), a_product("b")]


def test_what_another_process_put_is_followed(log: LmdbEventLog) -> None:
    here, there = catalogue_on(log), catalogue_on(log)
    told: list[Sequence[Product]] = []
    here.on_change(told.append)
    there.put("t1", [a_product("a")])

    assert here.follow() == 1
    assert here.follow() == 0

    assert [list(products) for products in told] == [[a_product("a")]]
