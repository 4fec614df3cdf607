"""Who is made of what? The composition root: settings in, a whole haat out. Nothing is started here."""

from __future__ import annotations

import logging
from decimal import Decimal
from functools import partial
from random import Random
from typing import Literal, cast

from accounts.keys import CachedApiKeys
from accounts.tenants import Accounts
from app import vast_pages
from app.bridges import CountedNotices, ImpressionMemory, facts_of, tell_outbox
from app.consent import FollowedPolicy
from app.currency_files import reader_of
from app.floor_files import learned_floors_of, load_rules
from app.haat import Haat
from app.measuring import wire_measuring
from app.metrics import AuctionMetrics
from app.outside_bidder_wiring import outside_bidder_of
from app.settings import Settings
from app.supply_wiring import sellers_of, user_sync_of
from app.version import version
from app.wiring_feed import wire_feed
from app.wiring_money import wire_money
from backends.accounts_sql import SqlAccountStore
from backends.budget_ledger_sql import SqlBudgetLedger
from backends.campaigns_sql import SqlCampaignStore
from backends.event_log_lmdb import LmdbEventLog
from backends.exchange_switch_sql import SqlExchangeSwitch
from backends.line_items_sql import SqlLineItemSource
from backends.outbox_sql import OutboxRelay
from backends.paced_accounts_sql import SqlPacedAccounts
from backends.profiles_lmdb import LmdbProfileStore
from backends.sold_facts_sql import SqlSoldFacts
from backends.sql import open_engine, sqlite_url
from backends.statistics_sql import SqlStatisticsStore
from bidders.roster import ROSTER
from common.clock import Clock, SystemClock
from common.consent_signals import ConsentSignals
from exchange.auction import Auction
from exchange.auction_wire import PageViewReader
from exchange.batching import Batcher
from exchange.budgets import BudgetBook
from exchange.callout import Callout
from exchange.campaigns import Campaigns
from exchange.campaigns_server import CampaignServer
from exchange.creatives.composer import Composer
from exchange.creatives.markup_store import MarkupStore
from exchange.currencies import Currencies
from exchange.event_urls import signed_urls
from exchange.floors import Floors
from exchange.forecasts import Forecasts
from exchange.holds import Holds, Terms
from exchange.inventory import InventoryCompiler
from exchange.inventory_follower import InventoryFollower
from exchange.notices import Notices
from exchange.openrtb.auctions import OpenRtbAuctions
from exchange.openrtb.edge import OpenRtbEdge
from exchange.openrtb.floors import RatesOfTable
from exchange.openrtb.grpc_edge import OpenRtbCalls
from exchange.openrtb.publishers import Publishers
from exchange.openrtb.to_page_view import Terms as OpenRtbTerms
from exchange.pacer import Pacer
from exchange.page_rules import PageRules
from exchange.pause import ExchangePause
from exchange.ports import CAMPAIGN_ACCOUNTS, LineItemRecord
from exchange.recovery import recover
from exchange.sellers import sellers_routes
from exchange.server import AuctionCalls
from exchange.session_answers import SessionAnswers
from exchange.session_impressions import SessionImpressions
from exchange.spend import SpendProjector
from exchange.spend_watch import SpendWatch
from exchange.statistics import Statistics
from exchange.supply_chain import OurNode
from ranking.scoring import ClickRanker, open_ranker
from streams import schemas
from streams.auction_block import AuctionColumns, encode_auctions
from streams.catalogue import Catalogue
from streams.product import Product
from streams.profiles import Profiles
from streams.publisher import Publisher
from streams.server import CatalogueCalls
from streams.topics import AUCTIONS, NOTICES

# One process holds the data folder, so one holder of leases is enough; a restart goes on with its leases.
HOLDER = "exchange-1"

_log = logging.getLogger(__name__)


def wire(settings: Settings, clock: Clock | None = None) -> Haat:
    """Open the stores under `settings.data_dir`, recover what was going on, and put the services together.

    Blocking; raises HaatError with a sentence when something cannot be opened.
    """
    clock = clock or SystemClock()
    data_dir = settings.data_dir
    data_dir.mkdir(parents=True, exist_ok=True)
    log = LmdbEventLog(data_dir / "log", map_size_bytes=settings.log_map_gib << 30)
    profile_store = LmdbProfileStore(data_dir / "profiles")
    engine = open_engine(sqlite_url(data_dir))

    def close() -> None:
        engine.dispose()
        profile_store.close()
        log.close()

    publisher = Publisher(log, clock)
    profiles = Profiles(profile_store, clock)
    catalogue = Catalogue(log, publisher)
    catalogue.load()
    account_store = SqlAccountStore(engine)
    keys = CachedApiKeys(account_store)

    ledger = SqlBudgetLedger(engine, publisher_share=Decimal(str(settings.publisher_share)))
    pause = ExchangePause(store=SqlExchangeSwitch(engine), clock=clock)
    book = BudgetBook(ledger, HOLDER, clock, share=max(1, round(1 / settings.lease_share)))
    holds = Holds(
        Terms(settings.impression_ttl_s * 1000, settings.click_ttl_s * 1000, settings.conversion_ttl_s * 1000)
    )
    spend_watch = SpendWatch(clock, settings.spend_stale_s)
    recovered = recover(
        log=log,
        ledger=ledger,
        holds=holds,
        book=book,
        facts=facts_of(SqlSoldFacts(engine)),
        now_ms=clock.now_ms(),
        dead_holders=[holder for holder in ledger.holders() if holder != HOLDER],
    )
    session_impressions = SessionImpressions()
    memory = ImpressionMemory(profiles, session_impressions)
    notices = Notices(
        holds=holds,
        book=book,
        clock=clock,
        record=lambda taken: _publish_one(publisher, NOTICES.name, schemas.encode(taken)),
        sync=log.sync,
        remember=memory.remember,
        carried=recovered.carried,
    )

    counted_notices = CountedNotices(notices)
    metrics = AuctionMetrics(version=version())
    ranker, sentence = open_ranker(
        settings.models_dir / "click",
        partial(_attributes_of, catalogue),
        cast(Literal["auto", "model", "prior"], settings.ranker),
    )
    currencies = Currencies(
        own=settings.currency,
        clock=clock,
        read=reader_of(settings.currency_rates),
        stale_after_s=settings.currency_rates_stale_s,
    )
    currencies.refresh()
    compiler = InventoryCompiler(
        ranker=ranker,
        rate_of=currencies.factor,
        account_row=book.row_of,
        in_stock=partial(_in_stock, catalogue),
        engagement_value_micros=settings.engagement_value_micros,
    )
    pacer = Pacer(
        clock=clock,
        book=book,
        accounts=SqlPacedAccounts(engine),
        watch=spend_watch,
        inventory=lambda: follower.newest,
    )
    follower = InventoryFollower(
        SqlLineItemSource(engine),
        compiler,
        clock,
        before_swap=partial(_fund, book, pacer, spend_watch),
        in_stock=partial(_in_stock, catalogue),
        available=lambda: book.available,
    )
    consent = FollowedPolicy(settings)
    outside = [
        outside_bidder_of(entry, settings.currency, lambda *asked: consent.current.may_share_with(*asked))
        for entry in settings.outside_bidders
    ]
    callouts = [
        Callout(bidder, clock, Random(), entry.terms)
        for bidder, entry in zip(outside, settings.outside_bidders, strict=True)
    ]
    measuring = wire_measuring(
        settings,
        clock=clock,
        log=log,
        engine=engine,
        keys=keys,
        holds=holds,
        take=counted_notices.take,
        record=lambda taken: _publish_one(publisher, NOTICES.name, schemas.encode(taken)),
    )
    videos = MarkupStore(clock)
    composer = Composer(
        urls=signed_urls(measuring.tokens, settings.public_url or settings.http_url, holds.terms),
        product=catalogue.get,
        keep_video=videos.keep,
    )
    floors = Floors(load_rules(data_dir, settings.currency), learned_floors_of(settings))
    auction = Auction(
        clock=clock,
        inventory=lambda: follower.snapshot,
        profiles=profile_store,
        roster=ROSTER,
        outside=callouts,
        ranker=ranker,
        money=book,
        answers=SessionAnswers(ttl_ms=settings.session_answer_ttl_s * 1000, refreshed=composer.refreshed),
        composer=composer,
        publish=partial(_publish_auctions, publisher),
        hold=holds.add,
        observer=metrics,
        currency=settings.currency,
        engagement_value_micros=settings.engagement_value_micros,
        currencies=currencies,
        page_rules=_page_rules(settings),
        squashing=settings.gsp_squashing,
        sessions=session_impressions,
        paused=lambda: pause.paused,
        paces=pacer.paces,
        floors=floors,
    )
    # Single page views that come together are one batch, whichever way they come.
    batcher = Batcher(auction.hold_auctions)
    auction_calls = AuctionCalls(
        hold_auctions=auction.hold_auctions,
        take_notices=counted_notices.take,
        keys=keys,
        clock=clock,
        currency=settings.currency,
        tmax_ms=settings.tmax_ms,
        max_batch=settings.max_batch,
        max_message_bytes=settings.max_message_bytes,
        batcher=batcher,
        knows_currency=currencies.knows,
    )
    openrtb = OpenRtbAuctions(
        hold_auction=batcher.submit,
        clock=clock,
        terms=OpenRtbTerms(
            currency=settings.currency,
            tmax_ms=settings.tmax_ms,
            network_ms=settings.openrtb_network_ms,
            node=OurNode(settings.seller_domain) if settings.seller_domain else None,
            passes_on=bool(outside),
        ),
        rates=RatesOfTable(lambda: currencies.table),
        consent=partial(_permissions, consent, metrics),
    )
    user_sync = user_sync_of(settings, consent, clock)
    openrtb_edge = OpenRtbEdge(
        openrtb, Publishers(keys, settings.openrtb_publishers), max_bytes=settings.openrtb_max_bytes
    )

    campaigns = Campaigns(
        store=SqlCampaignStore(engine),
        clock=clock,
        currency=settings.currency,
        spent=ledger,
        knows_currency=currencies.knows,
    )
    statistics = Statistics(SqlStatisticsStore(engine))
    forecasts = Forecasts(
        campaigns=campaigns,
        log=log,
        clock=clock,
        ranker=ranker,
        read=PageViewReader(currency=settings.currency, tmax_ms=settings.tmax_ms).from_bytes,
    )
    catalogue.on_change(partial(_products_changed, follower))

    feed_server = wire_feed(
        settings, clock, engine=engine, log=log, publisher=publisher, catalogue=catalogue, profiles=profiles,
        auction=auction,
    )  # fmt: skip
    return Haat(
        settings=settings,
        clock=clock,
        log=log,
        publisher=publisher,
        profile_store=profile_store,
        catalogue=catalogue,
        catalogue_calls=CatalogueCalls(catalogue),
        accounts=Accounts(store=account_store, clock=clock),
        keys=keys,
        campaigns=campaigns,
        campaign_server=CampaignServer(
            campaigns=campaigns, statistics=statistics, forecasts=forecasts, keys=keys, on_change=follower.changed
        ),
        money=wire_money(engine, settings, clock, keys=keys, campaigns=campaigns, pause=pause, follower=follower),
        statistics=statistics,
        ledger=ledger,
        book=book,
        holds=holds,
        notices=notices,
        counted_notices=counted_notices,
        recovered=recovered,
        projector=SpendProjector(log, ledger, HOLDER),
        spend_watch=spend_watch,
        pacer=pacer,
        floors=floors,
        relay=OutboxRelay(engine=engine, clock=clock, publish=partial(tell_outbox, publisher)),
        follower=follower,
        outside=outside,
        auction=auction,
        currencies=currencies,
        auction_calls=auction_calls,
        openrtb_calls=OpenRtbCalls(openrtb, keys, max_bytes=settings.openrtb_max_bytes),
        feed_server=feed_server,
        metrics=metrics,
        ranker=ranker,
        serving=ranker.serving if isinstance(ranker, ClickRanker) else "prior",
        model_version=ranker.version,
        ranker_sentence=sentence,
        routes=[
            *openrtb_edge.routes(),
            *user_sync.routes(),
            *sellers_routes(partial(sellers_of, settings, account_store)),
            *vast_pages.routes(videos),
            *measuring.routes,
        ],
        consent=consent,
        measuring=measuring,
        close=close,
    )


def _page_rules(settings: Settings) -> PageRules:
    """The rules of page views that bring none."""
    return PageRules(
        most_per_advertiser=settings.page_most_per_advertiser,
        most_share_per_advertiser=settings.page_most_share_per_advertiser,
        separate_categories=settings.page_separate_categories == "yes",
        most_ads=settings.page_most_ads,
        most_ads_share=settings.page_most_ads_share,
    )


def _permissions(policy: FollowedPolicy, metrics: AuctionMetrics, signals: ConsentSignals) -> int:
    verdict = policy.verdict(signals)
    metrics.consent_decided(verdict.regimes, int(verdict.permissions))
    return int(verdict.permissions)


def _publish_one(publisher: Publisher, topic: str, payload: bytes) -> None:
    publisher.publish(topic, [payload])


def _publish_auctions(publisher: Publisher, columns: AuctionColumns) -> None:
    publisher.publish(AUCTIONS.name, [encode_auctions(columns)])


def _attributes_of(catalogue: Catalogue, product_id: str) -> dict[str, str] | None:
    product = catalogue.get(product_id)
    return dict(product.attributes) if product is not None else None


def _in_stock(catalogue: Catalogue, product_id: str) -> bool:
    """What the catalogue does not know cannot be out of stock."""
    product = catalogue.get(product_id)
    return product is None or product.in_stock


def _products_changed(follower: InventoryFollower, products: object) -> None:
    changed = cast("list[Product]", products)
    follower.stock_changed(product.product_id for product in changed)
    follower.products_changed()


async def _fund(book: BudgetBook, pacer: Pacer, watch: SpendWatch, changed: object) -> None:
    """New accounts get their pace and their first lease; accounts whose limits may have changed are leased anew."""
    await pacer.refresh()
    if watch.stale:
        return
    records = cast("list[LineItemRecord]", changed)
    accounts = {record.number for record in records} | {
        CAMPAIGN_ACCOUNTS + record.campaign_number for record in records
    }
    await book.renew(accounts)
    await book.top_up()
