"""Whole auctions and single bidders as JSON in and JSON out; the samples are documentation too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bidders.roster import ROSTER
from exchange.answer import PlacementAnswer
from exchange.bidding import BidContext
from exchange.eligibility import CODES
from exchange.page_rules import PageRules
from exchange.ports import LineItemRecord
from exchange.refusals import Refusal
from exchange.request import Placement
from streams.ports import Profile
from tests.builders import Market, a_creative, a_line_item, a_placement

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
AUCTIONS = sorted((SAMPLES / "auctions").glob("*.json"))
BIDDERS = sorted((SAMPLES / "bidders").glob("*/*.json"))


@pytest.mark.parametrize("path", AUCTIONS, ids=lambda path: path.stem)
async def test_an_auction_ends_as_its_sample_says(path: Path) -> None:
    sample = json.loads(path.read_text())
    market = Market([_line_item(**item) for item in sample["line_items"]], chance=sample.get("click_chance", 0.01))
    asked: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in sample["page_view"].items()
    }
    if "page_rules" in asked:
        asked["page_rules"] = PageRules(**asked["page_rules"])
    # What was seen before, as [line item, seconds ago]; each line item has the creative of its number.
    now_ms = market.clock.now_ms()
    seen = sample.get("visitor_has_seen", [])
    market.visitors.profiles["visitor-1"] = Profile(
        seen_line_items=[number for number, _ in seen],
        seen_at_ms=[now_ms - ago_s * 1000 for _, ago_s in seen],
        seen_creatives=[number for number, _ in seen],
    )
    for number, ago_s in sample.get("session_has_seen", []):
        key = f" {sample['page_view']['session_id']}"
        market.sessions.remember(key, number, number, now_ms - ago_s * 1000)
    asked["placements"] = tuple(_placement(**placement) for placement in sample["page_view"]["placements"])

    answer = await market.ask_one(**asked)

    assert [_shown(placement) for placement in answer.placements] == sample["answer"]
    assert market.tally.outcomes is not None
    counts = zip(CODES, market.tally.outcomes.tolist(), strict=True)
    assert {Refusal(code).name.lower(): count for code, count in counts if count} == sample["outcomes"]


@pytest.mark.parametrize("path", BIDDERS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_bidder_bids_as_its_sample_says(path: Path) -> None:
    sample = json.loads(path.read_text())
    bidder = next(bidder for bidder in ROSTER if bidder.name == path.parent.name)
    count = len(sample["standing_bid_micros"])

    bids = bidder.bid(
        BidContext(
            standing_bid_micros=np.array(sample["standing_bid_micros"], np.int64),
            pricing_model=np.ones(count, np.uint8),
            match_weight=np.array(sample["match_weight"], np.float32),
            click_prior=np.full(count, 0.004),
        )
    )

    assert bids.tolist() == sample["bids"]


def test_every_bidder_of_the_roster_has_samples() -> None:
    assert {path.parent.name for path in BIDDERS} == {bidder.name for bidder in ROSTER}


def _line_item(number: int, creative: dict[str, Any] | None = None, **changes: Any) -> LineItemRecord:
    made = a_line_item(number, creatives=(a_creative(number, **(creative or {})),))
    return msgspec.convert(msgspec.to_builtins(made) | changes, LineItemRecord)


def _placement(placement_id: str, **changes: Any) -> Placement:
    return msgspec.convert(msgspec.to_builtins(a_placement(placement_id)) | changes, Placement)


def _shown(placement: PlacementAnswer) -> dict[str, Any]:
    if placement.ad is None:
        return {"placement_id": placement.placement_id, "no_ad_reason": placement.no_ad_reason}
    shown = {
        "placement_id": placement.placement_id,
        "line_item_id": placement.ad.line_item_id,
        "price_micros": placement.ad.price_micros,
    }
    return shown | {"deal_id": placement.ad.deal_id} if placement.ad.deal_id else shown
