"""What hears of ads, counts them and tells bidders? The part of the wiring that is about measuring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

from sqlalchemy import Engine
from starlette.routing import BaseRoute

from accounts.ports import ApiKeys
from app.bridges import TenantsOfLineItems, placements_of
from app.settings import Settings
from app.signing_keys import POSTBACK_KEYS, TOKEN_KEYS, SigningKeys, postback_secret
from app.wiring_nodes import Nodes
from backends.notice_sender_aiohttp import HttpNoticeSender
from backends.outgoing_sql import SqlOutgoingStore
from backends.postback_answers_sql import SqlAnswerStore
from backends.reports_sql import SqlReportStore
from backends.sold_facts_sql import SqlNames
from common.clock import Clock
from exchange.conversion_endpoints import ConversionEndpoints
from exchange.event_endpoints import EventEndpoints, TakeNotices
from exchange.holds import Holds
from exchange.invalid_traffic import Agents, Limits
from exchange.networks import Networks
from exchange.notice_delivery import NoticeDelivery
from exchange.outgoing import OutgoingProjector
from exchange.postback_answers import RememberedAnswers
from exchange.reports import Reports
from exchange.reports_server import ReportServer
from exchange.tokens import Tokens
from streams.ports import EventLog


@dataclass
class Measuring:
    """`tokens` sign the addresses in markup; `routes` are served over HTTP."""

    tokens: Tokens
    events: EventEndpoints
    reports: Reports
    report_server: ReportServer
    outgoing: OutgoingProjector
    outgoing_store: SqlOutgoingStore
    delivery: NoticeDelivery
    sender: HttpNoticeSender
    routes: list[BaseRoute]


def wire_measuring(
    settings: Settings,
    *,
    clock: Clock,
    log: EventLog,
    engine: Engine,
    keys: ApiKeys,
    holds: Holds,
    take: TakeNotices,
    nodes: Nodes,
) -> Measuring:
    """Put it together; opens the key files of the data folder, which are made when there are none."""
    tokens = Tokens(SigningKeys(settings.keys_dir / TOKEN_KEYS))
    postback_keys = SigningKeys(settings.keys_dir / POSTBACK_KEYS)
    events = EventEndpoints(
        tokens=tokens,
        holds=holds,
        take=take,
        clock=clock,
        tenant_of=TenantsOfLineItems(SqlNames(engine)).tenant_of,
        agents=Agents(_lines(settings.bot_agents_file)),
        data_centres=Networks(_lines(settings.data_centres_file)),
        proxies=Networks(settings.trusted_proxies),
        limits=Limits(network_per_minute=settings.network_events_per_minute),
        click_id_parameter=settings.click_id_parameter,
        sold_elsewhere=lambda impression_id: nodes.router.owner(impression_id) is not None,
        clicked=nodes.router.clicked,
    )
    conversions = ConversionEndpoints(
        tokens=tokens,
        take=take,
        clock=clock,
        secrets=lambda tenant: [postback_secret(key, tenant) for key in postback_keys()],
        answers=RememberedAnswers(SqlAnswerStore(engine)),
    )
    reports = Reports(SqlReportStore(engine, settings.node), placements_of)
    store = SqlOutgoingStore(engine, settings.node)
    sender = HttpNoticeSender(private_allowed=settings.private_addresses == "allow")
    return Measuring(
        tokens=tokens,
        events=events,
        reports=reports,
        report_server=ReportServer(
            reports=reports,
            corrections=nodes.corrections,
            keys=keys,
            clock=clock,
            currency=settings.currency,
        ),
        outgoing=OutgoingProjector(log, store),
        outgoing_store=store,
        delivery=NoticeDelivery(store=store, send=sender.send, clock=clock, chance=Random()),
        sender=sender,
        routes=[*events.routes(), *conversions.routes()],
    )


def _lines(file: Path | None) -> list[str]:
    return file.read_text("utf-8", "replace").splitlines() if file is not None else []
