"""How far has a projection read a node's log? Its offset moves in the transaction of what it wrote, or not at all."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, bindparam, insert, select, update

from backends.sql import reading
from backends.sql_tables_measurement import PROJECTIONS
from common.nodes import ALL_NODES, DEFAULT_NODE

_AT = PROJECTIONS.c
# Asked several times a second by everybody who follows the log.
_READ_UPTO = select(_AT.upto_offset, _AT.as_of_ms).where(
    _AT.node == bindparam("node"), _AT.projection == bindparam("projection"), _AT.topic == bindparam("topic")
)


def read_upto(engine: Engine, projection: str, topic: str, node: str = DEFAULT_NODE) -> tuple[int, int]:
    """(the offset from which on nothing is read yet, the time of the newest event that was)."""
    own = {"node": node, "projection": projection, "topic": topic}
    with reading(engine) as connection:
        row = connection.execute(_READ_UPTO, own).first()
    return (row.upto_offset, row.as_of_ms) if row else (0, 0)


def move(
    connection: Connection,
    projection: str,
    topic: str,
    from_offset: int,
    upto_offset: int,
    as_of_ms: int,
    node: str = DEFAULT_NODE,
) -> bool:
    """Move within the caller's transaction; False when another has moved it away from `from_offset`."""
    own = (_AT.node == node) & (_AT.projection == projection) & (_AT.topic == topic)
    row = connection.execute(select(_AT.upto_offset, _AT.as_of_ms).where(own).with_for_update()).first()
    if (row.upto_offset if row else 0) != from_offset:
        return False
    moved = {"upto_offset": upto_offset, "as_of_ms": max(as_of_ms, row.as_of_ms if row else 0)}
    if row is None:
        connection.execute(insert(PROJECTIONS).values(node=node, projection=projection, topic=topic, **moved))
    else:
        connection.execute(update(PROJECTIONS).where(own).values(moved))
    return True


def seen(connection: Connection, projection: str, topic: str, as_of_ms: int) -> None:
    """Take over, within the caller's transaction, up to when events were read that came by a broker; the offsets, which
    are of nodes' own logs, stay where they are.
    """
    own = (_AT.node == ALL_NODES) & (_AT.projection == projection) & (_AT.topic == topic)
    row = connection.execute(select(_AT.as_of_ms).where(own).with_for_update()).first()
    if row is None:
        first = {"node": ALL_NODES, "projection": projection, "topic": topic, "upto_offset": 0, "as_of_ms": as_of_ms}
        connection.execute(insert(PROJECTIONS).values(first))
    elif row.as_of_ms < as_of_ms:
        connection.execute(update(PROJECTIONS).where(own).values(as_of_ms=as_of_ms))
