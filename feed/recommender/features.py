"""What does the blend know of a visitor and an item? One column each; the same code in training and serving."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feed.recommender import own_history
from feed.recommender.feedback import DAY_MS
from feed.recommender.parts import NEVER_MS, Parts
from feed.recommender.signals import Signals
from feed.recommender.sparse import Rows

NAMES = (
    "ease", "als", "together", "session", "basket", "alike", "alike_disliked", "disliked",
    "ease_share", "als_share", "together_share", "ease_rank", "own_rank", "own_recent_rank",
    "popular_share",
    "popular_short", "popular_middle", "popular_long", "trend", "season", "item_age_days", "item_again",
    "item_interval_days", "log_price",
    "own_times", "own_decayed", "own_last_days", "own_due", "own_first_days", "own_share_of_baskets",
    "own_in_last_basket", "visitor_baskets", "visitor_items", "visitor_last_days", "visitor_first_days",
    "visitor_basket_days",
    "visitor_basket_size", "visitor_again", "price_gap", "category_share",
)  # fmt: skip

Table = NDArray[np.float64]


def table(
    parts: Parts,
    signals: Signals,
    visitors: NDArray[np.int64],
    items: NDArray[np.int32],
    now_ms: int,
    popularity_days: tuple[float, ...],
    popular: NDArray[np.int64],
) -> Table:
    """float64 [pairs, len(NAMES)]; what is not known is NaN. `visitors` is ascending; `popular` as candidates.popular.

    A pair's row does not depend on the other pairs: shares and ranks are among all that a visitor could be offered.
    """
    columns: dict[str, NDArray[np.float64]] = {
        name: scores.read(visitors, items) for name, scores in signals.scores.items()
    }
    columns["als"] = np.einsum("ij,ij->i", signals.taste[visitors], parts.als[items]).astype(np.float64)
    columns["disliked"] = signals.disliked.read(visitors, items)
    for name in ("ease", "together"):
        columns[f"{name}_share"] = columns[name] / signals.scores[name].best()[visitors]
    columns["als_share"] = columns["als"] / np.maximum(np.linalg.norm(signals.taste, axis=1), 1e-9)[visitors]
    columns["ease_rank"] = _ranks(signals.scores["ease"], columns["ease"], visitors)
    columns |= _of_items(parts, items, now_ms, popularity_days)
    columns["popular_share"] = parts.popularity[0, items] / max(
        float(parts.popularity[0, popular].max(initial=0.0)), 1e-9
    )
    of_visitors = _of_visitors(parts, signals, now_ms)
    columns |= {name: values[visitors] for name, values in of_visitors.items()}
    columns |= _own(parts, signals, visitors, items, now_ms, of_visitors)
    columns["price_gap"] = parts.log_price[items] - columns.pop("visitor_log_price")
    columns["category_share"] = _category_share(parts, signals, visitors, items)
    return np.column_stack([columns[name] for name in NAMES])


def _ranks(scores: Rows, values: NDArray[np.float64], visitors: NDArray[np.int64]) -> NDArray[np.float64]:
    """How many of a visitor's scores are above each value."""
    ranks = np.empty(len(values))
    first = np.searchsorted(visitors, np.arange(len(scores.starts)))
    for visitor in range(len(scores.starts) - 1):
        own = np.sort(scores.values[scores.starts[visitor] : scores.starts[visitor + 1]])
        at = slice(first[visitor], first[visitor + 1])
        ranks[at] = len(own) - np.searchsorted(own, values[at], side="right")
    return ranks


def _own_ranks(signals: Signals, values: NDArray[np.float64], popularity: NDArray[np.float64], items: int) -> Table:
    """The place of each owned entry among its visitor's, 0 for the largest; of equals the popular one first."""
    owner, item = np.divmod(signals.owned.key, max(items, 1))
    order = np.lexsort((-popularity[item], -values, owner))
    ranks = np.empty(len(owner))
    ranks[order] = np.arange(len(owner)) - np.searchsorted(owner, owner)
    return ranks


def _of_items(
    parts: Parts, items: NDArray[np.int32], now_ms: int, popularity_days: tuple[float, ...]
) -> dict[str, NDArray[np.float64]]:
    # What was counted by `fitted_at_ms` has faded since.
    faded = [2.0 ** (-(now_ms - parts.fitted_at_ms) / (days * DAY_MS)) for days in popularity_days]
    short, middle, long = parts.popularity[:, items] * np.array(faded)[:, None]
    since = parts.since_ms[items]
    known = since < NEVER_MS
    return {
        "popular_short": short,
        "popular_middle": middle,
        "popular_long": long,
        "trend": short / (middle + 1.0),
        "season": parts.season[items],
        "item_age_days": np.where(known, (now_ms - np.where(known, since, 0)) / DAY_MS, np.nan),
        "item_again": parts.rhythm.again[items],
        "item_interval_days": parts.rhythm.interval_days[items],
        "log_price": parts.log_price[items],
    }


def _of_visitors(parts: Parts, signals: Signals, now_ms: int) -> dict[str, NDArray[np.float64]]:
    histories, count = signals.histories, len(signals.histories)
    rows = histories.rows
    lengths = histories.lengths
    has_any = lengths > 0
    new_basket = np.ones(len(rows), np.bool_)
    new_basket[1:] = (np.diff(rows) != 0) | (np.diff(histories.at_ms) != 0)
    baskets = np.bincount(rows, weights=new_basket, minlength=count)
    owner = signals.owned.key // max(parts.items, 1)
    items = np.bincount(owner, minlength=count).astype(np.float64)
    again = np.bincount(owner, weights=(signals.owned.times > 1).astype(np.float64), minlength=count)
    last, first = np.full(count, np.nan), np.full(count, np.nan)
    last[has_any] = (now_ms - histories.at_ms[histories.starts[1:][has_any] - 1]) / DAY_MS
    first[has_any] = (now_ms - histories.at_ms[histories.starts[:-1][has_any]]) / DAY_MS
    price = parts.log_price[histories.items]
    priced = np.isfinite(price)
    prices = np.bincount(rows, weights=np.where(priced, price, 0.0), minlength=count)
    counts = np.bincount(rows, weights=priced.astype(np.float64), minlength=count)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "visitor_baskets": baskets,
            "visitor_items": items,
            "visitor_last_days": last,
            "visitor_first_days": first,
            "visitor_basket_days": np.where(baskets > 1, (first - last) / (baskets - 1), np.nan),
            "visitor_basket_size": np.where(has_any, lengths / baskets, np.nan),
            "visitor_again": np.where(items > 0, again / items, np.nan),
            "visitor_log_price": np.where(counts > 0, prices / counts, np.nan),
        }


def _own(
    parts: Parts,
    signals: Signals,
    visitors: NDArray[np.int64],
    items: NDArray[np.int32],
    now_ms: int,
    of_visitors: dict[str, NDArray[np.float64]],
) -> dict[str, NDArray[np.float64]]:
    owned = signals.owned
    at = owned.find(visitors, items)
    has, here = at >= 0, np.maximum(at, 0)
    if not len(owned.key):
        zeros, unknown = np.zeros(len(items)), np.full(len(items), np.nan)
        return {
            "own_times": zeros, "own_decayed": zeros, "own_last_days": unknown, "own_due": unknown,
            "own_first_days": unknown, "own_share_of_baskets": zeros, "own_in_last_basket": zeros,
            "own_rank": unknown, "own_recent_rank": unknown,
        }  # fmt: skip
    last_days = (now_ms - owned.last_ms[here]) / DAY_MS
    due = last_days / own_history.interval_days(owned, here, parts.rhythm.interval_days[items])
    times = np.where(has, owned.times[here], 0.0)
    newest = of_visitors["visitor_last_days"][visitors]
    popularity = parts.popularity[1]
    return {
        "own_times": times,
        "own_decayed": np.where(has, owned.decayed[here], 0.0),
        "own_last_days": np.where(has, last_days, np.nan),
        "own_due": np.where(has, due, np.nan),
        "own_first_days": np.where(has, (now_ms - owned.first_ms[here]) / DAY_MS, np.nan),
        "own_share_of_baskets": times / np.maximum(of_visitors["visitor_baskets"][visitors], 1.0),
        "own_rank": np.where(has, _own_ranks(signals, owned.times, popularity, parts.items)[here], np.nan),
        "own_recent_rank": np.where(has, _own_ranks(signals, owned.decayed, popularity, parts.items)[here], np.nan),
        "own_in_last_basket": (has & (last_days <= newest)).astype(np.float64),
    }


def _category_share(
    parts: Parts, signals: Signals, visitors: NDArray[np.int64], items: NDArray[np.int32]
) -> NDArray[np.float64]:
    """The share of a visitor's chosen items that are of this item's category; NaN where it has none."""
    category = parts.category[items]
    count = int(parts.category.max(initial=-1)) + 1
    if not count:
        return np.full(len(items), np.nan)
    owner, own_item = np.divmod(signals.owned.key, parts.items)
    own_category = parts.category[own_item]
    shares = np.zeros((len(signals.histories), count))
    np.add.at(shares, (owner[own_category >= 0], own_category[own_category >= 0]), 1.0)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1.0)
    return np.where(category >= 0, shares[visitors, np.maximum(category, 0)], np.nan)
