from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine

from backends.outbox_sql import OutboxEvent, OutboxRelay, append, newest_sequence
from backends.sql import reading, writing
from common.clock import SteppedClock
from common.errors import BackendUnavailable
from tests.databases import open_database

pytestmark = pytest.mark.on_every_database


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_database(tmp_path)
    yield opened
    opened.dispose()


class Told:
    """A log that can be out of order."""

    def __init__(self) -> None:
        self.events: list[OutboxEvent] = []
        self.broken = False

    def publish(self, events: Sequence[OutboxEvent]) -> None:
        if self.broken:
            raise BackendUnavailable("the disk is full")
        self.events += events


def write(engine: Engine, *names: str) -> list[int]:
    with writing(engine) as connection:
        return append(connection, "things", [{"name": name} for name in names], 5)


def relay_of(engine: Engine, told: Told, batch: int = 500) -> OutboxRelay:
    return OutboxRelay(engine=engine, clock=SteppedClock(), publish=told.publish, batch=batch)


def test_events_are_told_once_in_the_order_they_were_written(engine: Engine) -> None:
    told = Told()
    relay = relay_of(engine, told, batch=2)
    assert write(engine, "a", "b") == [1, 2]
    assert write(engine) == []
    assert write(engine, "c") == [3]

    assert [relay.relay_once() for _ in range(3)] == [2, 1, 0]

    assert told.events == [OutboxEvent(n, "things", {"name": name}) for n, name in enumerate("abc", 1)]


def test_what_was_undone_is_not_told_and_leaves_no_gap(engine: Engine) -> None:
    told = Told()
    write(engine, "a")

    def break_down() -> None:
        with writing(engine) as connection:
            append(connection, "things", [{"name": "undone"}], 5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_down()
    write(engine, "b")

    assert relay_of(engine, told).relay_once() == 2
    assert [(event.sequence, event.fields["name"]) for event in told.events] == [(1, "a"), (2, "b")]
    with reading(engine) as connection:
        assert newest_sequence(connection) == 2


def test_a_log_that_is_down_is_told_later(engine: Engine) -> None:
    told = Told()
    relay = relay_of(engine, told)
    write(engine, "a")
    told.broken = True
    with pytest.raises(BackendUnavailable):
        relay.relay_once()
    told.broken = False

    assert relay.relay_once() == 1


def test_a_crash_before_the_mark_tells_the_same_sequence_again(engine: Engine) -> None:
    told = Told()

    class Crashing(SteppedClock):
        def now_ms(self) -> int:
            raise KeyboardInterrupt

    write(engine, "a")
    with pytest.raises(KeyboardInterrupt):
        OutboxRelay(engine=engine, clock=Crashing(), publish=told.publish).relay_once()

    relay_of(engine, told).relay_once()
    assert [event.sequence for event in told.events] == [1, 1]
