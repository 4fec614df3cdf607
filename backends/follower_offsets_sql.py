"""How far has a follower of the log read? Offsets beside those of all projections."""

from __future__ import annotations

from sqlalchemy import Engine

from backends.projections_sql import move, read_upto
from backends.sql import writing
from common.nodes import DEFAULT_NODE


class SqlFollowerOffsets:
    """Offsets of one follower in the log of a node, over an engine of backends.sql."""

    def __init__(self, engine: Engine, follower: str, node: str = DEFAULT_NODE) -> None:
        self._engine = engine
        self._follower = follower
        self._node = node

    def read_upto(self, topic: str) -> int:
        """The offset from which on nothing is read yet."""
        return read_upto(self._engine, self._follower, topic, self._node)[0]

    def move(self, topic: str, from_offset: int, upto_offset: int) -> bool:
        """Go on from there."""
        with writing(self._engine) as connection:
            return move(connection, self._follower, topic, from_offset, upto_offset, 0, self._node)
