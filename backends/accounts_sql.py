"""How are tenants and API keys kept in SQL? AccountStore on any engine that SQLAlchemy knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from accounts.ports import Caller, KeyRecord, Tenant
from backends.sql import reading, writing
from backends.sql_tables_accounts import API_KEYS, TENANTS
from common.errors import BackendUnavailable, Conflict, NotFound

_TENANT = select(TENANTS.c.tenant_id, TENANTS.c.name, TENANTS.c.created_at_ms)


class SqlAccountStore:
    """AccountStore over an engine of backends.sql."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._followers: list[Callable[[], None]] = []

    def follow(self, changed: Callable[[], None]) -> None:
        """Call `changed` after every key that is added or revoked through this store."""
        self._followers.append(changed)

    def add_tenant(self, tenant: Tenant) -> Tenant:
        """Store the tenant, or return the one that has its name already."""
        named = _TENANT.where(TENANTS.c.name == tenant.name)
        for _ in range(2):
            try:
                with writing(self._engine) as connection:
                    found = connection.execute(named).first()
                    if found is not None:
                        return Tenant(*found)
                    connection.execute(insert(TENANTS), msgspec.structs.asdict(tenant))
                    return tenant
            except Conflict:
                # Another process stored the name between the look and the write; its tenant is there now.
                continue
        raise BackendUnavailable(f"tenant {tenant.name!r} could not be stored: somebody else is writing it")

    def tenant(self, tenant_id: str) -> Tenant | None:
        """The tenant with this id."""
        with reading(self._engine) as connection:
            found = connection.execute(_TENANT.where(TENANTS.c.tenant_id == tenant_id)).first()
        return None if found is None else Tenant(*found)

    def tenants(self) -> list[Tenant]:
        """All tenants, oldest first."""
        with reading(self._engine) as connection:
            return [Tenant(*row) for row in connection.execute(_TENANT.order_by(TENANTS.c.number))]

    def add_key(self, key: KeyRecord) -> None:
        """Store a key of a tenant that exists."""
        with writing(self._engine) as connection:
            if connection.execute(_TENANT.where(TENANTS.c.tenant_id == key.tenant_id)).first() is None:
                raise NotFound(f"there is no tenant {key.tenant_id[:40]!r}")
            try:
                connection.execute(insert(API_KEYS), msgspec.structs.asdict(key))
            except IntegrityError as error:
                # Without the driver's words: they would carry the hash into a log.
                raise Conflict("this API key is already stored: make another one") from error
        self._changed()

    def revoke_key(self, key_id: str, at_ms: int) -> bool:
        """The key opens nothing any more."""
        standing = (API_KEYS.c.key_id == key_id) & API_KEYS.c.revoked_at_ms.is_(None)
        with writing(self._engine) as connection:
            revoked = connection.execute(update(API_KEYS).where(standing).values(revoked_at_ms=at_ms)).rowcount == 1
        if revoked:
            self._changed()
        return revoked

    def callers(self) -> Mapping[str, Caller]:
        """Whom each standing key belongs to, by its hash."""
        of = API_KEYS.c
        standing = select(of.key_sha256, of.tenant_id, of.role, of.key_id).where(of.revoked_at_ms.is_(None))
        with reading(self._engine) as connection:
            return {sha256: Caller(*rest) for sha256, *rest in connection.execute(standing)}

    def _changed(self) -> None:
        for changed in self._followers:
            changed()
