"""What is a haat made of? Everything that serves, wired and not yet running."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.routing import BaseRoute

from accounts.keys import CachedApiKeys
from accounts.tenants import Accounts
from app.answer_wiring import KeptAnswers
from app.bridges import CountedNotices
from app.consent import FollowedPolicy
from app.measuring import Measuring
from app.metrics import AuctionMetrics
from app.outside_bidder_wiring import Remote
from app.settings import Settings
from app.supply_wiring import AdsTxt
from app.wiring_elasticsearch import Elastic
from app.wiring_kafka import KafkaPart
from app.wiring_look_alikes import LookAlikes
from app.wiring_moderation import Moderation
from app.wiring_money import Money
from app.wiring_nodes import Nodes
from app.wiring_redis import Redis
from app.wiring_shared import FollowedPosts
from app.wiring_social import SocialPart
from backends.budget_ledger_pooled import PooledBudgetLedger
from backends.budget_ledger_sql import SqlBudgetLedger
from backends.event_log_lmdb import LmdbEventLog
from backends.outbox_sql import OutboxRelay
from common.clock import Clock
from exchange.auction import Auction
from exchange.budgets import BudgetBook
from exchange.campaign_search import CampaignSearch
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
from exchange.viewable_rates import ShownSource, ViewableRates
from feed.index import FeedIndex
from feed.recommender.serving import ServingRecommender
from feed.server import FeedServer
from streams.catalogue import Catalogue
from streams.ports import ProfileStore
from streams.publisher import Publisher
from streams.server import CatalogueCalls
from streams.shared_topics import SharedTopics


@dataclass
class Haat:
    """Everything that serves, wired and not yet running."""

    settings: Settings
    clock: Clock
    log: LmdbEventLog
    publisher: Publisher
    profile_store: ProfileStore
    redis: Redis | None
    catalogue: Catalogue
    catalogue_calls: CatalogueCalls
    accounts: Accounts
    keys: CachedApiKeys
    campaigns: Campaigns
    campaign_server: CampaignServer
    money: Money
    moderation: Moderation
    recommender: ServingRecommender
    statistics: Statistics
    ledger: SqlBudgetLedger | PooledBudgetLedger
    book: BudgetBook
    holds: Holds
    notices: Notices
    counted_notices: CountedNotices
    recovered: Recovered
    projector: SpendProjector
    spend_watch: SpendWatch
    pacer: Pacer
    floors: Floors
    viewable: ViewableRates
    shown: ShownSource
    relay: OutboxRelay
    follower: InventoryFollower
    outside: list[Remote]
    auction: Auction
    currencies: Currencies
    auction_calls: AuctionCalls
    openrtb_calls: OpenRtbCalls
    feed_server: FeedServer
    feed_index: FeedIndex
    social: SocialPart
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
    # None where it is off.
    ads_txt: AdsTxt | None
    answers: KeptAnswers
    nodes: Nodes
    # None where there is one node alone.
    shared: SharedTopics | None
    followed_posts: FollowedPosts
    campaign_search: CampaignSearch
    # None where nothing is kept in Elasticsearch.
    elastic: Elastic | None
    look_alikes: LookAlikes
    # None where events stay in this node's own log.
    kafka: KafkaPart | None
    close: Callable[[], None]
