"""Who may do what in the demo? One shop, one operator and a tenant for each brand, each with a key of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from accounts.tenants import Accounts
from backends.accounts_sql import SqlAccountStore
from backends.sql import open_engine, sqlite_url
from common.clock import SystemClock


@dataclass(frozen=True, slots=True)
class Keyed:
    """A tenant and the key that it calls with."""

    tenant_id: str
    key: str


@dataclass(frozen=True, slots=True)
class DemoKeys:
    """The keys of everybody who calls in the demo."""

    shop: Keyed
    operator: Keyed
    brands: tuple[Keyed, ...]


def make_keys(data_dir: Path, brands: Sequence[str], *, shop_id: str = "", database_url: str = "") -> DemoKeys:
    """Tenants and fresh keys in a data folder, or a database, that no server has open; the shop may be there."""
    data_dir.mkdir(parents=True, exist_ok=True)
    engine = open_engine(database_url or sqlite_url(data_dir))
    accounts = Accounts(store=SqlAccountStore(engine), clock=SystemClock())

    def keyed(tenant_id: str, role: str) -> Keyed:
        return Keyed(tenant_id, accounts.create_key(tenant_id, role).plaintext)

    def made(name: str, role: str) -> Keyed:
        return keyed(accounts.create_tenant(name).tenant_id, role)

    try:
        return DemoKeys(
            shop=keyed(shop_id, "storefront") if shop_id else made("The shop", "storefront"),
            operator=made("The exchange", "operator"),
            brands=tuple(made(brand, "advertiser") for brand in brands),
        )
    finally:
        engine.dispose()
