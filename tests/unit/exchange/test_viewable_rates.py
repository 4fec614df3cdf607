"""Is a rate that of its placement where much was seen, and that of all others where little was?"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from backends.reports_sql import SqlReportStore
from backends.viewable_sql import SqlShownSource
from exchange.billing import Kind, Verdict
from exchange.replay import differences
from exchange.report_counts import HOUR_MS, Counts
from exchange.request import PricingModel
from exchange.viewable_rates import PRIOR, Shown, ViewableRates
from streams.schemas import NoticesTaken, NoticeTaken
from streams.topics import NOTICES
from tests.builders import Market, a_line_item, a_page_view, a_placement
from tests.databases import open_database

pytestmark = pytest.mark.on_every_database

TOP, SIDE = ("shop", "top"), ("shop", "side")
AT_MS = 400_000 * HOUR_MS


def test_without_counts_half_is_in_view() -> None:
    rates = ViewableRates()

    assert rates.of(TOP) == rates.of_any == PRIOR == 0.5


def test_much_that_was_seen_outweighs_the_prior_and_little_does_not() -> None:
    rates = ViewableRates({TOP: Shown(100_000, 80_000), SIDE: Shown(10, 0)})

    assert rates.of_any == pytest.approx(80_050 / 100_110)
    assert rates.of(TOP) == pytest.approx(0.8, abs=0.001)
    # Ten of which none was in view are drawn to the rate of all, as by 200 impressions of it.
    assert rates.of(SIDE) == pytest.approx(rates.of_any * 200 / 210)
    assert rates.of(("shop", "elsewhere")) == rates.of_any


@pytest.mark.parametrize("shown", [Shown(0, 5), Shown(10, 12), Shown(-3, 0), Shown(5, -1), Shown(10**9, 0)])
def test_a_rate_is_a_chance_whatever_corrections_left(shown: Shown) -> None:
    assert 0.0 < ViewableRates({TOP: shown}).of(TOP) <= 1.0


def test_rates_stand_in_the_order_of_the_placements() -> None:
    rates = ViewableRates({TOP: Shown(1000, 1000), SIDE: Shown(1000, 0)})
    pages = [
        a_page_view(publisher_id="shop", placements=(a_placement("side"), a_placement("top"))),
        a_page_view(publisher_id="other", placements=(a_placement("top"),)),
    ]

    assert rates.by_placement(pages).tolist() == [rates.of(SIDE), rates.of(TOP), rates.of_any]


def test_counts_come_from_the_reports_of_the_last_days(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    counts = Counts()

    def said(kind: Kind, verdict: Verdict = Verdict.ACCEPTED, *, before_h: int = 0, test: bool = False) -> None:
        notice = NoticeTaken(
            kind, "1.0", verdict, placement_id="top", publisher_id="shop", line_item_number=1, test=test
        )
        counts.add_notices(NoticesTaken(AT_MS - before_h * HOUR_MS, (notice,)))

    for kind in (Kind.IMPRESSION, Kind.IMPRESSION, Kind.IMPRESSION, Kind.VIEWABLE):
        said(kind)
    said(Kind.VIEWABLE, Verdict.INVALID)
    said(Kind.VIEWABLE, test=True)
    said(Kind.IMPRESSION, before_h=50)
    assert SqlReportStore(engine).add(NOTICES.name, counts, 0, 1)

    assert SqlShownSource(engine).shown(AT_MS // HOUR_MS - 24) == {TOP: Shown(3, 1)}
    assert SqlShownSource(engine).shown(0) == {TOP: Shown(4, 1)}
    engine.dispose()


def test_a_bid_for_what_is_in_view_wins_where_ads_are_seen() -> None:
    """9.00 per thousand viewable is 8.1 a thousand where nine of ten are in view, and 0.9 where one of ten is."""
    market = Market(
        [
            a_line_item(1, pricing_model=int(PricingModel.VCPM), bid_micros=9_000_000),
            a_line_item(2, bid_micros=4_000_000),
        ],
        viewable={("", "top"): Shown(10**6, 900_000), ("", "low"): Shown(10**6, 100_000)},
    )

    answers = asyncio.run(
        market.ask(a_page_view(placements=(a_placement("top"),)), a_page_view(placements=(a_placement("low"),)))
    )

    high, low = (answer.placements[0].ad for answer in answers)
    assert high is not None
    assert low is not None
    assert (high.facts.line_item_id, low.facts.line_item_id) == ("item-1", "item-2")
    # 4.01 a thousand impressions, of which nine in ten are in view: 4.46 a thousand of those; per impression as before.
    assert high.price_micros == pytest.approx(4_010_000 / 0.9, rel=1e-3)
    assert low.price_micros == pytest.approx(910_000, rel=0.01)
    (record,) = market.published
    assert differences(record) == []
    (batch,) = market.held
    assert batch.reserved_micros.tolist()[0] == pytest.approx(4_010_000 / 1000, rel=1e-3)
