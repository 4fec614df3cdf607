"""How does somebody get an API key? An operator of the machine makes one; a running server knows it within a second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from accounts.tenants import Accounts
from app.databases import open_database
from app.printing import print_json, print_table
from app.settings import Settings
from backends.accounts_sql import SqlAccountStore
from common.clock import SystemClock


def create_key(settings: Settings, tenant_name: str, role: str, *, as_json: bool) -> None:
    """Make a key for the tenant of this name, and the tenant when there is none; the key is printed and not kept."""
    with _accounts(settings) as (accounts, _):
        tenant = accounts.create_tenant(tenant_name)
        issued = accounts.create_key(tenant.tenant_id, role)
    made = {"tenant_id": tenant.tenant_id, "role": role, "key_id": issued.key_id, "api_key": issued.plaintext}
    if as_json:
        print_json(made)
    else:
        print_table(("what", "value"), list(made.items()))
        print("The key is shown this once: only its hash is stored. Send it as metadata x-api-key.")


def revoke_key(settings: Settings, key_id: str) -> None:
    """From now on the key opens nothing; a running server learns it within a second."""
    with _accounts(settings) as (accounts, _):
        accounts.revoke_key(key_id)
    print(f"Revoked {key_id}.")


def list_tenants(settings: Settings, *, as_json: bool) -> None:
    """Every tenant by name and id."""
    with _accounts(settings) as (_, store):
        tenants = [{"tenant_id": tenant.tenant_id, "name": tenant.name} for tenant in store.tenants()]
    if as_json:
        print_json(tenants)
    else:
        print_table(("tenant_id", "name"), [tuple(tenant.values()) for tenant in tenants])


@contextmanager
def _accounts(settings: Settings) -> Iterator[tuple[Accounts, SqlAccountStore]]:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = open_database(settings)
    store = SqlAccountStore(engine)
    try:
        yield Accounts(store=store, clock=SystemClock()), store
    finally:
        engine.dispose()
