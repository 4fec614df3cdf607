from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.event_log_lmdb import LmdbEventLog
from common.errors import InvalidInput
from exchange.pause import paused_answers
from exchange.request import PageView
from streams.schemas import encode
from streams.topics import AUCTIONS
from tests.builders import a_page_view, a_placement
from tests.money_worlds import MoneyWorld, money_world

pytestmark = pytest.mark.on_every_database

TODAY = "2023-11-14"


@pytest.fixture
def money(tmp_path: Path) -> Iterator[MoneyWorld]:
    with money_world(tmp_path) as opened:
        yield opened


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LmdbEventLog]:
    opened = LmdbEventLog(tmp_path / "log", map_size_bytes=1 << 24)
    yield opened
    opened.close()


def held(money: MoneyWorld, log: LmdbEventLog, *views: PageView) -> None:
    now_ms = money.world.clock.now_ms()
    _, columns = paused_answers(views, list(range(len(views))), held_at_ms=now_ms, currency="EUR")
    # One placement of the batch is sold.
    columns.winner_row_plus_one[0] = 1
    log.append(AUCTIONS.name, [encode(columns)], now_ms)


def test_offers_sales_and_revenue_stand_side_by_side(money: MoneyWorld, log: LmdbEventLog) -> None:
    view = a_page_view(
        publisher_id="shop", placements=(a_placement(placement_id="top"), a_placement(placement_id="left"))
    )
    held(money, log, view, view, a_page_view(publisher_id="", placements=(a_placement(placement_id="top"),)))
    money.spend(1_000)
    money.spend(0, kind=2)

    assert money.revenue.count_once(log) == 1
    assert money.revenue.count_once(log) == 0

    left, top = money.revenue.report("shop", TODAY, TODAY).items
    assert (top.placement_id, top.offered, top.sold, top.impressions, top.clicks) == ("top", 2, 1, 1, 1)
    assert (top.revenue_micros, top.ecpm_micros, top.fill) == (800, 800_000, 0.5)
    assert (left.placement_id, left.offered, left.revenue_micros, left.ecpm_micros) == ("left", 2, 0, 0)
    (unknown,) = money.revenue.report("unknown", TODAY, TODAY).items
    assert unknown.offered == 1


def test_tests_were_neither_offered_nor_sold(money: MoneyWorld, log: LmdbEventLog) -> None:
    top = (a_placement(placement_id="top"),)
    tried, real = a_page_view(publisher_id="shop", placements=top, test=True), a_page_view(publisher_id="shop")
    # The first placement of the batch, of the test, is the one that is sold.
    held(money, log, tried, replace(real, placements=top), replace(real, placements=top))
    held(money, log, tried)

    assert money.revenue.count_once(log) == 2

    (row,) = money.revenue.report("shop", TODAY, TODAY).items
    assert (row.placement_id, row.offered, row.sold) == ("top", 2, 0)


def test_rows_add_up_by_day_and_by_placement(money: MoneyWorld) -> None:
    for _ in range(3):
        money.spend(1_000, placement="top")
        money.spend(500, placement="left")
        money.world.clock.step(86_400_000)

    by_day = money.revenue.report("shop", TODAY, "2023-11-30", by_placement=False).items
    by_placement = money.revenue.report("shop", TODAY, "2023-11-30", by_day=False).items
    first = money.revenue.report("shop", TODAY, "2023-11-30", page_size=4)
    second = money.revenue.report("shop", TODAY, "2023-11-30", page_size=4, page_token=first.next_page_token)

    assert [row.revenue_micros for row in by_day] == [1_200] * 3
    assert [(row.placement_id, row.revenue_micros) for row in by_placement] == [("left", 1_200), ("top", 2_400)]
    assert (len(first.items), len(second.items)) == (4, 2)
    owed = {line.account: -line.balance_micros for line in money.balances.trial_balance()}["publisher_payable"]
    assert owed == sum(row.revenue_micros for row in [*first.items, *second.items])


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [("2023-13-01", TODAY, "from"), (TODAY, "٢٠٢٣", "to"), (TODAY, "2023-11-13", "to"), ("2000-01-01", TODAY, "to")],
)
def test_days_that_make_no_sense_are_named(money: MoneyWorld, first: str, last: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        money.revenue.report("shop", first, last)

    assert [error.field for error in caught.value.errors] == [field]
