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
from app.answer_wiring import kept_answers_of
from app.bridges import CountedNotices, ImpressionMemory, facts_of, publish_auctions, publish_notices, tell_outbox
from app.consent import FollowedPolicy
from app.currency_files import reader_of
from app.databases import open_database
from app.floor_files import learned_floors_of, load_rules
from app.haat import Haat
from app.measuring import wire_measuring
from app.metrics import AuctionMetrics
from app.outside_bidder_wiring import outside_bidder_of
from app.settings import Settings
from app.supply_wiring import ads_txt_of, openrtb_of, page_rules_of, sellers_of, user_sync_of
from app.version import version
from app.wiring_elasticsearch import campaign_search_of, elastic_of, find_of, source_of
from app.wiring_inventory import attributes_of, fund, in_stock, products_changed
from app.wiring_kafka import own_counts_of, refuse_to_leave_kafka, wire_kafka
from app.wiring_look_alikes import look_alikes_of
from app.wiring_money import wire_money
from app.wiring_nodes import forgive, join, wire_nodes
from app.wiring_people import wire_people_and_posts
from app.wiring_redis import ledger_of, profile_store_of, quotas_of, redis_of, session_memory_of
from app.wiring_shared import FollowedPosts, share, told_to
from backends.accounts_sql import SqlAccountStore
from backends.budget_ledger_sql import SqlBudgetLedger
from backends.campaigns_sql import SqlCampaignStore
from backends.event_log_lmdb import LmdbEventLog
from backends.exchange_switch_sql import SqlExchangeSwitch
from backends.outbox_sql import OutboxRelay
from backends.paced_accounts_sql import SqlPacedAccounts
from backends.sold_facts_sql import SqlSoldFacts
from backends.statistics_sql import SqlStatisticsStore
from backends.viewable_sql import SqlShownSource
from bidders.roster import ROSTER
from common.clock import Clock, SystemClock
from exchange.auction import Auction
from exchange.auction_wire import PageViewReader
from exchange.batching import GRPCIO_QUIET_S, Batcher
from exchange.budgets import BudgetBook
from exchange.callout import Callout
from exchange.campaigns import Campaigns
from exchange.campaigns_server import CampaignServer
from exchange.creatives.composer import Composer
from exchange.creatives.markup_store import MarkupStore
from exchange.currencies import Currencies
from exchange.event_urls import SignedUrls
from exchange.floors import Floors
from exchange.forecasts import Forecasts
from exchange.holds import Holds, Terms
from exchange.inventory import InventoryCompiler
from exchange.inventory_follower import InventoryFollower
from exchange.notices import Notices
from exchange.openrtb.edge import OpenRtbEdge
from exchange.openrtb.grpc_edge import OpenRtbCalls
from exchange.openrtb.links import BidLinks
from exchange.openrtb.publishers import Publishers
from exchange.pacer import Pacer
from exchange.pause import ExchangePause
from exchange.recovery import recover
from exchange.sellers import sellers_routes
from exchange.server import AuctionCalls
from exchange.spend import SpendProjector
from exchange.spend_watch import SpendWatch
from exchange.statistics import Statistics
from exchange.viewable_rates import ViewableRates
from ranking.scoring import ClickRanker, open_ranker
from streams.catalogue import Catalogue
from streams.profiles import Profiles
from streams.publisher import Publisher
from streams.server import CatalogueCalls

_log = logging.getLogger(__name__)


def wire(settings: Settings, clock: Clock | None = None) -> Haat:
    """Open the stores under `settings.data_dir`, recover what was going on, and put the services together.

    Blocking; raises HaatError with a sentence when something cannot be opened.
    """
    clock = clock or SystemClock()
    data_dir = settings.data_dir
    refuse_to_leave_kafka(settings)
    data_dir.mkdir(parents=True, exist_ok=True)
    log = LmdbEventLog(data_dir / "log", map_size_bytes=settings.log_map_gib << 30)
    redis = redis_of(settings)
    profile_store = profile_store_of(settings, redis)
    session_impressions = session_memory_of(redis)
    engine = open_database(settings)
    terms = Terms(settings.impression_ttl_s * 1000, settings.click_ttl_s * 1000, settings.conversion_ttl_s * 1000)
    node = settings.node
    try:
        membership = join(engine, settings, terms)
    except BaseException:
        engine.dispose()
        session_impressions.close()
        profile_store.close()
        log.close()
        raise

    def close() -> None:
        membership.let_go()
        social.search.close()
        answers.close()
        session_impressions.close()
        engine.dispose()
        profile_store.close()
        if redis is not None:
            redis.close()
        log.close()

    if redis is not None:
        redis.sharing = lambda: membership.sharing
    publisher = Publisher(log, clock)
    profiles = Profiles(profile_store, clock)
    catalogue = Catalogue(log, publisher)
    catalogue.load()
    account_store = SqlAccountStore(engine)
    keys = CachedApiKeys(account_store)

    in_sql = SqlBudgetLedger(engine, publisher_share=Decimal(str(settings.publisher_share)), node=node)
    ledger = ledger_of(in_sql, engine, redis, clock)
    shared = share(settings, engine, log, catalogue)
    followed_posts = FollowedPosts(engine)
    forgive(membership, log, ledger, publisher, clock)
    pause = ExchangePause(store=SqlExchangeSwitch(engine), clock=clock)
    book = BudgetBook(ledger, node, clock, share=max(1, round(1 / settings.lease_share)))
    holds = Holds(terms)
    spend_watch = SpendWatch(clock, settings.spend_stale_s)
    recovered = recover(
        log=log,
        ledger=ledger,
        holds=holds,
        book=book,
        facts=facts_of(SqlSoldFacts(engine)),
        now_ms=clock.now_ms(),
        # Leases of nodes come back by their own logs, or when they are written off.
        dead_holders=[holder for holder in ledger.holders() if not membership.knows(holder)],
    )
    memory = ImpressionMemory(profiles, session_impressions)
    record = partial(publish_notices, publisher)
    notices = Notices(
        holds=holds,
        book=book,
        clock=clock,
        record=record,
        sync=log.sync,
        remember=memory.remember,
        carried=recovered.carried,
    )

    own_notices = CountedNotices(notices.take)
    nodes = wire_nodes(
        settings, clock, membership=membership, engine=engine, log=log, publisher=publisher, holds=holds,
        take=own_notices.take, record=record,
    )  # fmt: skip
    counted_notices = CountedNotices(nodes.router.take)
    metrics = AuctionMetrics(version=version())
    ranker, sentence = open_ranker(
        settings.models_dir / "click",
        partial(attributes_of, catalogue),
        cast(Literal["auto", "model", "prior"], settings.ranker),
    )
    currencies = Currencies(
        own=settings.currency,
        clock=clock,
        read=reader_of(settings.currency_rates),
        stale_after_s=settings.currency_rates_stale_s,
    )
    currencies.refresh()
    viewable = ViewableRates()
    compiler = InventoryCompiler(
        ranker=ranker,
        rate_of=currencies.factor,
        account_row=book.row_of,
        in_stock=partial(in_stock, catalogue),
        engagement_value_micros=settings.engagement_value_micros,
        viewable_rate=lambda: viewable.of_any,
    )
    pacer = Pacer(
        clock=clock,
        book=book,
        accounts=SqlPacedAccounts(engine),
        watch=spend_watch,
        inventory=lambda: follower.newest,
    )
    elastic = elastic_of(settings, clock, engine, ranker, currencies.factor, lambda: viewable.of_any)
    follower = InventoryFollower(
        source_of(elastic, engine),
        compiler,
        clock,
        before_swap=partial(fund, book, pacer, spend_watch),
        in_stock=partial(in_stock, catalogue),
        available=lambda: book.available,
    )
    find = find_of(elastic, follower)
    look_alikes = look_alikes_of(settings, clock, catalogue, follower)
    consent = FollowedPolicy(settings)
    outside = [
        outside_bidder_of(entry, settings.currency, lambda *asked: consent.current.may_share_with(*asked))
        for entry in settings.outside_bidders
    ]
    quota_of = quotas_of(redis, clock)
    callouts = [
        Callout(bidder, clock, Random(), entry.terms, quota_of(bidder.name, entry.terms.page_views_per_s))
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
        nodes=nodes,
    )
    videos = MarkupStore(clock)
    public_url = settings.public_url or settings.http_url
    urls = SignedUrls(measuring.tokens, public_url, holds.terms)
    composer = Composer(
        urls=urls,
        product=catalogue.get,
        keep_video=videos.keep,
    )
    answers = kept_answers_of(settings, composer, redis)
    floors = Floors(load_rules(settings.keys_dir, settings.currency), learned_floors_of(settings))
    auction = Auction(
        clock=clock,
        inventory=lambda: follower.snapshot,
        profiles=profile_store,
        roster=ROSTER,
        outside=callouts,
        ranker=ranker,
        money=book,
        answers=answers.sessions,
        composer=composer,
        publish=partial(publish_auctions, publisher),
        hold=holds.add,
        observer=metrics,
        currency=settings.currency,
        engagement_value_micros=settings.engagement_value_micros,
        currencies=currencies,
        page_rules=page_rules_of(settings),
        squashing=settings.gsp_squashing,
        sessions=session_impressions,
        paused=lambda: pause.paused or membership.fenced,
        paces=pacer.paces,
        floors=floors,
        viewable=viewable,
        node=membership.me.number,
        find=find,
        widened=look_alikes.near.widened,
    )
    # Single page views that come together are one batch, whichever way they come.
    quiet_s = GRPCIO_QUIET_S if settings.grpc_transport == "grpcio" else 0.0
    batcher = Batcher(auction.hold_auctions, quiet_s=quiet_s)
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
    ads_txt = ads_txt_of(settings, clock)
    openrtb = openrtb_of(
        settings, clock, batcher.submit, currencies, consent, metrics, BidLinks(urls, public_url), ads_txt,
    )  # fmt: skip
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
    statistics = Statistics(SqlStatisticsStore(engine, node))
    forecasts = Forecasts(
        campaigns=campaigns,
        log=log,
        clock=clock,
        ranker=ranker,
        read=PageViewReader(currency=settings.currency, tmax_ms=settings.tmax_ms).from_bytes,
        near=look_alikes.recorded,
        viewable_rate=lambda: viewable.of_any,
    )
    catalogue.on_change(partial(products_changed, follower))

    social, feed, moderation, recommender = wire_people_and_posts(
        settings, clock, engine=engine, log=log, publisher=publisher, catalogue=catalogue, profiles=profiles,
        keys=keys, tenants=account_store.tenants(), hold_auction=batcher.submit, inventory=lambda: follower.snapshot,
        redis=redis, shared=shared, others=lambda: [other.name for other in membership.all_others],
    )  # fmt: skip
    money = wire_money(
        engine, settings, clock, keys=keys, campaigns=campaigns, pause=pause, follower=follower, log=log, floors=floors,
    )  # fmt: skip
    tell = told_to(partial(tell_outbox, publisher), followed_posts, shared)
    relay = OutboxRelay(engine=engine, clock=clock, publish=tell, node=node)
    return Haat(
        settings=settings,
        clock=clock,
        log=log,
        publisher=publisher,
        profile_store=profile_store,
        redis=redis,
        catalogue=catalogue,
        catalogue_calls=CatalogueCalls(catalogue, shared),
        accounts=Accounts(store=account_store, clock=clock),
        keys=keys,
        campaigns=campaigns,
        campaign_server=CampaignServer(
            campaigns=campaigns,
            statistics=statistics,
            forecasts=forecasts,
            keys=keys,
            on_change=follower.changed if elastic is None else elastic.changed,
        ),
        money=money,
        moderation=moderation,
        recommender=recommender,
        statistics=statistics,
        ledger=ledger,
        book=book,
        holds=holds,
        notices=notices,
        counted_notices=counted_notices,
        recovered=recovered,
        projector=SpendProjector(log, ledger, node),
        spend_watch=spend_watch,
        pacer=pacer,
        floors=floors,
        viewable=viewable,
        shown=SqlShownSource(engine),
        relay=relay,
        follower=follower,
        outside=outside,
        auction=auction,
        currencies=currencies,
        auction_calls=auction_calls,
        openrtb_calls=OpenRtbCalls(openrtb, keys, max_bytes=settings.openrtb_max_bytes),
        feed_server=feed.server,
        feed_index=feed.index,
        social=social,
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
            *feed.routes,
            *social.routes(keys),
            *moderation.routes,
        ],
        consent=consent,
        measuring=measuring,
        ads_txt=ads_txt,
        answers=answers,
        nodes=nodes,
        shared=shared,
        followed_posts=followed_posts,
        campaign_search=campaign_search_of(elastic.indices if elastic is not None else None, engine),
        elastic=elastic,
        look_alikes=look_alikes,
        kafka=wire_kafka(settings, log=log, engine=engine, own_counts=own_counts_of(measuring.reports, statistics)),
        close=close,
    )
