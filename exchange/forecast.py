"""What would a line item come to? Recorded page views held against a draft: what it could have had, and for how much.

Every placement that the draft is eligible for has a price to beat: the best recorded bid or the floor. A bid that beats
it is counted as a sale at second price plus (or at its own price where the auction was a first-price one), one a page
at most. Intervals come from drawing the batches of the sample again (bootstrap) and from the chance that lies in the
counts themselves (Poisson).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from exchange.clearing_prices import PRICE_STEP_MICROS
from exchange.eligibility import eligible
from exchange.floor_log import best_two
from exchange.inventory import Snapshot
from exchange.page_arrays import HoursOfWeek, page_arrays
from exchange.request import PageView, PriceRule, PricingModel
from exchange.static_worth import CONVERSION_PRIOR
from exchange.visitor import Visitor
from streams.auction_block import AuctionColumns

RESAMPLES = 400
# Bids of the landscape, as parts of the draft's.
BID_STEPS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
_PLENTY_MICROS = 1 << 60


class Estimate(msgspec.Struct, frozen=True):
    """A figure per day with its 95 % interval."""

    expected: float
    low: float
    high: float


class BidPoint(msgspec.Struct, frozen=True):
    """What another bid would come to per day."""

    bid_micros: int
    impressions: float
    spend_micros: float


class Forecast(msgspec.Struct, frozen=True):
    """Figures per day, and how good the sample is that they come from."""

    impressions: Estimate
    clicks: Estimate
    spend_micros: Estimate
    opportunities: Estimate
    sampled_visitors: int
    sampled_page_views: int
    sampled_days: float
    sampled_share: float
    landscape: tuple[BidPoint, ...]
    notes: tuple[str, ...]


class Chances(msgspec.Struct):
    """What the draft met in the sample, by page view it could bid for: the price to beat, and what a click is worth."""

    batches: int
    page_views: int
    visitors: int
    batch: NDArray[np.int64]
    placements: NDArray[np.int64]  # how many of the page's placements it could bid for
    to_beat: NDArray[np.float64]  # the cheapest of them, micros per thousand
    first_price: NDArray[np.bool_]
    rate: NDArray[np.float64]  # clicks of an impression


def chances(
    snapshot: Snapshot,
    batches: Iterable[AuctionColumns],
    read: Callable[[bytes, int], PageView | None],
    *,
    widened: Callable[[Sequence[Visitor]], Sequence[Visitor]] = lambda visitors: visitors,
    between: Callable[[], None] = lambda: None,
    most_page_views: int = 100_000,
) -> Chances:
    """Hold the draft, alone in `snapshot`, against recorded page views. `widened` adds what is near the products that
    visitors have looked at; `between` is called after each batch.
    """
    hours = HoursOfWeek(snapshot.zones)
    plenty = np.full(8, _PLENTY_MICROS, np.int64)
    batch: list[int] = []
    count: list[int] = []
    beat: list[float] = []
    first: list[bool] = []
    rate: list[float] = []
    seen: set[str] = set()
    held = looked_at = 0
    for columns in batches:
        views, pages = _views(columns, read)
        if views:
            visitors = widened([Visitor(view.segments, dict(view.affinities)) for view in views])
            arrays = page_arrays(snapshot, hours, views, visitors)
            found = eligible(snapshot.book, arrays, plenty, snapshot.scratch, columns.held_at_ms)
            best, _ = best_two(columns)
            starts = np.concatenate([[0], np.cumsum(columns.placement_count)]).astype(np.int64)
            for row, (view, page) in enumerate(zip(views, pages, strict=True)):
                mine = range(int(arrays.placement_start[row]), int(arrays.placement_start[row + 1]))
                open_to = [(at, int(starts[page]) + at - mine.start) for at in mine if found.kept[at] > 0]
                if not open_to:
                    continue
                prices = [
                    _to_beat(columns, view, recorded, at - mine.start, float(best[recorded]))
                    for at, recorded in open_to
                ]
                cheapest = int(np.argmin(prices))
                ad = int(found.ad[open_to[cheapest][0], 0])
                batch.append(held)
                count.append(len(open_to))
                beat.append(prices[cheapest])
                first.append(int(columns.price_rule[page]) == PriceRule.FIRST_PRICE)
                rate.append(float(snapshot.prior[snapshot.book.ad_product[ad], 0]))
                if view.visitor_id:
                    seen.add(view.visitor_id)
        held += 1
        looked_at += len(views)
        between()
        if looked_at >= most_page_views:
            break
    return Chances(
        held, looked_at, len(seen), np.array(batch, np.int64), np.array(count, np.int64), np.array(beat, np.float64),
        np.array(first, bool), np.array(rate, np.float64),
    )  # fmt: skip


def forecast(
    met: Chances,
    *,
    bid_micros: int,
    pricing_model: int,
    daily_limit_micros: int,
    scale: float,
    days: float,
    share: float,
    seen_share: float,
    notes: Sequence[str] = (),
    seed: int = 1,
    viewable_rate: float = 1.0,
) -> Forecast:
    """Figures per day. One sampled page view stands for `scale` of a day; `seen_share` of what is sold is seen, and
    `viewable_rate` of that is in view.

    `daily_limit_micros` is the budget of a day, 0 without one: what goes beyond it is cut evenly, as pacing does.
    """
    rng = np.random.default_rng(seed)
    batches = max(met.batches, 1)
    drawn = rng.multinomial(batches, np.full(batches, 1.0 / batches), RESAMPLES).astype(np.float64)

    def outcome(bid: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(per day, per resample and day) of opportunities, impressions, clicks, spend; the budget not yet applied."""
        worth = _worth(bid, pricing_model, met.rate, viewable_rate)
        won = (worth >= met.to_beat) & (worth > 0)
        price = np.where(met.first_price, worth, np.minimum(met.to_beat + PRICE_STEP_MICROS, worth))
        rows = np.stack(
            [
                met.placements.astype(np.float64),
                won * seen_share,
                won * seen_share * met.rate,
                won * seen_share * price / 1000.0,
            ]
        )
        by_batch = np.stack([np.bincount(met.batch, weights=row, minlength=batches) for row in rows], axis=1)
        return by_batch.sum(axis=0) * scale, drawn @ by_batch * scale

    expected, resampled = outcome(float(bid_micros))
    factor = _cut(expected[3], daily_limit_micros)
    factors = np.array([_cut(spend, daily_limit_micros) for spend in resampled[:, 3]])
    estimates = []
    for column, cut in ((0, False), (1, True), (2, True)):
        values = resampled[:, column] * (factors if cut else 1.0)
        values = rng.poisson(np.minimum(values, 1e15)).astype(np.float64)
        estimates.append(_estimate(float(expected[column]) * (factor if cut else 1.0), values))
    noise = np.sqrt(np.maximum(resampled[:, 1], 0.0))
    per_impression = np.where(resampled[:, 1] > 0, resampled[:, 3] / np.maximum(resampled[:, 1], 1e-9), 0.0)
    spends = np.maximum(resampled[:, 3] + rng.normal(0.0, 1.0, RESAMPLES) * noise * per_impression, 0.0)
    if daily_limit_micros:
        spends = np.minimum(spends, float(daily_limit_micros))
    points = []
    for step in BID_STEPS:
        bid = max(int(bid_micros * step), 1)
        figures, _ = outcome(float(bid))
        cut_to = _cut(figures[3], daily_limit_micros)
        points.append(BidPoint(bid, float(figures[1] * cut_to), float(figures[3] * cut_to)))
    return Forecast(
        impressions=estimates[1],
        clicks=estimates[2],
        spend_micros=_estimate(float(expected[3]) * factor, spends),
        opportunities=estimates[0],
        sampled_visitors=met.visitors,
        sampled_page_views=met.page_views,
        sampled_days=days,
        sampled_share=share,
        landscape=tuple(points),
        notes=tuple(notes),
    )


def _views(columns: AuctionColumns, read: Callable[[bytes, int], PageView | None]) -> tuple[list[PageView], list[int]]:
    views, pages = [], []
    for page, data in enumerate(columns.page_view):
        view = read(data, columns.held_at_ms)
        if view is not None and len(view.placements) == int(columns.placement_count[page]):
            views.append(view)
            pages.append(page)
    return views, pages


def _to_beat(columns: AuctionColumns, view: PageView, recorded: int, index: int, best: float) -> float:
    floor = int(columns.floor_micros[recorded]) if len(columns.floor_micros) else view.placements[index].floor_micros
    return max(float(floor), best + 1.0 if best > 0 else 0.0)


def _worth(bid: float, pricing_model: int, rate: NDArray[np.float64], viewable_rate: float) -> NDArray[np.float64]:
    """A bid per thousand impressions."""
    if pricing_model in (PricingModel.CPM, PricingModel.VCPM):
        return np.full(len(rate), bid * (viewable_rate if pricing_model == PricingModel.VCPM else 1.0))
    return np.asarray(bid * rate * 1000.0 * (CONVERSION_PRIOR if pricing_model == PricingModel.CPA else 1.0))


def _cut(spend: float, limit_micros: int) -> float:
    return min(1.0, limit_micros / spend) if limit_micros and spend > 0 else 1.0


def _estimate(expected: float, resampled: NDArray[np.float64]) -> Estimate:
    low, high = (float(value) for value in np.quantile(resampled, (0.025, 0.975)))
    return Estimate(expected, min(low, expected), max(high, expected))
