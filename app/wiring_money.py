"""What is made of what around the money? Balances, invoices, alerts, edits, revenue, and the switch of it all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import grpc
from sqlalchemy import Engine

from accounts.ports import ApiKeys
from app.floor_files import FloorFile
from app.settings import Settings
from backends.alerts_sql import SqlAlertStore
from backends.balances_sql import SqlBalanceStore
from backends.campaigns_sql import SqlCampaignStore
from backends.invoices_sql import SqlInvoiceStore
from backends.offered_placements_sql import SqlOfferedPlacements
from backends.payouts_sql import SqlPayoutStore
from backends.pruning_sql import Pruning
from backends.revenue_sql import SqlRevenueStore
from common.clock import Clock
from common.errors import InvalidInput
from exchange.alerts import Alerts
from exchange.auction_wire import PageViewReader
from exchange.balances import Balances
from exchange.billing_server import SERVICE as BILLING_SERVICE
from exchange.billing_server import BillingServer
from exchange.bulk_import import BulkImport
from exchange.campaign_edits import CampaignEdits
from exchange.campaign_edits_server import SERVICE as CAMPAIGN_EDIT_SERVICE
from exchange.campaign_edits_server import CampaignEditServer
from exchange.campaigns import Campaigns
from exchange.floor_desk import FloorDesk
from exchange.floors import Floors
from exchange.floors_server import SERVICE as FLOOR_SERVICE
from exchange.floors_server import FloorServer
from exchange.inventory_follower import InventoryFollower
from exchange.invoices import Invoices
from exchange.operations_server import SERVICE as OPERATIONS_SERVICE
from exchange.operations_server import OperationsServer
from exchange.pause import ExchangePause
from exchange.payouts import Payouts
from exchange.publishers_server import SERVICE as PUBLISHER_SERVICE
from exchange.publishers_server import PublisherServer
from exchange.request import PageView
from exchange.revenue import Revenue
from streams.ports import EventLog

MONEY_SERVICES = (BILLING_SERVICE, CAMPAIGN_EDIT_SERVICE, PUBLISHER_SERVICE, FLOOR_SERVICE, OPERATIONS_SERVICE)


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
    log: EventLog,
    floors: Floors,
) -> Money:
    """Put it together over an open store; nothing is started."""
    store = SqlCampaignStore(engine)
    balances = Balances(store=SqlBalanceStore(engine), clock=clock, currency=settings.currency)
    invoices = Invoices(store=SqlInvoiceStore(engine), clock=clock, currency=settings.currency)
    alerts = Alerts(store=SqlAlertStore(engine), clock=clock)
    revenue = Revenue(SqlRevenueStore(engine, settings.node))
    reader = PageViewReader(currency=settings.currency, tmax_ms=settings.tmax_ms)
    desk = FloorDesk(
        store=FloorFile(settings.keys_dir, settings.currency),
        currency=settings.currency,
        clock=clock,
        log=log,
        read=partial(_recorded, reader),
        learned=lambda: floors.learned,
        offered=SqlOfferedPlacements(engine).of,
    )
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
        PublisherServer(
            revenue=revenue,
            payouts=Payouts(store=SqlPayoutStore(engine), clock=clock, currency=settings.currency),
            keys=keys,
            currency=settings.currency,
            font=settings.invoice_font,
        ).handler(),
        FloorServer(desk=desk, keys=keys).handler(),
        OperationsServer(pause=pause, keys=keys).handler(),
    )
    return Money(balances, invoices, alerts, revenue, pause, Pruning(engine), handlers)


def _recorded(reader: PageViewReader, data: bytes, at_ms: int, publisher_id: str) -> PageView | None:
    """A page view of the log; None when a version recorded it that took more than this one."""
    try:
        return reader.from_bytes(data, at_ms, publisher_id)
    except InvalidInput:
        return None
