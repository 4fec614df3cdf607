"""How does `haat forecast` run? A draft from a file against the event log of a data folder, server running or not."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

from google.protobuf import json_format

from app.databases import open_database
from app.printing import print_json, print_table
from app.settings import Settings
from backends.budget_ledger_sql import SqlBudgetLedger
from backends.campaigns_sql import SqlCampaignStore
from backends.event_log_lmdb import LmdbEventLog
from backends.neighbours_usearch import UsearchNeighbours
from backends.product_neighbours_local import LocalProductNeighbours
from common.clock import SystemClock
from common.errors import FieldError, InvalidInput, NotFound
from common.money import exactly
from exchange.auction_wire import PageViewReader
from exchange.campaigns import Campaigns
from exchange.campaigns_server import line_item_of
from exchange.forecast import Estimate, Forecast
from exchange.forecasts import Forecasts
from exchange.near_recorded import RecordedNear
from protos import campaigns_pb2
from ranking.scoring import open_ranker
from streams.catalogue import Catalogue
from streams.publisher import Publisher

_MOST_BYTES = 1 << 20


def forecast_file(settings: Settings, file: Path, *, tenant: str, days: int, as_json: bool) -> None:
    """Print what the line item of the file would come to."""
    message = _message(file)
    if not (settings.data_dir / "log").exists():
        raise NotFound(f"there is no event log in {settings.data_dir}: give the server's folder with --data-dir")
    clock = SystemClock()
    engine = open_database(settings)
    ranker, _ = open_ranker(settings.models_dir / "click", lambda _: None, "prior")
    neighbours = LocalProductNeighbours(UsearchNeighbours())
    try:
        with closing(LmdbEventLog(settings.data_dir / "log", readonly=True)) as log:
            forecasts = Forecasts(
                campaigns=Campaigns(
                    store=SqlCampaignStore(engine),
                    clock=clock,
                    currency=settings.currency,
                    spent=SqlBudgetLedger(engine),
                ),
                log=log,
                clock=clock,
                ranker=ranker,
                read=PageViewReader(currency=settings.currency, tmax_ms=settings.tmax_ms).from_bytes,
                near=lambda: _near(neighbours, Catalogue(log, Publisher(log, clock))),
            )
            made = forecasts.line_item(tenant, line_item_of(message), days)
    finally:
        asyncio.run(neighbours.close())
        engine.dispose()
    if as_json:
        print_json(made)
    else:
        _show(made, settings.currency)


def _near(neighbours: LocalProductNeighbours, catalogue: Catalogue) -> RecordedNear:
    catalogue.load()
    asyncio.run(neighbours.put(catalogue.all()))
    return RecordedNear(lambda vectors, limit: asyncio.run(neighbours.nearest(vectors, limit)), catalogue.get)


def _message(file: Path) -> campaigns_pb2.LineItem:
    try:
        with file.open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise InvalidInput([FieldError("FILE", str(file), "a line item has at most 1 MiB")])
        return json_format.Parse(data, campaigns_pb2.LineItem())
    except OSError as error:
        raise InvalidInput([FieldError("FILE", str(file), f"cannot be read ({error.strerror})")]) from None
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise InvalidInput([FieldError("FILE", str(error)[:300], "give a haat.campaigns.v1.LineItem")]) from None


def _show(made: Forecast, currency: str) -> None:
    print(
        f"Per day, with the range of 95 in 100 cases; from {made.sampled_page_views:,} page views "
        f"({made.sampled_share:.1%} of the record) of {made.sampled_days:.2f} days, {made.sampled_visitors:,} visitors."
    )

    def money(micros: float) -> str:
        return exactly(round(micros), currency)

    rows = [(name, *(_count(value) for value in _three(estimate))) for name, estimate in (
        ("opportunities", made.opportunities), ("impressions", made.impressions), ("clicks", made.clicks)
    )]  # fmt: skip
    rows.append(("spend", *(money(value) for value in _three(made.spend_micros))))
    print_table(("figure", "expected", "low", "high"), rows)
    print_table(
        ("bid", "impressions", "spend"),
        [(money(point.bid_micros), _count(point.impressions), money(point.spend_micros)) for point in made.landscape],
    )
    for note in made.notes:
        print(note)


def _three(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.expected, estimate.low, estimate.high


def _count(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
