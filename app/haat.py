"""What is a haat made of? Everything that serves, wired and not yet running."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.routing import BaseRoute

from accounts.keys import CachedApiKeys
from accounts.tenants import Accounts
from app.bridges import CountedNotices
from app.consent import FollowedPolicy
from app.measuring import Measuring
from app.metrics import AuctionMetrics
from app.outside_bidder_wiring import Remote
from app.settings import Settings
from app.wiring_money import Money
from backends.budget_ledger_sql import SqlBudgetLedger
from backends.event_log_lmdb import LmdbEventLog
from backends.outbox_sql import OutboxRelay
from backends.profiles_lmdb import LmdbProfileStore
from common.clock import Clock
from exchange.auction import Auction
from exchange.budgets import BudgetBook
from exchange.campaigns import Campaigns
from exchange.campaigns_server import CampaignServer
from exchange.currencies import Currencies
from exchange.floors import Floors
from exchange.holds import Holds
from exchange.inventory_follower import InventoryFollower
from exchange.notices import Notices
from exchange.openrtb.grpc_edge import OpenRtbCalls
from exchange.pacer import Pacer
from exchange.ports import Ranker
from exchange.recovery import Recovered
from exchange.server import AuctionCalls
from exchange.spend import SpendProjector
from exchange.spend_watch import SpendWatch
from exchange.statistics import Statistics
from feed.server import FeedServer
from streams.catalogue import Catalogue
from streams.publisher import Publisher
from streams.server import CatalogueCalls

# One process holds the data folder, so one holder of leases is enough; a restart goes on with its leases.


@dataclass
class Haat:
    """Everything that serves, wired and not yet running."""

    settings: Settings
    clock: Clock
    log: LmdbEventLog
    publisher: Publisher
    profile_store: LmdbProfileStore
    catalogue: Catalogue
    catalogue_calls: CatalogueCalls
    accounts: Accounts
    keys: CachedApiKeys
    campaigns: Campaigns
    campaign_server: CampaignServer
    money: Money
    statistics: Statistics
    ledger: SqlBudgetLedger
    book: BudgetBook
    holds: Holds
    notices: Notices
    counted_notices: CountedNotices
    recovered: Recovered
    projector: SpendProjector
    spend_watch: SpendWatch
    pacer: Pacer
    floors: Floors
    relay: OutboxRelay
    follower: InventoryFollower
    outside: list[Remote]
    auction: Auction
    currencies: Currencies
    auction_calls: AuctionCalls
    openrtb_calls: OpenRtbCalls
    feed_server: FeedServer
    metrics: AuctionMetrics
    ranker: Ranker
    # "model" or "prior"
    serving: str
    model_version: str
    ranker_sentence: str
    measuring: Measuring
    # What the services serve over HTTP, beside the pages about haat itself.
    routes: list[BaseRoute]
    consent: FollowedPolicy
    close: Callable[[], None]
