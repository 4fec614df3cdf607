"""Pacing through the wired exchange: budgets in SQL, leases, auctions, and figures of spend that grow too old."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from accounts.ports import Caller
from app.background import Background
from app.haat import Haat
from app.settings import Settings
from app.status import HaatStatus
from app.wiring import wire
from common.clock import SteppedClock
from common.ids import new_id
from exchange.campaign_values import Budget, FrequencyCap, LineItem, ReviewState, Schedule
from exchange.campaigns import Write
from exchange.pacing_ports import Pacing
from exchange.ports import CAMPAIGN_ACCOUNTS
from exchange.refusals import Refusal
from exchange.request import PriceRule
from tests.builders import a_page_view
from tests.campaign_stores import ADVERTISER, CAMPAIGN, CREATIVE, LINE_ITEM

pytestmark = [pytest.mark.on_every_database, pytest.mark.slow]

UNIT = 2_000


class Exchange:
    """A haat that is wired and whose jobs are done by hand."""

    def __init__(self, data_dir: Path) -> None:
        self.clock = SteppedClock()
        self.haat: Haat = wire(
            Settings(data_dir=data_dir, models_dir=data_dir / "none", session_answer_ttl_s=0), self.clock
        )
        self.jobs = Background(self.haat)
        self.tenant = self.haat.accounts.create_tenant("a").tenant_id
        self.haat.follower.load()

    def write(self, role: str = "advertiser") -> Write:
        return Write(Caller(self.tenant, role), self.tenant, new_id(self.clock.now_ms()))

    async def campaign(self, limits: Budget, pacing: int, **item: Any) -> LineItem:
        campaigns = self.haat.campaigns
        advertiser = campaigns.create_advertiser(self.write(), ADVERTISER)
        draft = replace(CAMPAIGN, advertiser_id=advertiser.advertiser_id, budget=limits, pacing=pacing, time_zone="UTC")
        campaign = campaigns.create_campaign(self.write(), draft)
        creative = campaigns.create_creative(self.write(), replace(CREATIVE, advertiser_id=advertiser.advertiser_id))
        campaigns.review_creative(self.write("operator"), creative.creative_id, ReviewState.APPROVED)
        changes = {"campaign_id": campaign.campaign_id, "creative_ids": (creative.creative_id,)} | item
        made = campaigns.create_line_item(self.write(), replace(LINE_ITEM, **changes))
        await self.haat.follower.catch_up()
        return made

    async def sell(self, views: int) -> list[int]:
        """Reasons of so many page views, one batch each; 0 is a sale."""
        reasons = []
        for _ in range(views):
            view = a_page_view(price_rule=int(PriceRule.FIRST_PRICE))
            answer = (await self.haat.auction.hold_auctions([view]))[0]
            reasons.append(answer.placements[0].no_ad_reason)
        return reasons


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    opened = Exchange(tmp_path)
    yield opened
    opened.haat.close()


async def test_an_even_campaign_waits_for_its_curve_and_an_asap_one_does_not(exchange: Exchange) -> None:
    await exchange.campaign(Budget(daily_micros=500 * UNIT), Pacing.EVEN)
    first = await exchange.sell(50)
    assert first.count(0) >= 1
    assert set(first) == {0, Refusal.PACED}

    await exchange.campaign(Budget(daily_micros=500 * UNIT), Pacing.ASAP)
    assert set(await exchange.sell(50)) == {0}


@pytest.mark.slow
async def test_hour_by_hour_an_even_campaign_sells_its_share(exchange: Exchange) -> None:
    await exchange.campaign(Budget(daily_micros=480 * UNIT), Pacing.EVEN)
    start_ms = exchange.clock.now_ms()
    sold = []
    for _ in range(2):
        before = exchange.haat.book.standing(CAMPAIGN_ACCOUNTS + 1)
        for _ in range(180):
            exchange.clock.step(20_000)
            exchange.haat.pacer.step()
            await exchange.haat.book.top_up()
            await exchange.sell(2)
        after = exchange.haat.book.standing(CAMPAIGN_ACCOUNTS + 1)
        sold.append(after.reserved_micros + after.spent_micros - before.reserved_micros - before.spent_micros)

    even = 480 * UNIT / 24
    assert exchange.clock.now_ms() == start_ms + 2 * 3_600_000
    assert all(0.4 * even <= hour <= 2.6 * even for hour in sold)
    state = exchange.haat.pacer.states()[0]
    assert 0 < state.spent_micros <= state.day_budget_micros == 480 * UNIT


async def test_accounts_come_from_the_store_with_their_dates_and_spend(exchange: Exchange) -> None:
    end_ms = exchange.clock.now_ms() + 9 * 86_400_000
    item = await exchange.campaign(
        Budget(total_micros=1_000_000), Pacing.EVEN, budget=Budget(daily_micros=5_000),
        schedule=Schedule(5, end_ms, (1, 2)), frequency_cap=FrequencyCap(),
    )  # fmt: skip
    own, whole = exchange.haat.pacer._accounts.paced(exchange.clock.now_ms())

    assert (own.account, own.daily_micros, own.total_micros) == (item.number, 5_000, 0)
    assert (whole.account, whole.total_micros) == (CAMPAIGN_ACCOUNTS + 1, 1_000_000)
    for account in (own, whole):
        assert (account.starts_at_ms, account.ends_at_ms, account.hours_of_week) == (5, end_ms, (1, 2))

    exchange.haat.campaigns.set_pacing(exchange.write(), item.campaign_id, Pacing.ASAP)
    await exchange.haat.follower.catch_up()
    assert exchange.haat.pacer.paced == 0


async def test_when_spend_is_not_counted_what_is_leased_is_spent_and_nothing_more(exchange: Exchange) -> None:
    """The projector is stopped: nobody calls it."""
    haat = exchange.haat
    await exchange.campaign(Budget(total_micros=100_000_000), Pacing.ASAP, bid_micros=1_000_000_000)
    status = HaatStatus(haat, ())
    exchange.jobs._count_spend()
    haat.pacer.step()
    assert "counted" in status.status().spend
    leased = haat.book.standing(CAMPAIGN_ACCOUNTS + 1).leased_micros
    assert 0 < leased < 100_000_000

    exchange.clock.step((haat.settings.spend_stale_s + 1) * 1000)
    haat.pacer.step()
    reasons = []
    for _ in range(20):
        await exchange.jobs._lease()
        reasons += await exchange.sell(5)

    assert haat.book.standing(CAMPAIGN_ACCOUNTS + 1).leased_micros == leased
    assert reasons[0] == 0
    assert reasons[-1] == Refusal.SPEND_UNKNOWN
    assert "nothing more" in status.status().spend
    assert b"haat_spend_unknown 1.0" in haat.metrics.render()

    exchange.jobs._count_spend()
    haat.pacer.step()
    await exchange.jobs._lease()
    assert (await exchange.sell(1)) == [0]
