"""What is made of what around the money? Balances, invoices, alerts, edits, revenue, and the switch of it all."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from sqlalchemy import Engine

from accounts.ports import ApiKeys
from app.settings import Settings
from backends.alerts_sql import SqlAlertStore
from backends.balances_sql import SqlBalanceStore
from backends.campaigns_sql import SqlCampaignStore
from backends.invoices_sql import SqlInvoiceStore
from backends.pruning_sql import Pruning
from backends.revenue_sql import SqlRevenueStore
from common.clock import Clock
from exchange.alerts import Alerts
from exchange.balances import Balances
from exchange.billing_server import SERVICE as BILLING_SERVICE
from exchange.billing_server import BillingServer
from exchange.bulk_import import BulkImport
from exchange.campaign_edits import CampaignEdits
from exchange.campaign_edits_server import SERVICE as CAMPAIGN_EDIT_SERVICE
from exchange.campaign_edits_server import CampaignEditServer
from exchange.campaigns import Campaigns
from exchange.inventory_follower import InventoryFollower
from exchange.invoices import Invoices
from exchange.operations_server import SERVICE as OPERATIONS_SERVICE
from exchange.operations_server import OperationsServer
from exchange.pause import ExchangePause
from exchange.publishers_server import SERVICE as PUBLISHER_SERVICE
from exchange.publishers_server import PublisherServer
from exchange.revenue import Revenue

MONEY_SERVICES = (BILLING_SERVICE, CAMPAIGN_EDIT_SERVICE, PUBLISHER_SERVICE, OPERATIONS_SERVICE)


@dataclass
class Money:
    """What serves those who pay and earn, and what goes on for it beside the calls."""

    balances: Balances
    invoices: Invoices
    alerts: Alerts
    revenue: Revenue
    pause: ExchangePause
    pruning: Pruning
    # To be added to a grpc.aio server; they answer MONEY_SERVICES.
    handlers: tuple[grpc.GenericRpcHandler, ...]


def wire_money(
    engine: Engine,
    settings: Settings,
    clock: Clock,
    *,
    keys: ApiKeys,
    campaigns: Campaigns,
    pause: ExchangePause,
    follower: InventoryFollower,
) -> Money:
    """Put it together over an open store; nothing is started."""
    store = SqlCampaignStore(engine)
    balances = Balances(store=SqlBalanceStore(engine), clock=clock, currency=settings.currency)
    invoices = Invoices(store=SqlInvoiceStore(engine), clock=clock, currency=settings.currency)
    alerts = Alerts(store=SqlAlertStore(engine), clock=clock)
    revenue = Revenue(SqlRevenueStore(engine))
    handlers = (
        BillingServer(
            balances=balances,
            invoices=invoices,
            alerts=alerts,
            keys=keys,
            on_change=follower.changed,
            font=settings.invoice_font,
        ).handler(),
        CampaignEditServer(
            edits=CampaignEdits(campaigns=campaigns, store=store),
            files=BulkImport(campaigns=campaigns, store=store, clock=clock),
            keys=keys,
            on_change=follower.changed,
        ).handler(),
        PublisherServer(revenue=revenue, keys=keys, currency=settings.currency).handler(),
        OperationsServer(pause=pause, keys=keys).handler(),
    )
    return Money(balances, invoices, alerts, revenue, pause, Pruning(engine), handlers)
