"""Advertisers with money to start a test from: balances, invoices, alerts and files over one embedded store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accounts.ports import Caller
from backends.alerts_sql import SqlAlertStore
from backends.balances_sql import SqlBalanceStore
from backends.invoices_sql import SqlInvoiceStore
from backends.payouts_sql import SqlPayoutStore
from backends.revenue_sql import SqlRevenueStore
from common.ids import new_id
from exchange.alerts import Alerts
from exchange.balances import Balances
from exchange.bulk_import import BulkImport
from exchange.campaign_edits import CampaignEdits
from exchange.campaigns import Write
from exchange.invoices import Invoices
from exchange.payouts import Payouts
from exchange.ports import CAMPAIGN_ACCOUNTS, Spend
from exchange.revenue import Revenue
from tests.campaign_stores import CampaignWorld, campaign_world


class MoneyWorld:
    """A whole campaign of tenant "a", and everything that pays for it."""

    def __init__(self, world: CampaignWorld) -> None:
        self.world = world
        engine, clock = world.engine, world.clock
        self.balances = Balances(store=SqlBalanceStore(engine), clock=clock, currency="EUR")
        self.invoices = Invoices(store=SqlInvoiceStore(engine), clock=clock, currency="EUR")
        self.alerts = Alerts(store=SqlAlertStore(engine), clock=clock)
        self.edits = CampaignEdits(campaigns=world.campaigns, store=world.store)
        self.files = BulkImport(campaigns=world.campaigns, store=world.store, clock=clock)
        self.revenue = Revenue(SqlRevenueStore(engine))
        self.payouts = Payouts(store=SqlPayoutStore(engine), clock=clock, currency="EUR")
        self.advertiser, self.campaign, self.creative, self.item = world.a_whole_campaign()
        self.advertiser_id = self.advertiser.advertiser_id
        self._offset = 0

    def operator(self, key: str = "") -> Write:
        """A write of the operator (tenant "b") for tenant "a"."""
        write = Write(Caller(self.world.tenant_b, "operator"), self.world.tenant_a, key or new_id(1))
        return write

    def pay(self, micros: int, key: str = "") -> None:
        """A payment came in."""
        self.balances.top_up(self.operator(key), self.advertiser_id, "", micros, "bank")

    def spend(self, micros: int, *, kind: int = 1, publisher: str = "shop", placement: str = "top") -> None:
        """The line item is billed, out of a lease where there is one."""
        spend = Spend(
            self.item.number, self.campaign.number, micros, self.world.clock.now_ms(), kind, 1, "EUR", "", publisher,
            placement,
        )  # fmt: skip
        self.world.ledger.settle("a", [spend], self._offset + 1)
        self._offset += 1

    def lease(self, micros: int) -> int:
        """What the campaign is granted."""
        account = CAMPAIGN_ACCOUNTS + self.campaign.number
        return self.world.ledger.lease("a", {account: micros}, self.world.clock.now_ms())[account]


@contextmanager
def money_world(data_dir: Path) -> Iterator[MoneyWorld]:
    """Open it, and close it in the end."""
    with campaign_world(data_dir) as world:
        yield MoneyWorld(world)
