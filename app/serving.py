"""How does haat run? Ports first, then stores, kernels and doors; and the other way round at the end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from accounts.grpc_edge import Caller, Method, handlers_for
from app.background import Background, caught_up
from app.demo_pictures import routes as demo_pictures
from app.grpc_transports import GrpcTransport, handlers_of, open_transport
from app.haat import Haat
from app.http import HttpServer, http_app
from app.ports_in_use import check_port_free, listening_socket
from app.settings import Settings
from app.status import HaatStatus
from app.warm_up import kernels_are_compiled, warm_up
from app.wiring import wire
from app.wiring_moderation import MODERATION_SERVICE
from app.wiring_money import MONEY_SERVICES
from common.errors import BackendUnavailable, Conflict
from exchange.campaigns_server import SERVICE as CAMPAIGN_SERVICE
from exchange.reports_server import SERVICE as REPORT_SERVICE
from exchange.server import SERVICE as AUCTION_SERVICE
from feed.server import SERVICE_NAME as FEED_SERVICE
from feed.social.server import SERVICE_NAME as SOCIAL_SERVICE
from protos import catalogue_pb2, openrtb_service_pb2
from streams.server import MAX_REQUEST_BYTES as CATALOGUE_MAX_BYTES
from streams.server import SERVICE_NAME as CATALOGUE_SERVICE

# Reflection finds what has been imported, so the service is asked of its own module.
OPENRTB_SERVICE = openrtb_service_pb2.DESCRIPTOR.services_by_name["OpenRtb"].full_name
SERVICES = (
    AUCTION_SERVICE,
    CAMPAIGN_SERVICE,
    CATALOGUE_SERVICE,
    FEED_SERVICE,
    SOCIAL_SERVICE,
    REPORT_SERVICE,
    OPENRTB_SERVICE,
    *MONEY_SERVICES,
    MODERATION_SERVICE,
)

# What is not counted within this at the end is counted after the next start.
_COUNTING_S = 3.0

_OTHER_THREADS = 16

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A haat that takes calls: where, and what it is made of."""

    haat: Haat
    grpc_address: str
    http_address: str


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain: calls under way are answered, and nothing is lost."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings) as haat:
        print(f"haat serves gRPC on {haat.grpc_address} and HTTP on http://{haat.http_address}", flush=True)
        nodes = haat.haat.nodes
        ends = [asyncio.create_task(stop.wait()), asyncio.create_task(nodes.ended.wait())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        print(f"Stopping: calls under way have {settings.drain_s} s to finish.", flush=True)
    if nodes.membership.lost:
        raise Conflict(
            f"node {settings.node!r} was away too long, or another process has its name: start it again, it goes on "
            "from its log"
        )


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Start everything; at the end drain and close it, in the order that loses nothing."""
    if settings.grpc_port:
        check_port_free(settings.grpc_host, settings.grpc_port, "gRPC")
    if settings.http_port:
        check_port_free(settings.http_host, settings.http_port, "HTTP")
        listener = None
    else:
        # Pixels and films name the port in their addresses, so it is taken before anything is put together.
        listener = listening_socket(settings.http_host, 0, "HTTP")
        settings = replace(settings, http_port=listener.getsockname()[1])
    if settings.database_url:
        # What waits for a database in the network waits in threads: what does not must find one all the same.
        threads = ThreadPoolExecutor(settings.database_pool + _OTHER_THREADS, thread_name_prefix="beside")
        asyncio.get_running_loop().set_default_executor(threads)
    haat = None
    try:
        haat = wire(settings)
        await _prepare(haat)
        status = HaatStatus(haat, SERVICES)
        http = http_app(status)
        http.router.routes.extend([*demo_pictures(), *haat.routes])
        http_server = HttpServer(
            http, settings.http_host, settings.http_port, tls_cert=settings.tls_cert, tls_key=settings.tls_key,
            most_connections=settings.http_connections, listener=listener,
        )  # fmt: skip
        door, beat = _grpc_door(haat)
        background = Background(haat)
        await door.start()
        haat.nodes.membership.address = settings.node_address or f"{settings.grpc_host}:{door.port}"
        # Others are told where it is before anybody gets an ad of it.
        await haat.nodes.beat()
        serving_http = asyncio.create_task(http_server.run())
        background.start()
        for service in (*SERVICES, ""):
            await beat.set(service, health_pb2.HealthCheckResponse.SERVING)
        status.grpc_address = f"{settings.grpc_host}:{door.port}"
        status.ready()
        try:
            yield Running(haat, status.grpc_address, f"{settings.http_host}:{http_server.port}")
        finally:
            # Whoever sends calls here looks at these two, and sends no more before the door closes.
            status.draining()
            await beat.enter_graceful_shutdown()
            await asyncio.sleep(settings.unready_s)
            haat.auction_calls.drain()
            await door.stop(settings.drain_s)
            # Browsers' notices end here, so that nothing is taken after the accounts were settled.
            http_server.stop()
            await serving_http
            await haat.notices.drain()
            await background.stop()
            if not haat.nodes.membership.lost:
                await _settle(haat)
            if haat.kafka is not None:
                await asyncio.to_thread(haat.kafka.stop)
            await haat.nodes.peers.close()
            for bidder in haat.outside:
                await bidder.close()
            await haat.measuring.sender.close()
            if haat.elastic is not None:
                await haat.elastic.close()
            await haat.look_alikes.close()
            if haat.ads_txt is not None:
                await haat.ads_txt.fetcher.close()
    finally:
        if haat is not None:
            haat.close()
        if listener is not None:
            listener.close()


async def _prepare(haat: Haat) -> None:
    """Inventory, money and kernels, before the first call is taken."""
    if haat.elastic is not None:
        await haat.elastic.prepare()
    snapshot = haat.follower.load()
    await haat.pacer.refresh()
    await haat.book.top_up()
    haat.spend_watch.counted()
    if haat.recovered.open_ads:
        _log.info("%d sold ads of the last run are still open", haat.recovered.open_ads)
    if haat.recovered.missing or haat.recovered.unreadable:
        _log.warning(
            "recovery: %d ads have notices and no auction, %d records cannot be read",
            haat.recovered.missing,
            haat.recovered.unreadable,
        )
    if not kernels_are_compiled():
        print("Compiling the auction's kernels; only the first start does this, it takes some seconds …",
              file=sys.stderr, flush=True)  # fmt: skip
    await warm_up(haat)
    _spare_long_pauses()
    _log.info("%d line items in the inventory; %s", len(snapshot.items), haat.ranker_sentence)
    _log.info("the feed: %s", haat.feed_server.ranker_sentence)


def _spare_long_pauses() -> None:
    """What was loaded stays: the garbage collector need not walk it again, which took up to 0.3 s at a time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 1_000)


def _grpc_door(haat: Haat) -> tuple[GrpcTransport, health.HealthServicer]:
    beat = health.HealthServicer()
    names = (*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
    mirror = reflection.aio.ReflectionServicer(names)
    handlers = (
        haat.auction_calls.handlers(),
        haat.campaign_server.handler(),
        haat.measuring.report_server.handler(),
        *haat.money.handlers,
        haat.moderation.handler,
        _catalogue_handlers(haat),
        haat.feed_server.handlers(haat.keys),
        haat.social.handlers(haat.keys),
        haat.openrtb_calls.handlers(),
        haat.nodes.server.handler(),
        *handlers_of(health_pb2_grpc.add_HealthServicer_to_server, beat),
        *handlers_of(reflection_pb2_grpc.add_ServerReflectionServicer_to_server, mirror),
    )
    return open_transport(haat.settings, handlers), beat


def _catalogue_handlers(haat: Haat) -> grpc.GenericRpcHandler:
    calls = haat.catalogue_calls

    async def put(request: catalogue_pb2.PutProductsRequest, who: Caller, _: object) -> Message:
        return await calls.put_products(request, who.tenant_id)

    async def get(request: catalogue_pb2.GetProductRequest, who: Caller, _: object) -> Message:
        return await calls.get_product(request, who.tenant_id)

    methods: dict[str, Method] = {
        "PutProducts": (catalogue_pb2.PutProductsRequest, put),
        "GetProduct": (catalogue_pb2.GetProductRequest, get),
    }
    return handlers_for(CATALOGUE_SERVICE, methods, haat.keys, ("storefront", "operator"), CATALOGUE_MAX_BYTES)


async def _settle(haat: Haat) -> None:
    """What the log knows goes into the ledger, and money that nobody reserved goes back to it."""
    try:
        await asyncio.to_thread(haat.relay.relay_once)
        await asyncio.to_thread(haat.projector.catch_up)
        counting = [haat.money.revenue.count_once]
        if haat.kafka is None:
            counting += [haat.statistics.count_once, haat.measuring.reports.count_once]
        for count in counting:
            if not await asyncio.to_thread(caught_up, count, haat.log, _COUNTING_S):
                _log.warning("not all of the log is counted; the next start goes on with it")
        await asyncio.to_thread(haat.measuring.outgoing.catch_up, haat.clock.now_ms())
        haat.notices.expire()
        await haat.book.give_back_all()
        await asyncio.to_thread(haat.log.sync)
    except BackendUnavailable as error:
        _log.warning("not everything could be settled; the next start goes on from the log: %s", error)
