"""What did this idempotency key write, in the social part? One look and one row, in the transaction of the write."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from backends.sql import in_turn
from backends.sql_tables_social import SOCIAL_WRITES
from common.errors import Conflict


def written(
    connection: Connection, tenant_id: str, key: str, digest: str, *, to_write: bool = False
) -> tuple[str, str] | None:
    """(person id, id of what was written); None when the key wrote nothing. Conflict when the digest is another.

    With `to_write` the answer holds until the caller's transaction ends.
    """
    if to_write:
        in_turn(connection, "social write", tenant_id, key)
    of = SOCIAL_WRITES.c
    query = select(of.request_digest, of.person_id, of.subject_id)
    row = connection.execute(query.where(of.tenant_id == tenant_id, of.idempotency_key == key)).first()
    if row is None:
        return None
    if row.request_digest != digest:
        raise Conflict("this idempotency_key was used for another request: give each write a fresh one")
    return row.person_id, row.subject_id


def remember(
    connection: Connection, tenant_id: str, key: str, digest: str, person_id: str, subject_id: str, at_ms: int
) -> None:
    """Note what a key wrote, in the transaction that wrote it."""
    row = {
        "tenant_id": tenant_id, "idempotency_key": key, "request_digest": digest, "person_id": person_id,
        "subject_id": subject_id, "at_ms": at_ms,
    }  # fmt: skip
    connection.execute(insert(SOCIAL_WRITES), [row])
