"""Who takes part? Tenants and their API keys: made, listed, revoked."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Callable

import msgspec

from accounts.keys import hash_of, new_key
from accounts.ports import AccountStore, KeyRecord, Tenant
from common.clock import Clock
from common.errors import FieldError, InvalidInput, NotFound
from common.ids import new_id

ROLES = ("advertiser", "storefront", "moderator", "operator")
MAX_NAME_CHARS = 200


class IssuedKey(msgspec.Struct, frozen=True):
    """A fresh API key: its text, which nobody can show again, and the id by which it is revoked."""

    key_id: str
    plaintext: str


class Accounts:
    """The use cases of accounts; every CachedApiKeys over the same store follows at once."""

    def __init__(
        self, *, store: AccountStore, clock: Clock, random_text: Callable[[], str] = secrets.token_urlsafe
    ) -> None:
        self._store = store
        self._clock = clock
        self._random_text = random_text

    def create_tenant(self, name: str) -> Tenant:
        """The tenant of this name, made when there is none yet."""
        name = name.strip()
        if not 1 <= len(name) <= MAX_NAME_CHARS or any(unicodedata.category(letter)[0] == "C" for letter in name):
            remedy = f"give 1 to {MAX_NAME_CHARS} characters without control characters"
            raise InvalidInput([FieldError("name", f"is {name[:60]!r}", remedy)])
        now_ms = self._clock.now_ms()
        return self._store.add_tenant(Tenant(new_id(now_ms), name, now_ms))

    def create_key(self, tenant_id: str, role: str) -> IssuedKey:
        """A fresh key of a tenant, good from now on. InvalidInput for an unknown role, NotFound for the tenant."""
        if role not in ROLES:
            raise InvalidInput([FieldError("role", f"is {role[:60]!r}", f"choose one of {', '.join(ROLES)}")])
        if self._store.tenant(tenant_id) is None:
            raise NotFound(f"there is no tenant {tenant_id[:40]!r}")
        now_ms = self._clock.now_ms()
        issued = IssuedKey(new_id(now_ms), new_key(self._random_text))
        self._store.add_key(KeyRecord(issued.key_id, hash_of(issued.plaintext), tenant_id, role, now_ms))
        return issued

    def revoke_key(self, key_id: str) -> None:
        """The key opens nothing any more, in this process at once. NotFound when it did not."""
        if not self._store.revoke_key(key_id, self._clock.now_ms()):
            raise NotFound(f"there is no API key {key_id[:40]!r} that could be revoked")
