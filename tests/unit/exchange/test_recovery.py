from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.budget_ledger_sql import SqlBudgetLedger
from backends.event_log_lmdb import LmdbEventLog
from common.clock import SteppedClock
from common.errors import BackendUnavailable
from exchange.billing import Kind, Notice, Verdict
from exchange.budgets import BudgetBook
from exchange.holds import Hold, Holds, Terms
from exchange.invalid_traffic import Validity
from exchange.notices import Notices
from exchange.ports import CAMPAIGN_ACCOUNTS, Budget, Spend
from exchange.recovery import Recovered, recover, won_batch
from exchange.request import PricingModel
from exchange.spend import SpendProjector
from streams.ports import Record
from streams.schemas import decode, encode
from tests.databases import open_database
from tests.won_batches import FACTS, Sold, a_batch, columns_of, reserve

pytestmark = pytest.mark.on_every_database

NOON = int(datetime(2026, 3, 5, 12, tzinfo=UTC).timestamp() * 1000)
TERMS = Terms(unseen_ms=100, seen_ms=60_000, clicked_ms=600_000)
CPM = Sold(line_item=3, price_micros=2_500)
CPC = Sold(1, 400_000, PricingModel.CPC, page=1, index=3)
CPA = Sold(2, 3_000_000, PricingModel.CPA, page=1, index=1)
OUTSIDE = Sold(0, 1_500, page=2)


class Store:
    """What outlives a process: the ledger, the log, the time."""

    def __init__(self, folder: Path) -> None:
        self.engine = open_database(folder)
        self.ledger = SqlBudgetLedger(self.engine, least_lease_micros=1_000)
        self.log = LmdbEventLog(folder / "log", map_size_bytes=1 << 26)
        self.clock = SteppedClock(NOON)


class Process:
    """One process after a start; the next one is started beside it as if it had been killed."""

    def __init__(self, store: Store, holder: str = "a") -> None:
        self.store = store
        self.book = BudgetBook(store.ledger, holder, store.clock)
        self.holds = Holds(TERMS)
        self.recovered: Recovered = recover(
            log=store.log,
            ledger=store.ledger,
            holds=self.holds,
            book=self.book,
            facts=FACTS,
            now_ms=store.clock.now_ms(),
        )
        self.notices = Notices(
            holds=self.holds,
            book=self.book,
            clock=store.clock,
            record=lambda event: self.append("notices", encode(event)),
            sync=store.log.sync,
            remember=lambda *_: None,
            carried=self.recovered.carried,
        )

    def append(self, topic: str, payload: bytes) -> None:
        self.store.log.append(topic, [payload], self.store.clock.now_ms())

    async def sell(self, *sold: Sold, visitor_id: str = "") -> list[str]:
        for account in (1, 2, 3, CAMPAIGN_ACCOUNTS + 1):
            self.book.row_of(account)
        await self.book.top_up()
        assert all(reserve(self.book, entry) for entry in sold)
        batch, ids = a_batch(self.book, self.store.clock.now_ms(), sold, visitor_id)
        self.append("auctions", encode(columns_of(batch)))
        self.holds.add(batch)
        return ids

    def ads(self, ids: list[str]) -> list[Hold]:
        """With accounts in place of rows, which are another process's own."""
        accounts = [*self.book.accounts(), -1]
        found = [hold for hold in map(self.holds.find, ids) if hold]
        assert len(found) == len(ids)
        return [
            replace(hold, line_item_row=accounts[hold.line_item_row], campaign_row=accounts[hold.campaign_row])
            for hold in found
        ]

    async def say(self, *notices: Notice) -> list[Verdict]:
        return [outcome.verdict for outcome in await self.notices.take(notices)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.log.close()
    store.engine.dispose()


def seen(impression_id: str) -> Notice:
    return Notice(Kind.IMPRESSION, impression_id)


def clicked(impression_id: str) -> Notice:
    return Notice(Kind.CLICK, impression_id)


def bought(impression_id: str, order_id: str) -> Notice:
    return Notice(Kind.CONVERSION, impression_id, order_id)


def test_an_empty_store_recovers_to_nothing(store: Store) -> None:
    process = Process(store)

    assert process.recovered == Recovered({}, 0, 0, 0, 0)


async def test_a_recorded_batch_is_read_as_it_was_held(store: Store) -> None:
    process = Process(store)
    ids = await process.sell(CPM, CPC, CPA, OUTSIDE, visitor_id="v")

    (record,) = store.log.read("auctions", 0)
    again = Holds(TERMS)
    again.add(won_batch(decode("auctions", record), process.book, FACTS))  # type: ignore[arg-type]

    assert [again.find(i) for i in ids] == [process.holds.find(i) for i in ids]
    assert None not in [again.find(i) for i in ids]


async def test_open_ads_are_open_after_a_crash(store: Store) -> None:
    first = Process(store)
    ids = await first.sell(CPM, CPC, CPA, OUTSIDE, visitor_id="v")
    await first.say(seen(ids[0]), clicked(ids[2]), bought(ids[2], "1"))

    second = Process(store)

    assert second.ads(ids) == first.ads(ids)
    assert second.recovered.open_ads == 4
    for account in (1, 2, 3, CAMPAIGN_ACCOUNTS + 1):
        assert second.book.standing(account).reserved_micros == first.book.standing(account).reserved_micros
        assert second.book.standing(account).available_micros == first.book.standing(account).available_micros


async def test_what_was_acknowledged_is_a_duplicate_after_a_crash(store: Store) -> None:
    first = Process(store)
    ids = await first.sell(CPM, CPC, CPA, OUTSIDE)
    said = [seen(ids[0]), clicked(ids[1]), bought(ids[2], "1"), bought(ids[2], "2"), seen(ids[3])]
    assert await first.say(*said) == [Verdict.ACCEPTED] * 5

    second = Process(store)

    assert await second.say(*said) == [Verdict.DUPLICATE] * 5
    assert await second.say(bought(ids[2], "3")) == [Verdict.ACCEPTED]


async def test_remainders_go_on_where_they_were(store: Store) -> None:
    first = Process(store)
    (ad, other) = await first.sell(CPM, OUTSIDE)
    await first.say(seen(ad), seen(other))

    second = Process(store)
    assert second.recovered.carried == {3: 500, "outside": 500}
    (ad,) = await second.sell(CPM)

    assert [o.billed_micros for o in await second.notices.take([seen(ad)])] == [3]


async def test_what_was_invalid_leaves_no_remainder(store: Store) -> None:
    first = Process(store)
    (impression_id,) = await first.sell(CPM)
    by_a_robot = Notice(Kind.IMPRESSION, impression_id, validity=Validity.BOT_AGENT)
    assert await first.say(by_a_robot) == [Verdict.INVALID]

    assert Process(store).recovered.carried == {}


async def test_the_ledger_is_caught_up_before_anything_else(store: Store) -> None:
    first = Process(store)
    (ad,) = await first.sell(CPC)
    await first.say(clicked(ad))
    assert store.ledger.state(1, NOON).spent_total_micros == 0

    second = Process(store)

    assert second.recovered.counted_records == 1
    assert store.ledger.state(1, NOON).spent_total_micros == 400_000
    assert store.ledger.leases_of("a")[0][1] == second.book.standing(1).leased_micros


async def test_what_ran_out_meanwhile_is_free_again(store: Store) -> None:
    first = Process(store)
    (ad,) = await first.sell(CPM)

    store.clock.step(100)
    second = Process(store)

    assert second.holds.find(ad) is None
    assert second.book.standing(3).reserved_micros == 0
    assert await second.say(seen(ad)) == [Verdict.EXPIRED]


async def test_ads_that_were_seen_are_found_among_many_auctions(store: Store) -> None:
    first = Process(store)
    waited_for = []
    for at in range(300):
        ids = await first.sell(Sold(3, 1_000), Sold(3, 1_000, index=1))
        if at % 50 == 0:
            await first.say(seen(ids[1]))
            waited_for.append(ids[1])
        store.clock.step(90)

    second = Process(store)

    assert second.recovered.missing == 0
    assert second.ads(waited_for) == first.ads(waited_for)


async def test_an_ad_whose_auction_is_gone_is_counted_as_missing(store: Store) -> None:
    first = Process(store)
    (ad,) = await first.sell(CPM)
    await first.say(seen(ad))
    store.log.drop_before("auctions", 1)

    second = Process(store)

    assert second.recovered.missing == 1
    assert second.holds.find(ad) is None


async def test_a_day_that_was_billed_in_stays_over_after_a_restart(store: Store) -> None:
    first = Process(store)
    (ad,) = await first.sell(CPM)
    store.clock.step(50)
    await first.say(seen(ad))

    store.clock.step(-60_000)
    second = Process(store)

    assert second.book.now_ms() == NOON + 50


async def test_a_day_that_was_leased_in_stays_over_after_a_restart(store: Store) -> None:
    await Process(store).sell()

    store.clock.step(-60_000)

    assert Process(store).book.now_ms() == NOON


async def test_lowered_limits_leave_what_is_reserved_uncovered_and_unbilled(store: Store) -> None:
    store.ledger.put_budget(Budget(1, 1_000_000, 0, "EUR", "UTC"))
    first = Process(store)
    (ad,) = await first.sell(CPC)
    await first.book.give_back_all()
    store.ledger.give_back_all("a")  # an operator ended all leases
    store.ledger.put_budget(Budget(1, 5_000, 0, "EUR", "UTC"))

    second = Process(store)

    assert second.book.standing(1).available_micros == 5_000 - 20_000
    assert await second.say(clicked(ad)) == [Verdict.BEYOND_BUDGET]
    assert second.book.standing(1).available_micros == 5_000


async def test_leases_of_dead_holders_end(store: Store) -> None:
    store.ledger.lease("dead", {1: 10}, NOON)
    book = BudgetBook(store.ledger, "a", store.clock)

    recover(
        log=store.log, ledger=store.ledger, holds=Holds(), book=book, facts=FACTS, now_ms=NOON, dead_holders=["dead"]
    )

    assert store.ledger.holders() == []


async def test_projecting_twice_counts_once(store: Store) -> None:
    process = Process(store)
    (ad,) = await process.sell(CPC)
    await process.say(clicked(ad))
    projector = SpendProjector(store.log, store.ledger, "a")

    assert [projector.catch_up(), projector.catch_up()] == [1, 0]
    assert store.ledger.state(CAMPAIGN_ACCOUNTS + 1, NOON).spent_total_micros == 400_000


async def test_two_callers_at_once_count_one_after_the_other(store: Store) -> None:
    process = Process(store)
    (ad,) = await process.sell(CPC)
    await process.say(clicked(ad))
    inside, most, both = 0, 0, threading.Event()

    class Slow(LmdbEventLog):
        def read(self, topic: str, offset: int, limit: int = 1000) -> list[Record]:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            if inside > 1:
                both.set()
            both.wait(0.2)  # as long as a second one would need to come in
            inside -= 1
            return super().read(topic, offset, limit)

    store.log.__class__ = Slow
    projector = SpendProjector(store.log, store.ledger, "a")

    counted = await asyncio.gather(*(asyncio.to_thread(projector.catch_up) for _ in range(2)))

    assert most == 1
    assert sorted(counted) == [0, 1]
    assert store.ledger.state(1, NOON).spent_total_micros == 400_000


async def test_an_unreadable_record_is_passed_over_and_counted(store: Store) -> None:
    store.log.append("notices", [b"\xff\xff\xff"], NOON)
    projector = SpendProjector(store.log, store.ledger, "a")

    assert projector.catch_up() == 1
    assert projector.unreadable == 1
    assert Process(store).recovered.counted_records == 0


async def test_a_ledger_that_is_ahead_of_its_log_is_refused(store: Store) -> None:
    store.ledger.settle("a", [Spend(1, 1, 5, NOON, 1)], 3)

    with pytest.raises(BackendUnavailable, match="restored from an older copy"):
        Process(store)


async def test_nothing_is_counted_that_the_log_could_still_lose(store: Store) -> None:
    steps: list[str] = []

    class Watched(LmdbEventLog):
        def sync(self) -> None:
            steps.append("sync")
            super().sync()

        def read(self, topic: str, offset: int, limit: int = 1000) -> list[Record]:
            steps.append("read")
            return super().read(topic, offset, limit)

    process = Process(store)
    (ad,) = await process.sell(CPC)
    await process.say(clicked(ad))
    store.log.__class__ = Watched

    SpendProjector(store.log, store.ledger, "a").catch_up()

    assert steps == ["sync", "read"]
