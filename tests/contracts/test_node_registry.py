"""Do nodes know each other: who holds a name, who is away, whose turn it is, and whose leases come back?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from backends.budget_ledger_sql import SqlBudgetLedger
from backends.nodes_sql import SqlNodeRegistry
from backends.sql_tables_nodes import DUTIES, NODES
from common.clock import SteppedClock
from common.errors import Conflict
from exchange.holds import Terms
from exchange.nodes import Claim, Membership
from exchange.ports import Budget, Spend
from tests.databases import open_database

pytestmark = pytest.mark.on_every_database

ONE = Claim("exchange-1", "log-1", "here", "process-1")
TWO = Claim("exchange-2", "log-2", "there", "process-2")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def registry(engine: Engine) -> SqlNodeRegistry:
    return SqlNodeRegistry(engine)


def rest(engine: Engine, name: str, ms: int) -> None:
    """The node's heartbeat is so much older."""
    with engine.begin() as connection:
        older = NODES.c.heartbeat_at_ms - ms
        connection.execute(update(NODES).where(NODES.c.name == name).values(heartbeat_at_ms=older))


def test_each_name_has_a_number_for_ever(registry: SqlNodeRegistry) -> None:
    assert registry.claim(ONE).number == 1
    assert registry.claim(TWO).number == 2
    registry.let_go(ONE)
    assert registry.claim(ONE).number == 1
    assert [(node.name, node.number) for node in registry.nodes()] == [("exchange-1", 1), ("exchange-2", 2)]


def test_a_living_name_is_refused_to_another_folder_and_a_killed_process_begins_at_once(
    engine: Engine, registry: SqlNodeRegistry
) -> None:
    registry.claim(ONE)
    with pytest.raises(Conflict, match="held by another process"):
        registry.claim(Claim("exchange-1", "log-9", "elsewhere", "process-9"))
    # A copy of the folder somewhere else.
    with pytest.raises(Conflict, match="held by another process"):
        registry.claim(Claim("exchange-1", "log-1", "elsewhere", "process-9"))
    # The lock of the folder says that the process before is dead.
    registry.claim(Claim("exchange-1", "log-1", "here", "process-2"))
    assert not registry.beat(ONE, "a:1")

    rest(engine, "exchange-1", 60_000)
    registry.claim(Claim("exchange-1", "log-1", "moved", "process-3"))
    rest(engine, "exchange-1", 60_000)
    with pytest.raises(Conflict, match="has its log in another data folder"):
        registry.claim(Claim("exchange-1", "log-9", "elsewhere", "process-9"))


def test_a_duty_is_one_process_at_a_time(engine: Engine, registry: SqlNodeRegistry) -> None:
    assert registry.take_turn("relay", "a")
    assert not registry.take_turn("relay", "b")
    assert registry.take_turn("relay", "a")
    with engine.begin() as connection:
        connection.execute(update(DUTIES).values(until_ms=DUTIES.c.until_ms - 60_000))
    assert registry.take_turn("relay", "b")
    assert not registry.take_turn("relay", "a")


def test_leases_of_a_node_come_back_when_it_was_away_for_longer_than_said(
    engine: Engine, registry: SqlNodeRegistry
) -> None:
    ledger = SqlBudgetLedger(engine, node="exchange-2")
    ledger.put_budget(Budget(7, 1_000, 0, "EUR", "UTC"))
    registry.claim(ONE)
    registry.claim(TWO)
    ledger.lease("exchange-2", {7: 600}, 0)
    rest(engine, "exchange-2", 4_000)
    assert registry.write_off(60_000) == []
    assert ledger.state(7, 0).leased_micros == 600

    assert registry.write_off(3_000) == ["exchange-2"]

    assert ledger.state(7, 0).leased_micros == 0
    assert registry.write_off(3_000) == []
    assert not registry.beat(TWO, "a:1")
    # What it billed meanwhile must not come out of what others have by now.
    with pytest.raises(Conflict, match="was written off"):
        ledger.settle("exchange-2", [Spend(7, 1, 100, 1, kind=1)], 1)
    assert registry.claim(TWO).written_off
    registry.welcome("exchange-2")
    assert registry.beat(TWO, "a:1")
    ledger.settle("exchange-2", [], 1)


def test_a_node_that_is_not_heard_of_sells_no_more(registry: SqlNodeRegistry) -> None:
    clock = SteppedClock(0)
    node = Membership(registry, ONE, clock, Terms(), alone_s=60)
    clock.step(59_000)
    assert not node.fenced
    node.beat()
    clock.step(59_000)
    assert not node.fenced
    clock.step(2_000)
    assert node.fenced
    node.beat()
    assert not node.fenced
    registry.claim(Claim("exchange-1", "log-1", "here", "process-2"))
    node.beat()
    assert node.lost
    assert node.fenced
