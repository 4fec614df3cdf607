"""Valid campaigns to start a test from, in the embedded store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine

from accounts.keys import CachedApiKeys
from accounts.ports import Caller
from accounts.tenants import Accounts
from backends.accounts_sql import SqlAccountStore
from backends.budget_ledger_sql import SqlBudgetLedger
from backends.campaigns_sql import SqlCampaignStore
from backends.statistics_sql import SqlStatisticsStore
from common.clock import SteppedClock
from common.ids import new_id
from exchange.campaign_values import Advertiser, Budget, Campaign, Creative, LineItem
from exchange.campaigns import Campaigns, Write
from exchange.statistics import Statistics
from tests.databases import open_database

ADVERTISER = Advertiser(name="Chairs of Dhaka", domain="chairs.example")
CAMPAIGN = Campaign(
    advertiser_id="", name="Winter", currency="EUR", budget=Budget(50_000_000, 5_000_000), time_zone="Asia/Dhaka"
)
CREATIVE = Creative(
    advertiser_id="", format=1, width=300, height=250, title="A chair", landing_url="https://chairs.example/7",
    image_url="https://chairs.example/7.png", product_id="product-7", category="furniture",
)  # fmt: skip
LINE_ITEM = LineItem(
    campaign_id="", name="Everybody", strategy=1, pricing_model=1, bid_micros=2_000_000, creative_ids=()
)


class CampaignWorld:
    """Everything about campaigns over one database file, with tenants "a" and "b"."""

    def __init__(self, engine: Engine, clock: SteppedClock) -> None:
        self.engine = engine
        self.clock = clock
        account_store = SqlAccountStore(engine)
        self.accounts = Accounts(store=account_store, clock=clock)
        self.keys = CachedApiKeys(account_store)
        self.store = SqlCampaignStore(engine)
        self.ledger = SqlBudgetLedger(engine)
        self.campaigns = Campaigns(store=self.store, clock=clock, currency="EUR", spent=self.ledger)
        self.statistics = Statistics(SqlStatisticsStore(engine))
        self.tenant_a = self.accounts.create_tenant("a").tenant_id
        self.tenant_b = self.accounts.create_tenant("b").tenant_id

    def write(self, key: str = "", tenant_id: str = "", role: str = "advertiser") -> Write:
        """A write of tenant "a" under a fresh idempotency key."""
        tenant_id = tenant_id or self.tenant_a
        return Write(Caller(tenant_id, role), tenant_id, key or new_id(self.clock.now_ms()))

    def an_advertiser(self, tenant_id: str = "", **changes: Any) -> Advertiser:
        """A stored advertiser."""
        draft = msgspec.structs.replace(ADVERTISER, **changes)
        return self.campaigns.create_advertiser(self.write(tenant_id=tenant_id), draft)

    def a_campaign(self, advertiser: Advertiser, tenant_id: str = "", **changes: Any) -> Campaign:
        """A stored campaign."""
        draft = msgspec.structs.replace(CAMPAIGN, advertiser_id=advertiser.advertiser_id, **changes)
        return self.campaigns.create_campaign(self.write(tenant_id=tenant_id), draft)

    def a_creative(self, advertiser: Advertiser, tenant_id: str = "", **changes: Any) -> Creative:
        """A stored creative."""
        draft = msgspec.structs.replace(CREATIVE, advertiser_id=advertiser.advertiser_id, **changes)
        return self.campaigns.create_creative(self.write(tenant_id=tenant_id), draft)

    def a_line_item(self, campaign: Campaign, creative: Creative, tenant_id: str = "", **changes: Any) -> LineItem:
        """A stored line item."""
        draft = msgspec.structs.replace(
            LINE_ITEM, **{"campaign_id": campaign.campaign_id, "creative_ids": (creative.creative_id,)} | changes
        )
        return self.campaigns.create_line_item(self.write(tenant_id=tenant_id), draft)

    def a_whole_campaign(self, tenant_id: str = "") -> tuple[Advertiser, Campaign, Creative, LineItem]:
        """One of each."""
        advertiser = self.an_advertiser(tenant_id)
        campaign, creative = self.a_campaign(advertiser, tenant_id), self.a_creative(advertiser, tenant_id)
        return advertiser, campaign, creative, self.a_line_item(campaign, creative, tenant_id)


@contextmanager
def campaign_world(data_dir: Path) -> Iterator[CampaignWorld]:
    """Open the database of a folder, and close it in the end."""
    engine = open_database(data_dir)
    try:
        yield CampaignWorld(engine, SteppedClock())
    finally:
        engine.dispose()
