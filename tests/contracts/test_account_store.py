from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec
import pytest

from accounts.ports import AccountStore, Caller, KeyRecord, Tenant
from backends.accounts_sql import SqlAccountStore
from common.errors import Conflict, NotFound
from tests.databases import open_database

pytestmark = pytest.mark.on_every_database

SHOP = Tenant("1" * 32, "shop", 5)
KEY = KeyRecord("a" * 32, "f" * 64, SHOP.tenant_id, "storefront", 6)


@contextmanager
def _sqlite(folder: Path) -> Iterator[AccountStore]:
    engine = open_database(folder)
    try:
        yield SqlAccountStore(engine)
    finally:
        engine.dispose()


STORES: dict[str, Callable[[Path], AbstractContextManager[AccountStore]]] = {"sqlite": _sqlite}


@pytest.fixture(params=STORES.values(), ids=list(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AccountStore]:
    with request.param(tmp_path) as opened:
        yield opened


def test_a_name_belongs_to_the_tenant_that_took_it_first(store: AccountStore) -> None:
    assert store.add_tenant(SHOP) == SHOP
    assert store.add_tenant(Tenant("2" * 32, "shop", 9)) == SHOP
    other = store.add_tenant(Tenant("3" * 32, "other", 9))

    assert store.tenants() == [SHOP, other]
    assert store.tenant(SHOP.tenant_id) == SHOP
    assert store.tenant("2" * 32) is None


def test_keys_that_stand_have_callers(store: AccountStore) -> None:
    store.add_tenant(SHOP)
    store.add_key(KEY)
    store.add_key(msgspec.structs.replace(KEY, key_id="b" * 32, key_sha256="e" * 64, role="operator"))
    assert store.callers() == {
        "f" * 64: Caller(SHOP.tenant_id, "storefront", KEY.key_id),
        "e" * 64: Caller(SHOP.tenant_id, "operator", "b" * 32),
    }

    assert store.revoke_key(KEY.key_id, 7)
    assert not store.revoke_key(KEY.key_id, 8)
    assert not store.revoke_key("c" * 32, 8)
    assert list(store.callers()) == ["e" * 64]


def test_a_key_needs_its_tenant_and_is_stored_once(store: AccountStore) -> None:
    with pytest.raises(NotFound):
        store.add_key(KEY)
    store.add_tenant(SHOP)
    store.add_key(KEY)

    with pytest.raises(Conflict) as caught:
        store.add_key(msgspec.structs.replace(KEY, key_id="b" * 32))
    assert KEY.key_sha256 not in str(caught.value)


def test_followers_are_told_when_a_key_comes_or_goes(store: AccountStore) -> None:
    told: list[int] = []
    store.add_tenant(SHOP)
    store.follow(lambda: told.append(len(store.callers())))

    store.add_key(KEY)
    store.revoke_key(KEY.key_id, 7)
    store.revoke_key(KEY.key_id, 7)

    assert told == [1, 0]
