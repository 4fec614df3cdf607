"""Does a group's store keep results and places together, or neither?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, func, insert, select

from backends.consumed_sql import SqlConsumedStore
from backends.sql_tables_outbox import OUTBOX
from streams.broker_ports import Place
from streams.sifting import Position
from tests.databases import open_database

pytestmark = pytest.mark.on_every_database

PLACE, OTHER = Place("notices", 3), Place("notices", 4)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_database(tmp_path)
    yield opened
    opened.dispose()


def store_of(engine: Engine, group: str = "g") -> SqlConsumedStore[int]:
    """A result is a number of rows in a table that is at hand."""

    def add(connection: Connection, topic: str, result: int) -> None:
        for _ in range(result):
            at = connection.execute(select(func.count()).select_from(OUTBOX)).scalar_one() + 1
            connection.execute(
                insert(OUTBOX).values(sequence=at, topic=topic, fields="{}", written_at_ms=0, sent_at_ms=None)
            )
        if result < 0:
            raise RuntimeError("a mistake in the middle")

    return SqlConsumedStore(engine, group, add)


def results(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(OUTBOX)).scalar_one())


def test_a_place_is_nowhere_at_first_and_moves_with_its_results(engine: Engine) -> None:
    store = store_of(engine)
    first, second = Position(5, {"a": 4}), Position(9, {"a": 7, "b": 0})
    assert store.position(PLACE) is None

    assert store.keep(PLACE, None, first, 2)
    assert store.keep(PLACE, first, second, 1)
    assert store.keep(OTHER, None, Position(1, {"a": 0}), None)

    assert store.position(PLACE) == second
    assert store.position(OTHER) == Position(1, {"a": 0})
    assert results(engine) == 3


def test_who_was_overtaken_adds_nothing(engine: Engine) -> None:
    store = store_of(engine)
    first = Position(5, {"a": 4})
    assert store.keep(PLACE, None, first, 1)

    assert not store.keep(PLACE, None, Position(6, {"a": 5}), 1)
    assert not store.keep(PLACE, Position(4, {"a": 3}), Position(6, {"a": 5}), 1)

    assert store.position(PLACE) == first
    assert results(engine) == 1


def test_a_mistake_in_the_middle_leaves_everything_as_it_was(engine: Engine) -> None:
    store = store_of(engine)

    with pytest.raises(RuntimeError, match="in the middle"):
        store.keep(PLACE, None, Position(5, {"a": 4}), -1)

    assert store.position(PLACE) is None


def test_groups_read_for_themselves(engine: Engine) -> None:
    assert store_of(engine, "one").keep(PLACE, None, Position(5, {"a": 4}), 1)

    assert store_of(engine, "two").position(PLACE) is None


def test_a_dead_letter_is_taken_once(engine: Engine) -> None:
    store = store_of(engine)

    assert store.keep_retried(PLACE, 17, "notices", 2)
    assert not store.keep_retried(PLACE, 17, "notices", 2)
    assert store.keep_retried(PLACE, 18, "notices", 1)

    assert results(engine) == 3


def test_what_was_counted_before_is_said_once_for_each_log(engine: Engine) -> None:
    store = store_of(engine)
    store.begin("notices", "node/a", 40)
    store.begin("notices", "node/a", 99)
    store.begin("notices", "node/b", 0)

    assert store.counted_before("notices") == {"node/a": 40, "node/b": 0}
    assert store.counted_before("auctions") == {}
