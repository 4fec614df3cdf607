"""Are the features that `haat auction explain` tells those that ranked, and does it say so when they cannot be?"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.explain import explain_auction
from app.settings import load
from backends.event_log_lmdb import LmdbEventLog
from backends.profiles_lmdb import LmdbProfileStore
from backends.sold_facts_sql import SqlNames
from common.ids import text_of
from protos import common_pb2
from protos import exchange_pb2 as pb
from ranking import model as click_model
from ranking.calibration import UNCALIBRATED
from ranking.scoring import ClickRanker, PriorRanker
from streams import schemas
from streams.auction_block import AuctionColumns, encode_auctions
from streams.ports import Profile
from streams.topics import AUCTIONS, PRODUCTS
from tests.builders import Market, a_creative, a_line_item, a_page_view, a_placement, a_product

MODELS = Path(__file__).parents[3] / "models"
# The shipped model's calibration takes all scores for the same; here they shall tell.
MODEL = replace(click_model.load(MODELS / "click"), calibration=UNCALIBRATED)
CATEGORY = MODEL.state.vocabularies["item_feature_1"][1]
CHAIR = {"section": "men", "item_feature_0": "-0.25", "item_feature_1": CATEGORY}
PROFILE = Profile(segments=["uf0=81ce123c", "club=gold"], affinities={"men-1": 2.0, "men-9": 0.5})


async def held(ranker: PriorRanker, *, permissions: int = 15) -> AuctionColumns:
    """Two finalists of the model: men-1 of the catalogue at place 2, and what the catalogue does not know."""
    items = [
        a_line_item(number, creatives=(a_creative(number, product_id=product_id),))
        for number, product_id in ((1, "men-1"), (2, "new"))
    ]
    market = Market(items, ranker=ranker, profiles={"visitor-1": PROFILE})
    places = [pb.Placement(placement_id="top", position=2)]
    wire = pb.PageView(
        visitor=common_pb2.Visitor(visitor_id="visitor-1"),
        viewed_at_ms=1_700_000_000_000,
        placements=places,
        device=common_pb2.Device(type=common_pb2.DEVICE_TYPE_PHONE),
    ).SerializeToString()
    await market.ask(
        a_page_view(
            wire=wire, permissions=permissions, placements=(a_placement(position=2),)
        )
    )  # fmt: skip
    return market.published[0]


def kept(folder: Path, record: AuctionColumns, profile: Profile = PROFILE, chair: dict[str, str] = CHAIR) -> None:
    with closing(LmdbProfileStore(folder / "profiles")) as store:
        store.write({"visitor-1": profile})
    with closing(LmdbEventLog(folder / "log")) as log:
        for attributes, at_ms in ((chair, record.held_at_ms - 1), ({"section": "all"}, record.held_at_ms + 1)):
            put = schemas.ProductsPut("shop", (a_product(product_id="men-1", attributes=attributes),))
            log.append(PRODUCTS.name, [schemas.encode(put)], at_ms)
        log.append(AUCTIONS.name, [encode_auctions(record)], record.held_at_ms)


def explained(
    folder: Path, record: AuctionColumns, monkeypatch: pytest.MonkeyPatch, models: Path | None = None
) -> dict[str, Any]:
    # The creatives of a market of tests stand in no store.
    monkeypatch.setattr(SqlNames, "products", lambda _self, _numbers: {1: "men-1", 2: "new"})
    if models is None:
        monkeypatch.setattr("app.explained_features.load", lambda _folder: MODEL)
    settings = load({"data_dir": str(folder), "models_dir": str(models or MODELS)}, environment={})
    number = int(record.auction_id_high[0]) << 64 | int(record.auction_id_low[0])
    return explain_auction(settings, text_of(number))


def of_line_item(story: dict[str, Any], number: int) -> dict[str, Any]:
    (bid,) = [bid for bid in story["placements"][0]["bids"] if bid["line_item"].startswith(f"number {number},")]
    return dict(bid)


def ranker(serving: str) -> ClickRanker:
    return ClickRanker(MODEL, {"men-1": CHAIR}.get, "model" if serving == "model" else "prior")


@pytest.mark.parametrize("serving", ["model", "prior"])
async def test_features_are_told_and_the_rate_comes_out_as_recorded(
    serving: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = await held(ranker(serving))
    kept(tmp_path, record)

    story = explained(tmp_path, record, monkeypatch)

    assert "comes out as recorded for all 2 finalists" in story["features"]
    chair = of_line_item(story, 1)
    assert chair["features"] == {
        "section": "men", "item_feature_0": -0.25, "item_feature_1": CATEGORY, "item_feature_2": None,
        "item_feature_3": None, "item_prior_rate": round(MODEL.state.item_rates["men-1"], 6),
        "hour": 22.0, "weekday": 1.0, "device": 1.0, "uf0": "81ce123c", "uf1": None, "uf2": None, "uf3": None,
        "affinity_sum": 2.5, "position": 2.0, "affinity": 2.0,
    }  # fmt: skip
    assert chair["click_probability"] == chair["calibrated_rate" if serving == "model" else "smoothed_rate"]
    assert of_line_item(story, 2)["features"]["section"] is None


async def test_nothing_of_a_visitor_is_told_that_the_auction_was_not_allowed_to_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = await held(ranker("model"), permissions=1)
    kept(tmp_path, record)

    story = explained(tmp_path, record, monkeypatch)

    assert "as recorded for all 2 finalists" in story["features"]
    features = of_line_item(story, 1)["features"]
    assert (features["uf0"], features["affinity"], features["affinity_sum"]) == (None, 0.0, 0.0)


async def test_what_has_changed_since_does_not_pass_for_what_ranked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = await held(ranker("model"))
    kept(tmp_path, record, profile=Profile())

    story = explained(tmp_path, record, monkeypatch)

    assert "comes out as recorded for 0 of 2 finalists" in story["features"]


async def test_another_model_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = await held(PriorRanker(MODEL.prior, "model-123456789abc"))
    kept(tmp_path, record)

    story = explained(tmp_path, record, monkeypatch)

    assert f"model-123456789abc ranked, {MODEL.version} is here" in story["features"]
    assert of_line_item(story, 1)["features"]["section"] == "men"


async def test_without_a_model_the_rest_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = await held(ranker("model"))
    kept(tmp_path, record)

    story = explained(tmp_path, record, monkeypatch, models=tmp_path)

    assert story["features"].startswith("not told: there is no ")
    assert "features" not in of_line_item(story, 1)
    assert of_line_item(story, 1)["click_probability"] > 0
