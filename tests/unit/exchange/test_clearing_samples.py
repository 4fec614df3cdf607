"""Pages cleared as their samples say: each price rule, each page rule, deals, currencies, and the least bid to win."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exchange.eligibility import CODES
from exchange.min_to_win import min_to_win
from exchange.page_rules import PageRules
from exchange.refusals import Refusal
from tests.clearing_cases import CONVERSION_RATE, cleared

SAMPLES = sorted((Path(__file__).resolve().parents[2] / "samples" / "clearing").glob("*.json"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_page_is_cleared_as_its_sample_says(path: Path) -> None:
    sample = json.loads(path.read_text())
    rules = PageRules(**sample["page_rules"]) if "page_rules" in sample else None

    done = cleared(sample["bids"], sample["placements"], sample["price_rule"], page_rules=rules)

    least = min_to_win(
        done.bids, done.terms, done.winners, range(len(sample["bids"])),
        engagement_value_micros=0, conversion_rate=CONVERSION_RATE,
    )  # fmt: skip
    found = []
    for row, expected in enumerate(sample["ends"]):
        end: dict[str, object] = {"outcome": Refusal(CODES[done.bids.outcome[row]]).name.lower()}
        if done.bids.price_micros[row]:
            end["price_micros"] = int(done.bids.price_micros[row])
        if "min_to_win_micros" in expected:
            end["min_to_win_micros"] = least[row]
        found.append(end)
    assert found == sample["ends"]
