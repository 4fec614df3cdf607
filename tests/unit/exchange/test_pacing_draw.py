"""What does the walk do with paces? Refusals, counts and draws, through a whole auction."""

from __future__ import annotations

from typing import Any

import numpy as np

from exchange.eligibility import CODE_INDEX, eligible
from exchange.pacing_draw import ALWAYS, Paces, takes_part, threshold_of
from exchange.page_arrays import HoursOfWeek, page_arrays
from exchange.ports import CAMPAIGN_ACCOUNTS
from exchange.refusals import Refusal
from exchange.visitor import Visitor
from tests.builders import Market, a_line_item, a_page_view

PAGES = 2_000


class Paced:
    """One line item in an auction of many page views, with paces of the test's making."""

    def __init__(self) -> None:
        self.market = Market([a_line_item()])
        rows = self.market.purse.rows
        self.item, self.campaign = rows[1], rows[CAMPAIGN_ACCOUNTS + 1]
        self.draw = np.random.default_rng(3).integers(0, 1 << 63, PAGES).astype(np.uint64)
        self.fields: dict[str, Any] = {
            "threshold": np.full(8, ALWAYS, np.uint32), "ceiling": np.full(8, 1 << 60, np.int64),
            "leased": self.market.purse.available[:8].copy(), "met": np.zeros(8, np.int64),
            "passed": np.zeros(8, np.int64), "draw": self.draw, "spend_unknown": 0,
        }  # fmt: skip

    def walk(self) -> tuple[np.ndarray[Any, Any], dict[str, int]]:
        snapshot, market = self.market.snapshot, self.market
        pages = page_arrays(snapshot, HoursOfWeek(snapshot.zones), [a_page_view()] * PAGES, [Visitor()] * PAGES)
        found = eligible(
            snapshot.book, pages, market.purse.available, snapshot.scratch, market.clock.now_ms(), Paces(**self.fields)
        )
        totals = found.refused_total.sum(axis=0)
        return found.kept, {code.name: int(totals[CODE_INDEX[code]]) for code in Refusal if totals[CODE_INDEX[code]]}


def test_who_is_not_paced_takes_part_always_and_is_not_counted() -> None:
    paced = Paced()
    kept, refused = paced.walk()

    assert kept.all()
    assert refused == {}
    assert not paced.fields["met"].any()


def test_a_share_takes_part_by_the_draw_and_the_rest_is_refused_as_paced() -> None:
    paced = Paced()
    paced.fields["threshold"][paced.campaign] = threshold_of(np.array([0.25]))[0]
    kept, refused = paced.walk()

    expected = [
        takes_part(int(draw), CAMPAIGN_ACCOUNTS + 1, int(paced.fields["threshold"][paced.campaign]))
        for draw in paced.draw
    ]
    assert kept.astype(bool).tolist() == expected
    assert 0.2 < kept.mean() < 0.3
    assert refused == {"PACED": PAGES - int(kept.sum())}
    assert (paced.fields["met"][paced.campaign], paced.fields["passed"][paced.campaign]) == (PAGES, kept.sum())
    assert paced.walk()[0].tolist() == kept.tolist()


def test_line_item_and_campaign_draw_each_for_itself() -> None:
    paced = Paced()
    paced.fields["threshold"][[paced.item, paced.campaign]] = threshold_of(np.array([0.5, 0.5]))
    kept, _ = paced.walk()

    assert 0.21 < kept.mean() < 0.29


def test_nothing_is_offered_from_the_ceiling_on() -> None:
    paced = Paced()
    paced.fields["threshold"][paced.item] = ALWAYS - 1
    paced.fields["ceiling"][paced.item] = 5
    paced.fields["leased"][paced.item] += 5
    kept, refused = paced.walk()

    assert not kept.any()
    assert refused == {"PACED": PAGES}


def test_without_money_it_is_told_from_spend_that_is_not_known_and_is_traffic_all_the_same() -> None:
    paced = Paced()
    paced.fields["threshold"][paced.item] = ALWAYS - 1
    paced.market.purse.available[paced.item] = 0

    assert paced.walk()[1] == {"BUDGET_EXHAUSTED": PAGES}
    paced.fields["spend_unknown"] = 1
    assert paced.walk()[1] == {"SPEND_UNKNOWN": PAGES}
    assert paced.fields["met"][paced.item] == 2 * PAGES
    assert paced.fields["passed"][paced.item] == 0


def test_thresholds_never_mean_always() -> None:
    assert threshold_of(np.array([-1.0, 0.0, 1.0, 9.0])).tolist() == [0, 0, ALWAYS - 1, ALWAYS - 1]
