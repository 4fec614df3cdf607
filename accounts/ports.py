"""What do servers need to know of callers, and where are tenants and keys kept?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec


class Caller(msgspec.Struct, frozen=True):
    """Who calls: a tenant in a role ("advertiser", "storefront", "moderator", "operator"), by the key with this id."""

    tenant_id: str
    role: str
    key_id: str = ""


class ApiKeys(Protocol):
    """Whom an API key belongs to."""

    def caller_of(self, key: str) -> Caller | None:
        """The caller, None when the key is unknown or revoked. No I/O: it is asked on every request."""


class Tenant(msgspec.Struct, frozen=True):
    """One customer of the exchange; all that is stored belongs to one. `name` is unique."""

    tenant_id: str
    name: str
    created_at_ms: int


class KeyRecord(msgspec.Struct, frozen=True):
    """A stored key: never the key itself, only its SHA-256 as 64 hexadecimal digits."""

    key_id: str
    key_sha256: str
    tenant_id: str
    role: str
    created_at_ms: int


class AccountStore(Protocol):
    """Tenants and the hashes of their API keys."""

    def add_tenant(self, tenant: Tenant) -> Tenant:
        """Store the tenant; the one that already has this name, when there is one."""

    def tenant(self, tenant_id: str) -> Tenant | None:
        """The tenant with this id."""

    def tenants(self) -> list[Tenant]:
        """All tenants, oldest first."""

    def add_key(self, key: KeyRecord) -> None:
        """Store a key. NotFound when there is no such tenant, Conflict when the key is already stored."""

    def revoke_key(self, key_id: str, at_ms: int) -> bool:
        """From now on the key opens nothing; False when there is no such key or it is revoked already."""

    def callers(self) -> Mapping[str, Caller]:
        """Whom each key that is not revoked belongs to, by the key's SHA-256."""

    def follow(self, changed: Callable[[], None]) -> None:
        """Call `changed` after every key that is added or revoked through this store, before the caller goes on."""
