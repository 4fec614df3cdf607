"""Was this write done before? One row, in the transaction of a write that answers what is so by then."""

from __future__ import annotations

from sqlalchemy import Connection, select

from backends.sql import insert_once
from backends.sql_tables_campaigns import IDEMPOTENCY
from common.errors import Conflict


def first_time(connection: Connection, tenant_id: str, key: str, method: str, digest: str, at_ms: int) -> bool:
    """False when this write was done before; Conflict when its key was used for another one."""
    of = IDEMPOTENCY.c
    row = {"tenant_id": tenant_id, "idempotency_key": key, "method": method, "request_sha256": digest}
    if insert_once(connection, IDEMPOTENCY, row | {"response": b"", "at_ms": at_ms}):
        return True
    query = select(of.method, of.request_sha256).where(of.tenant_id == tenant_id, of.idempotency_key == key)
    before = connection.execute(query).one()
    if tuple(before) != (method, digest):
        remedy = "give every write a key of its own"
        raise Conflict(f"idempotency key {key!r} was used for another request: {remedy}")
    return False
