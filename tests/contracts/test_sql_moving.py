"""Does all of a SQL store come into another one, whichever engines they are, and however often it is stopped?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Table, func, insert, select

from backends import sql_moving
from backends.sql import open_engine, reading, writing
from backends.sql_moving import SqlMove
from backends.sql_schema import METADATA
from backends.sql_tables_accounts import TENANTS
from common.errors import InvalidInput
from tests.databases import of_kind, open_database
from tests.full_stores import fill

pytestmark = pytest.mark.slow


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


Open = Callable[[str], Engine]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def open_target(request: pytest.FixtureRequest, opened: ExitStack, tmp_path: Path) -> Open:
    """Opens a store by its name; one that is asked for first is empty."""
    opened.enter_context(of_kind(request.param))

    def open_(name: str) -> Engine:
        engine = open_database(tmp_path / name)
        opened.callback(engine.dispose)
        return engine

    return open_


@pytest.fixture
def source(tmp_path: Path, opened: ExitStack) -> Engine:
    engine = open_engine(f"sqlite:///{tmp_path}/source.sqlite")
    opened.callback(engine.dispose)
    return engine


def test_every_table_comes_whole_and_both_sides_say_so(source: Engine, open_target: Open) -> None:
    made = fill(source, 5)
    target = open_target("target")

    sides = SqlMove(source, target, "m1", rows_at_once=2).run()

    assert {name: one.count for name, (one, _) in sides.items()} == made
    assert all(one == other for one, other in sides.values())
    assert len({one.checksum for one, _ in sides.values()}) > 50
    for table in METADATA.sorted_tables:
        with reading(source) as here, reading(target) as there:
            rows = [sorted(map(repr, connection.execute(select(table)).all())) for connection in (here, there)]
        assert rows[0] == rows[1], table.name


def test_a_number_that_was_given_once_is_not_given_again(source: Engine, open_target: Open) -> None:
    made = [{"tenant_id": f"t{at}", "name": f"n{at}", "created_at_ms": at} for at in range(5)]
    with writing(source) as connection:
        connection.execute(insert(TENANTS), made)
        connection.execute(TENANTS.delete().where(TENANTS.c.number > 3))
    target = open_target("target")
    SqlMove(source, target, "m1").run()

    with writing(target) as connection:
        connection.execute(insert(TENANTS), {"tenant_id": "fresh", "name": "fresh", "created_at_ms": 9})
        number = connection.execute(select(func.max(TENANTS.c.number))).scalar()

    assert number == 6


def test_a_move_that_dies_goes_on_where_it_was(
    source: Engine, open_target: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(source, 7)
    target = open_target("target")
    put, portions = SqlMove._put, iter(range(60))
    read: set[str] = set()

    def dies(move: SqlMove, *row: object, whole: bool) -> None:
        if next(portions, None) is None:
            raise KeyboardInterrupt
        put(move, *row, whole=whole)  # type: ignore[arg-type]

    monkeypatch.setattr(SqlMove, "_put", dies)
    with pytest.raises(KeyboardInterrupt):
        SqlMove(source, target, "m1", rows_at_once=3).run()
    monkeypatch.undo()
    portion = sql_moving._portion

    def noted(source: Connection, table: Table, last_key: Sequence[Any], limit: int) -> list[dict[str, Any]]:
        read.add(table.name)
        return portion(source, table, last_key, limit)

    monkeypatch.setattr(sql_moving, "_portion", noted)
    sides = SqlMove(source, target, "m1", rows_at_once=3).run()

    assert all(one == other for one, other in sides.values())
    # What was whole is not read again.
    assert 0 < len(read) < len(METADATA.sorted_tables)


def test_a_target_that_holds_something_is_refused(source: Engine, open_target: Open) -> None:
    fill(source, 2)
    target, other = open_target("target"), open_target("other")
    SqlMove(source, target, "m1").run()
    with pytest.raises(InvalidInput, match="of migration m1"):
        SqlMove(source, target, "m2").run()
    SqlMove(source, target, "m1").forget()

    with pytest.raises(InvalidInput, match="holds rows in"):
        SqlMove(source, target, "m1").run()
    fill(other, 2)
    with pytest.raises(InvalidInput, match="holds rows in"):
        SqlMove(source, other, "m1").run()


def test_what_differs_on_both_sides_shows_in_the_checksums(source: Engine, open_target: Open) -> None:
    fill(source, 3)
    target = open_target("target")
    move = SqlMove(source, target, "m1")
    move.run()
    with writing(target) as connection:
        connection.execute(TENANTS.update().where(TENANTS.c.number == 2).values(name="somebody else"))

    unequal = {name for name, (one, other) in move.run().items() if one != other}

    assert unequal == {"tenants"}
