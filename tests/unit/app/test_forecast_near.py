"""Where do forecasts get near products from: in a server, and in `haat forecast`?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from google.protobuf import json_format

from app.forecast_command import forecast_file
from app.settings import Settings
from app.wiring_look_alikes import LookAlikes
from backends.event_log_lmdb import LmdbEventLog
from backends.neighbours_exact import ExactNeighbours
from backends.product_neighbours_local import LocalProductNeighbours
from common.clock import SteppedClock, SystemClock
from common.errors import BackendUnavailable
from exchange.auction_wire import PageViewReader
from exchange.visitor import Visitor
from protos import campaigns_pb2, common_pb2, exchange_pb2
from streams.auction_block import encode_auctions
from streams.catalogue import Catalogue
from streams.publisher import Publisher
from streams.topics import AUCTIONS
from tests.builders import Market, a_product
from tests.campaign_stores import campaign_world

pytestmark = pytest.mark.slow

CHAIRS = [a_product(1), a_product(2, name="Oak chair, small"), a_product(3, name="Lamp", category="lamps", brand="L")]
LOOKED_AT = Visitor(affinities={"product-1": 1.0})


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LmdbEventLog]:
    with closing(LmdbEventLog(tmp_path / "log")) as opened:
        yield opened


async def test_a_forecast_is_the_first_that_wants_near_products_and_the_catalogue_is_followed_from_then_on(
    log: LmdbEventLog,
) -> None:
    catalogue = Catalogue(log, Publisher(log, SteppedClock()))
    catalogue.put("shop", CHAIRS)
    neighbours = LocalProductNeighbours(ExactNeighbours())
    look_alikes = LookAlikes(neighbours, catalogue, SteppedClock(), wait_s=1.0, wanted=lambda: False)
    with pytest.raises(BackendUnavailable, match="not known yet"):
        await asyncio.to_thread(look_alikes.recorded().widened, [LOOKED_AT])
    await look_alikes.keep_up()

    [found] = await asyncio.to_thread(look_alikes.recorded().widened, [LOOKED_AT])
    catalogue.put("shop", [a_product(4, name="Oak chair, tall")])
    await look_alikes.keep_up()
    [later] = await asyncio.to_thread(look_alikes.recorded().widened, [LOOKED_AT])
    await look_alikes.close()

    assert list(found.near) == ["product-2"]
    assert sorted(later.near) == ["product-2", "product-4"]


class Gone(LocalProductNeighbours):
    async def put(self, products: object) -> None:
        raise BackendUnavailable("gone")


async def test_a_catalogue_that_cannot_be_taken_in_makes_no_forecast(log: LmdbEventLog) -> None:
    catalogue = Catalogue(log, Publisher(log, SteppedClock()))
    catalogue.put("shop", CHAIRS)
    look_alikes = LookAlikes(Gone(ExactNeighbours()), catalogue, SteppedClock(), wait_s=1.0, wanted=lambda: False)
    await look_alikes.keep_up()

    with pytest.raises(BackendUnavailable, match="cannot be indexed"):
        await asyncio.to_thread(look_alikes.recorded().widened, [LOOKED_AT])
    await look_alikes.close()


def a_page_view(looked_at: str) -> bytes:
    affinities = [common_pb2.Affinity(product_id=looked_at, weight=1.0)] if looked_at else []
    return exchange_pb2.PageView(
        visitor=common_pb2.Visitor(affinities=affinities),
        consent=common_pb2.Consent(granted=list(common_pb2.Purpose.values())),
        placements=[exchange_pb2.Placement(
            placement_id="top", formats=[exchange_pb2.FORMAT_BANNER], floor_micros=500_000,
            sizes=[exchange_pb2.Size(width=300, height=250)],
        )],
    ).SerializeToString()  # fmt: skip


def test_the_command_counts_who_looked_at_something_like_the_product(
    tmp_path: Path, log: LmdbEventLog, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SystemClock()
    Catalogue(log, Publisher(log, clock)).put("shop", CHAIRS)
    reader, market = PageViewReader(currency="EUR", tmax_ms=50), Market()
    wires = [a_page_view(looked_at) for looked_at in ("product-1", "product-2", "product-3", "", "product-1")]
    for hour in range(4):
        at_ms = clock.now_ms() - (5 - hour) * 3_600_000
        asyncio.run(market.ask(*(reader.from_bytes(wire, at_ms) for wire in wires)))
        columns = market.published[-1]
        columns.held_at_ms = at_ms
        log.append(AUCTIONS.name, [encode_auctions(columns)], at_ms)
    log.close()
    with campaign_world(tmp_path) as world:
        _, campaign, creative, _ = world.a_whole_campaign()
        tenant = world.tenant_a
    draft = campaigns_pb2.LineItem(
        campaign_id=campaign.campaign_id, name="Like chairs", strategy=campaigns_pb2.STRATEGY_LOOK_ALIKE,
        pricing_model=exchange_pb2.PRICING_MODEL_CPM, bid_micros=2_000_000, creative_ids=[creative.creative_id],
        targeting=campaigns_pb2.Targeting(near_products=["product-2"]),
    )  # fmt: skip
    file = tmp_path / "draft.json"
    file.write_text(json_format.MessageToJson(draft))

    settings = Settings(data_dir=tmp_path, models_dir=tmp_path / "none", ranker="prior")
    forecast_file(settings, file, tenant=tenant, days=1, as_json=True)

    made = json.loads(capsys.readouterr().out)
    # Two of five looked at the oak chair; whoever looked at the small one has seen it itself.
    days = made["sampled_days"]
    assert made["sampled_page_views"] == 20
    assert made["opportunities"]["expected"] * days == pytest.approx(8)
    assert made["impressions"]["expected"] * days == pytest.approx(8)
    assert any("catalogue as it is now" in note for note in made["notes"])
