from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from backends.budget_ledger_sql import SqlBudgetLedger
from common.clock import SteppedClock
from common.errors import BackendUnavailable, InvalidInput
from common.ids import new_id
from exchange.billing import MAX_ORDERS, Known, decide
from exchange.budgets import BudgetBook
from exchange.holds import Hold, Holds, Terms
from exchange.notices import MAX_GROUP, Kind, Notice, NoticeOutcome, Notices, Verdict
from exchange.ports import CAMPAIGN_ACCOUNTS, Budget
from exchange.request import PricingModel
from streams.schemas import NoticesTaken
from tests.databases import open_database
from tests.won_batches import Sold, a_batch, reserve, reserve_of

pytestmark = pytest.mark.on_every_database

TERMS = Terms(unseen_ms=100, seen_ms=1_000, clicked_ms=10_000)
CAMPAIGN = CAMPAIGN_ACCOUNTS + 1


class Desk:
    """Everything that notices touch, with a log that is a list and can be told to fail."""

    def __init__(self, ledger: SqlBudgetLedger) -> None:
        self.ledger = ledger
        self.clock = SteppedClock()
        self.book = BudgetBook(ledger, "a", self.clock)
        self.holds = Holds(TERMS)
        self.log: list[NoticesTaken] = []
        self.syncs = 0
        self.full = False
        self.sync_fails = False
        self.remembered: list[tuple[str, int, int]] = []
        self.notices = Notices(
            holds=self.holds,
            book=self.book,
            clock=self.clock,
            record=self.record,
            sync=self.sync,
            remember=lambda hold, at_ms: self.remembered.append((hold.visitor_id, hold.line_item_number, at_ms)),
            carried={},
        )

    def record(self, event: NoticesTaken) -> None:
        if self.full:
            raise BackendUnavailable("the disk is full")
        self.log.append(event)

    def sync(self) -> None:
        self.syncs += 1
        if self.sync_fails:
            raise BackendUnavailable("the disk does not answer")

    async def sell(self, *sold: Sold, visitor_id: str = "") -> list[str]:
        for entry in sold:
            for account in (entry.line_item, CAMPAIGN):
                self.book.row_of(account)
        await self.book.top_up()
        assert all(reserve(self.book, entry) for entry in sold)
        batch, ids = a_batch(self.book, self.clock.now_ms(), sold, visitor_id)
        self.holds.add(batch)
        return ids

    def limit(self, account: int, total: int) -> None:
        self.ledger.put_budget(Budget(account, total, 0, "EUR", "UTC"))

    def billed(self) -> int:
        return sum(notice.billed_micros for event in self.log for notice in event.notices)

    def check(self) -> None:
        """Nothing is lost between what is leased, spent, reserved and available."""
        reserved = self.holds.reserved_by_row()
        for account in self.book.accounts():
            assert self.book.standing(account).reserved_micros == reserved.get(self.book.row_of(account), 0)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    engine = open_database(tmp_path)
    yield Desk(SqlBudgetLedger(engine))
    engine.dispose()


def seen(impression_id: str) -> Notice:
    return Notice(Kind.IMPRESSION, impression_id)


def clicked(impression_id: str) -> Notice:
    return Notice(Kind.CLICK, impression_id)


def bought(impression_id: str, order_id: str = "1") -> Notice:
    return Notice(Kind.CONVERSION, impression_id, order_id)


def viewed(impression_id: str) -> Notice:
    return Notice(Kind.VIEWABLE, impression_id)


def verdicts(outcomes: list[NoticeOutcome]) -> list[tuple[Verdict, int]]:
    return [(outcome.verdict, outcome.billed_micros) for outcome in outcomes]


CPM = Sold(line_item=3, price_micros=2_500)
CPC = Sold(line_item=1, price_micros=400_000, pricing=PricingModel.CPC)
CPA = Sold(line_item=2, price_micros=3_000_000, pricing=PricingModel.CPA)


VCPM = Sold(line_item=3, price_micros=2_000_600, pricing=PricingModel.VCPM)


async def test_an_impression_is_billed_once_with_its_remainder_carried(desk: Desk) -> None:
    ids = await desk.sell(CPM, Sold(3, 2_500, index=1), Sold(3, 2_500, index=2))

    assert verdicts(await desk.notices.take([seen(i) for i in ids])) == [
        (Verdict.ACCEPTED, 2), (Verdict.ACCEPTED, 3), (Verdict.ACCEPTED, 2),
    ]  # fmt: skip
    assert verdicts(await desk.notices.take([seen(ids[0])])) == [(Verdict.DUPLICATE, 0)]
    assert [notice.carried_thousandths for notice in desk.log[0].notices] == [500, 0, 500]
    assert desk.book.standing(3).spent_micros == desk.book.standing(CAMPAIGN).spent_micros == 7
    desk.check()


@pytest.mark.parametrize(
    ("speaker", "verdict"), [("shop", Verdict.ACCEPTED), ("", Verdict.ACCEPTED), ("other shop", Verdict.UNKNOWN)]
)
def test_a_storefront_speaks_of_the_ads_on_its_own_pages(speaker: str, verdict: Verdict) -> None:
    ad = "018bcfe5680070008000000000000001.0"
    hold = Hold(
        ad, 0, 7, 1, -1, -1, PricingModel.CPM, 5_000, 5, "EUR", "", "", "brand", "", publisher_id="shop"
    )  # fmt: skip
    known = Known(find={ad: hold}.get, terms=TERMS, carried={}, available=lambda _: 0)

    decision = decide([Notice(Kind.IMPRESSION, ad, publisher_id=speaker)], known, now_ms=1, taken_at_ms=1)

    assert [outcome.verdict for outcome in decision.outcomes] == [verdict]
    assert len(decision.taken) == (verdict == Verdict.ACCEPTED)


async def test_a_notice_said_twice_at_once_is_billed_once(desk: Desk) -> None:
    (ad,) = await desk.sell(CPM)

    assert verdicts(await desk.notices.take([seen(ad), seen(ad)])) == [(Verdict.ACCEPTED, 2), (Verdict.DUPLICATE, 0)]
    assert len(desk.log) == 1


async def test_a_click_is_billed_in_full_beyond_what_was_reserved(desk: Desk) -> None:
    (ad,) = await desk.sell(CPC)

    outcomes = await desk.notices.take([seen(ad), clicked(ad), clicked(ad)])

    assert verdicts(outcomes) == [(Verdict.ACCEPTED, 0), (Verdict.ACCEPTED, 400_000), (Verdict.DUPLICATE, 0)]
    assert desk.book.standing(1).spent_micros == 400_000
    assert desk.book.standing(1).reserved_micros == 0
    desk.check()


async def test_a_click_implies_its_impression_which_is_billed_first(desk: Desk) -> None:
    (ad,) = await desk.sell(CPM, visitor_id="v")

    outcomes = await desk.notices.take([clicked(ad), seen(ad)])

    assert verdicts(outcomes) == [(Verdict.ACCEPTED, 2), (Verdict.DUPLICATE, 0)]
    assert [(n.kind, n.billed_micros) for n in desk.log[0].notices] == [(Kind.IMPRESSION, 2), (Kind.CLICK, 0)]
    assert desk.remembered == [("v", 3, desk.clock.now_ms())]


async def test_each_order_is_billed_once(desk: Desk) -> None:
    (ad,) = await desk.sell(CPA)

    outcomes = await desk.notices.take([bought(ad, "1"), bought(ad, "1"), bought(ad, "2"), clicked(ad)])

    assert verdicts(outcomes) == [
        (Verdict.ACCEPTED, 3_000_000), (Verdict.DUPLICATE, 0), (Verdict.ACCEPTED, 3_000_000), (Verdict.ACCEPTED, 0),
    ]  # fmt: skip
    desk.check()


async def test_an_ad_takes_only_so_many_orders(desk: Desk) -> None:
    (ad,) = await desk.sell(CPM)
    await desk.notices.take([bought(ad, str(order)) for order in range(MAX_ORDERS)])

    assert verdicts(await desk.notices.take([bought(ad, "more")])) == [(Verdict.EXPIRED, 0)]


async def test_what_is_in_view_is_billed_once_and_the_impression_is_not(desk: Desk) -> None:
    ad, other = await desk.sell(VCPM, replace(VCPM, index=1))

    assert verdicts(await desk.notices.take([seen(ad)])) == [(Verdict.ACCEPTED, 0)]
    assert desk.holds.find(ad).left_micros == reserve_of(VCPM)  # type: ignore[union-attr]
    # Who is in view was seen, which costs nothing by itself.
    assert verdicts(await desk.notices.take([viewed(ad), viewed(ad), viewed(other)])) == [
        (Verdict.ACCEPTED, 2000), (Verdict.DUPLICATE, 0), (Verdict.ACCEPTED, 2001),
    ]  # fmt: skip
    # 2000.6 micros each: the thousandths of the first are paid with the second.
    assert desk.billed() == 4001
    assert {notice.carried_thousandths for notice in desk.log[-1].notices if notice.kind == Kind.VIEWABLE} == {600, 200}
    assert desk.holds.find(ad).left_micros == 0  # type: ignore[union-attr]
    desk.check()


async def test_what_never_came_into_view_gives_its_money_back(desk: Desk) -> None:
    (ad,) = await desk.sell(VCPM)
    await desk.notices.take([seen(ad)])
    row = desk.book.row_of(VCPM.line_item)
    before = int(desk.book.available[row])

    desk.clock.step(TERMS.seen_ms)
    desk.notices.expire()

    assert int(desk.book.available[row]) == before + reserve_of(VCPM)
    assert verdicts(await desk.notices.take([viewed(ad)])) == [(Verdict.EXPIRED, 0)]
    assert desk.billed() == 0


async def test_in_view_beyond_the_budget_is_recorded_and_not_billed(desk: Desk) -> None:
    desk.limit(VCPM.line_item, reserve_of(VCPM))
    (ad,) = await desk.sell(VCPM)

    # What is expected was reserved, half of what it costs when it is in view, and more is not there.
    assert verdicts(await desk.notices.take([viewed(ad)])) == [(Verdict.BEYOND_BUDGET, 0)]
    assert desk.billed() == 0
    desk.check()


async def test_an_outside_bid_is_billed_to_its_bidder(desk: Desk) -> None:
    ids = await desk.sell(Sold(0, 1_500), Sold(0, 1_500, index=1))

    outcomes = await desk.notices.take([seen(i) for i in ids])

    assert [outcome.billed_micros for outcome in outcomes] == [1, 2]
    assert {(n.bidder, n.advertiser_domain, n.line_item_number) for n in desk.log[0].notices} == {
        ("outside", "shop.example", 0)
    }


@pytest.mark.parametrize("unknown", ["", "x", "0" * 32 + ".0", "f" * 32 + ".0", "g" * 32 + ".0", "1" * 200])
async def test_what_was_never_given_out_is_unknown(desk: Desk, unknown: str) -> None:
    assert verdicts(await desk.notices.take([seen(unknown)])) == [(Verdict.UNKNOWN, 0)]
    assert desk.log == []


async def test_a_placement_that_was_not_sold_is_unknown(desk: Desk) -> None:
    (ad,) = await desk.sell(CPM)

    assert verdicts(await desk.notices.take([seen(ad[:33] + "7")])) == [(Verdict.UNKNOWN, 0)]
    assert verdicts(await desk.notices.take([seen(new_id(desk.clock.now_ms()) + ".0")])) == [(Verdict.UNKNOWN, 0)]


@pytest.mark.parametrize("swept", [False, True])
async def test_an_impression_after_its_term_is_expired(desk: Desk, swept: bool) -> None:
    (ad,) = await desk.sell(CPM)
    desk.clock.step(100)
    if swept:
        assert desk.notices.expire() == 1
        assert desk.book.standing(3).reserved_micros == 0

    assert verdicts(await desk.notices.take([seen(ad)])) == [(Verdict.EXPIRED, 0)]
    assert desk.log == []
    desk.check()


async def test_a_click_has_its_own_term(desk: Desk) -> None:
    first, second = await desk.sell(CPC, Sold(1, 400_000, PricingModel.CPC, index=1))
    await desk.notices.take([seen(first), seen(second)])

    desk.clock.step(999)
    desk.notices.expire()
    assert verdicts(await desk.notices.take([clicked(first)])) == [(Verdict.ACCEPTED, 400_000)]
    desk.clock.step(1)
    desk.notices.expire()
    assert verdicts(await desk.notices.take([clicked(second)])) == [(Verdict.EXPIRED, 0)]
    desk.check()


async def test_a_conversion_may_come_long_after_the_click(desk: Desk) -> None:
    (ad,) = await desk.sell(CPA)
    await desk.notices.take([clicked(ad)])

    desk.clock.step(9_999)
    desk.notices.expire()
    assert verdicts(await desk.notices.take([bought(ad)])) == [(Verdict.ACCEPTED, 3_000_000)]
    desk.clock.step(1)
    assert verdicts(await desk.notices.take([bought(ad, "2")])) == [(Verdict.EXPIRED, 0)]
    desk.notices.expire()
    desk.check()


async def test_a_bill_beyond_the_budget_is_recorded_and_not_billed(desk: Desk) -> None:
    desk.limit(1, 399_999)
    (ad,) = await desk.sell(CPC)

    outcomes = await desk.notices.take([clicked(ad), clicked(ad)])

    assert verdicts(outcomes) == [(Verdict.BEYOND_BUDGET, 0), (Verdict.DUPLICATE, 0)]
    assert [n.verdict for n in desk.log[0].notices] == [Verdict.ACCEPTED, Verdict.BEYOND_BUDGET]
    assert desk.book.standing(1).reserved_micros == 0
    desk.check()


async def test_the_campaigns_budget_holds_back_its_line_items(desk: Desk) -> None:
    desk.limit(CAMPAIGN, 500_000)
    first, second = await desk.sell(CPC, Sold(1, 400_000, PricingModel.CPC, index=1))

    outcomes = await desk.notices.take([clicked(first), clicked(second)])

    assert verdicts(outcomes) == [(Verdict.ACCEPTED, 400_000), (Verdict.BEYOND_BUDGET, 0)]
    desk.check()


async def test_a_bill_above_the_lease_is_leased_for(desk: Desk) -> None:
    desk.limit(2, 100_000_000)
    (ad,) = await desk.sell(Sold(2, 50_000_000, PricingModel.CPA))
    assert desk.book.standing(2).leased_micros < 50_000_000

    assert verdicts(await desk.notices.take([bought(ad)])) == [(Verdict.ACCEPTED, 50_000_000)]
    desk.check()


async def test_nothing_has_happened_when_the_log_is_full(desk: Desk) -> None:
    (ad,) = await desk.sell(CPM, visitor_id="v")
    desk.full = True

    with pytest.raises(BackendUnavailable):
        await desk.notices.take([seen(ad)])

    assert desk.remembered == []
    assert desk.book.standing(3).reserved_micros == reserve_of(CPM)
    desk.full = False
    assert verdicts(await desk.notices.take([seen(ad)])) == [(Verdict.ACCEPTED, 2)]
    desk.check()


async def test_what_stands_in_the_log_and_was_not_synced_is_not_billed_again(desk: Desk) -> None:
    (ad,) = await desk.sell(CPM)
    desk.sync_fails = True
    with pytest.raises(BackendUnavailable):
        await desk.notices.take([seen(ad)])
    # Said again, it is on disk before it is answered.
    with pytest.raises(BackendUnavailable):
        await desk.notices.take([seen(ad)])
    desk.sync_fails = False

    assert verdicts(await desk.notices.take([seen(ad)])) == [(Verdict.DUPLICATE, 0)]
    assert desk.syncs == 3
    assert desk.billed() == 2
    desk.check()


async def test_notices_that_arrive_while_the_disk_writes_form_one_group(desk: Desk) -> None:
    ids = await desk.sell(*(Sold(3, 1_000, index=at) for at in range(5)))
    go_on = threading.Event()
    original = desk.sync
    desk.notices._sync = lambda: (go_on.wait(10), original())[1]

    first = asyncio.create_task(desk.notices.take([seen(ids[0])]))
    while not desk.log:
        await asyncio.sleep(0)
    others = [asyncio.create_task(desk.notices.take([seen(i), seen(ids[0])])) for i in ids[1:]]
    await asyncio.sleep(0)
    assert not first.done()
    go_on.set()

    assert verdicts(await first) == [(Verdict.ACCEPTED, 1)]
    for outcome in await asyncio.gather(*others):
        assert verdicts(outcome) == [(Verdict.ACCEPTED, 1), (Verdict.DUPLICATE, 0)]
    assert [len(event.notices) for event in desk.log] == [1, 4]
    assert desk.syncs == 2


async def test_a_caller_that_leaves_takes_nothing_with_it(desk: Desk) -> None:
    first, second = await desk.sell(CPM, Sold(3, 2_500, index=1))
    leaving = asyncio.create_task(desk.notices.take([seen(first)]))
    staying = asyncio.create_task(desk.notices.take([seen(second)]))
    await asyncio.sleep(0)

    leaving.cancel()

    assert verdicts(await staying) == [(Verdict.ACCEPTED, 3)]
    assert verdicts(await desk.notices.take([seen(first)])) == [(Verdict.DUPLICATE, 0)]


async def test_draining_waits_for_every_answer(desk: Desk) -> None:
    (ad,) = await desk.sell(CPM)
    taking = asyncio.create_task(desk.notices.take([seen(ad)]))
    await asyncio.sleep(0)

    await desk.notices.drain()

    assert desk.syncs == 1
    assert verdicts(await taking) == [(Verdict.ACCEPTED, 2)]


async def test_bad_notices_are_refused_by_field_and_the_others_with_them(desk: Desk) -> None:
    (ad,) = await desk.sell(CPM)

    with pytest.raises(InvalidInput) as refused:
        await desk.notices.take([seen(ad), Notice(15, ad), bought(ad, "x" * 200)])

    assert [error.field for error in refused.value.errors] == ["notices[1].kind", "notices[2].order_id"]
    assert desk.log == []
    with pytest.raises(InvalidInput):
        await desk.notices.take([seen(ad)] * (MAX_GROUP + 1))
    assert await desk.notices.take([]) == []


async def test_only_visitors_who_may_be_remembered_are(desk: Desk) -> None:
    (stranger,) = await desk.sell(CPM)
    (friend,) = await desk.sell(CPM, visitor_id="v")

    await desk.notices.take([seen(stranger), seen(friend), seen(friend)])

    assert desk.remembered == [("v", 3, desk.clock.now_ms())]
