"""Does a store of one node go on when nodes have names, and can it be put back?"""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

import backends
from backends.budget_ledger_sql import SqlBudgetLedger
from backends.follower_offsets_sql import SqlFollowerOffsets
from backends.outgoing_sql import SqlOutgoingStore
from backends.reports_sql import SqlReportStore
from backends.revenue_sql import SqlRevenueStore
from backends.sql import open_engine
from backends.sql_schema import METADATA
from backends.statistics_sql import SqlStatisticsStore
from exchange.ports import Spend
from exchange.report_counts import Counts
from streams.topics import NOTICES
from tests.databases import database_url

pytestmark = pytest.mark.on_every_database


def migrated(engine: Engine, to: str, *, down: bool = False) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(backends.__file__).parent / "migrations"))
    config.attributes["metadata"] = METADATA
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, to)


def counted(engine: Engine) -> list[object]:
    ledger = SqlBudgetLedger(engine)
    return [
        ledger.counted_upto(),
        ledger.carried(),
        SqlStatisticsStore(engine).counted_upto(),
        SqlRevenueStore(engine).offers_counted_upto(),
        SqlReportStore(engine).read_upto(NOTICES.name),
        SqlOutgoingStore(engine).read_upto(NOTICES.name),
        SqlFollowerOffsets(engine, "moderation").read_upto("posts"),
    ]


def test_what_one_node_counted_stays_counted_up_and_down(tmp_path: Path) -> None:
    engine = open_engine(database_url(tmp_path))
    spend = Spend(0, 0, 0, 1, kind=1, bidder="outside")
    SqlBudgetLedger(engine).settle("exchange-1", [spend], 7, carried={3: 250, "outside": 999})
    assert SqlStatisticsStore(engine).add([], 0, 5, 1)
    assert SqlRevenueStore(engine).add_offers({}, 0, 6)
    assert SqlReportStore(engine).add(NOTICES.name, Counts(), 0, 4)
    assert SqlOutgoingStore(engine).enqueue(NOTICES.name, [], 0, 3, 1)
    assert SqlFollowerOffsets(engine, "moderation").move("posts", 0, 2)
    SqlBudgetLedger(engine, node="exchange-2").settle("exchange-2", [spend], 70, carried={3: 1})
    before = counted(engine)
    assert before == [7, {3: 250, "outside": 999}, 5, 6, 4, 3, 2]

    migrated(engine, "0012_social", down=True)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT upto_offset FROM notices_counted")).scalars().all() == [7]
        assert connection.execute(text("SELECT counter FROM statistics_counted")).scalars().all() == [0]
    migrated(engine, "head")

    assert counted(engine) == before
    assert SqlBudgetLedger(engine, node="exchange-2").counted_upto() == 0
    engine.dispose()


def test_nodes_with_leases_are_not_forgotten(tmp_path: Path) -> None:
    engine = open_engine(database_url(tmp_path))
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO budget_leases VALUES ('exchange-2', 1, 5, 0)"))
    with pytest.raises(RuntimeError, match="nodes other than exchange-1 have leases"):
        migrated(engine, "0012_social", down=True)
    engine.dispose()
