from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from accounts.keys import CachedApiKeys, hash_of, new_key
from accounts.ports import Caller
from accounts.tenants import ROLES, Accounts
from backends.accounts_sql import SqlAccountStore
from backends.sql import reading
from backends.sql_tables_accounts import API_KEYS
from common.clock import SteppedClock
from common.errors import InvalidInput, NotFound
from tests.databases import open_database

pytestmark = pytest.mark.on_every_database


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlAccountStore]:
    engine = open_database(tmp_path)
    yield SqlAccountStore(engine)
    engine.dispose()


@pytest.fixture
def keys(store: SqlAccountStore) -> CachedApiKeys:
    return CachedApiKeys(store)


@pytest.fixture
def accounts(store: SqlAccountStore) -> Accounts:
    return Accounts(store=store, clock=SteppedClock())


def test_a_key_is_random_text_with_a_prefix() -> None:
    seeded = random.Random(7)

    assert new_key(lambda: f"{seeded.getrandbits(32):x}").startswith("haat_")
    assert new_key() != new_key()
    assert len(new_key()) == 48


@pytest.mark.parametrize("role", ROLES)
def test_an_issued_key_opens_at_once_and_names_its_tenant(accounts: Accounts, keys: CachedApiKeys, role: str) -> None:
    tenant = accounts.create_tenant("shop")
    issued = accounts.create_key(tenant.tenant_id, role)

    for _ in range(2):
        assert keys.caller_of(issued.plaintext) == Caller(tenant.tenant_id, role, issued.key_id)
    assert keys.caller_of(issued.plaintext + "x") is None
    assert keys.caller_of(hash_of(issued.plaintext)) is None
    assert keys.caller_of("\udcff") is None


def test_a_revoked_key_opens_nothing_from_then_on(accounts: Accounts, keys: CachedApiKeys) -> None:
    tenant = accounts.create_tenant("shop")
    issued, other = (accounts.create_key(tenant.tenant_id, "storefront") for _ in range(2))
    assert keys.caller_of(issued.plaintext)

    accounts.revoke_key(issued.key_id)

    assert keys.caller_of(issued.plaintext) is None
    assert keys.caller_of(other.plaintext)
    with pytest.raises(NotFound):
        accounts.revoke_key(issued.key_id)


def test_a_lookup_that_hits_asks_no_store(accounts: Accounts, store: SqlAccountStore) -> None:
    issued = accounts.create_key(accounts.create_tenant("shop").tenant_id, "storefront")
    keys = CachedApiKeys(store)
    store._engine.dispose()
    del store._engine

    assert keys.caller_of(issued.plaintext)
    assert keys.caller_of("haat_unknown") is None


def test_the_key_itself_is_stored_nowhere(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    accounts = Accounts(store=SqlAccountStore(engine), clock=SteppedClock())
    issued = accounts.create_key(accounts.create_tenant("shop").tenant_id, "storefront")
    with reading(engine) as connection:
        assert connection.execute(select(API_KEYS.c.key_sha256)).scalar_one() == hash_of(issued.plaintext)
    engine.dispose()

    for file in tmp_path.iterdir():
        assert issued.plaintext.encode() not in file.read_bytes()


def test_a_tenant_is_made_once_by_its_name(accounts: Accounts) -> None:
    assert accounts.create_tenant("shop") == accounts.create_tenant(" shop ")
    assert accounts.create_tenant("other") != accounts.create_tenant("shop")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201, "a\x00"])
def test_a_tenant_needs_a_good_name(accounts: Accounts, name: str) -> None:
    with pytest.raises(InvalidInput):
        accounts.create_tenant(name)


def test_a_key_needs_a_role_and_a_tenant_that_there_are(accounts: Accounts) -> None:
    with pytest.raises(InvalidInput):
        accounts.create_key(accounts.create_tenant("shop").tenant_id, "root")
    with pytest.raises(NotFound):
        accounts.create_key("0" * 32, "operator")
