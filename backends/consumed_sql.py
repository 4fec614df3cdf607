"""How does a group of consumers keep its results and its place in one transaction? ConsumedStore in SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, Table, insert, select, update

from backends.sql import reading, writing
from backends.sql_tables_consumed import CONSUMED_MARKS, CONSUMED_PARTITIONS, COUNTED_BEFORE, RETRIED_LETTERS
from common.errors import Conflict
from streams.broker_ports import Place
from streams.sifting import Position

R = TypeVar("R")


class SqlConsumedStore(Generic[R]):
    """ConsumedStore of one group over an engine of backends.sql; `add` writes a result within the transaction."""

    def __init__(self, engine: Engine, group: str, add: Callable[[Connection, str, R], None]) -> None:
        self._engine = engine
        self._group = group
        self._add = add

    def position(self, place: Place) -> Position | None:
        """See ConsumedStore."""
        with reading(self._engine) as connection:
            at = connection.execute(
                select(CONSUMED_PARTITIONS.c.next_offset).where(self._own(CONSUMED_PARTITIONS, place))
            ).scalar()
            if at is None:
                return None
            marks = connection.execute(
                select(CONSUMED_MARKS.c.source, CONSUMED_MARKS.c.log_offset).where(self._own(CONSUMED_MARKS, place))
            )
            return Position(at, {row.source: row.log_offset for row in marks})

    def counted_before(self, topic: str) -> Mapping[str, int]:
        """See ConsumedStore."""
        at = COUNTED_BEFORE.c
        own = (at.consumer_group == self._group) & (at.topic == topic)
        with reading(self._engine) as connection:
            rows = connection.execute(select(at.source, at.upto_offset).where(own))
            return {row.source: row.upto_offset for row in rows}

    def begin(self, topic: str, source: str, counted_upto: int) -> None:
        """Say once up to where a node had counted by itself; what was said before stands."""
        at = COUNTED_BEFORE.c
        own = (at.consumer_group == self._group) & (at.topic == topic) & (at.source == source)
        with writing(self._engine) as connection:
            if connection.execute(select(at.upto_offset).where(own)).first() is None:
                row = {"consumer_group": self._group, "topic": topic, "source": source, "upto_offset": counted_upto}
                connection.execute(insert(COUNTED_BEFORE).values(row))

    def keep(self, place: Place, before: Position | None, after: Position, result: R | None) -> bool:
        """See ConsumedStore."""
        own = self._own(CONSUMED_PARTITIONS, place)
        try:
            with writing(self._engine) as connection:
                at = connection.execute(select(CONSUMED_PARTITIONS.c.next_offset).where(own).with_for_update()).scalar()
                if at != (before.offset if before else None):
                    return False
                if at is None:
                    # Two who begin at once: the key lets one of them.
                    connection.execute(insert(CONSUMED_PARTITIONS).values(self._row(place, next_offset=after.offset)))
                else:
                    connection.execute(update(CONSUMED_PARTITIONS).where(own).values(next_offset=after.offset))
                self._move_marks(connection, place, before.marks if before else {}, after.marks)
                if result is not None:
                    self._add(connection, place.topic, result)
        except Conflict:
            return False
        return True

    def keep_retried(self, letter: Place, offset: int, topic: str, result: R) -> bool:
        """See ConsumedStore."""
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(RETRIED_LETTERS).values(self._row(letter, offset=offset)))
                self._add(connection, topic, result)
        except Conflict:
            return False
        return True

    def _move_marks(
        self, connection: Connection, place: Place, before: Mapping[str, int], after: Mapping[str, int]
    ) -> None:
        for source, offset in after.items():
            if source not in before:
                connection.execute(insert(CONSUMED_MARKS).values(self._row(place, source=source, log_offset=offset)))
            elif before[source] != offset:
                own = self._own(CONSUMED_MARKS, place) & (CONSUMED_MARKS.c.source == source)
                connection.execute(update(CONSUMED_MARKS).where(own).values(log_offset=offset))

    def _own(self, table: Table, place: Place) -> ColumnElement[bool]:
        at = table.c
        return (at.consumer_group == self._group) & (at.topic == place.topic) & (at.partition == place.partition)

    def _row(self, place: Place, **more: object) -> dict[str, object]:
        return {"consumer_group": self._group, "topic": place.topic, "partition": place.partition, **more}
