"""What are learned floors worth? Landscapes whose best floor is known, and prices that somebody really paid.

Floors are learned on the earlier part, in bounded updates as a running exchange would make them, and judged on the
later part, which nothing was tuned on.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from math import erfc, exp, log, pi, sqrt
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.errors import FieldError, InvalidInput
from exchange.floor_learning import Landscape, Lift, best_floor, curve, lift_of, revenue

LEARNED_SHARE = 0.6
UPDATES = 8
_MOST_ROWS = 2_000_000
_MOST_PRICE = 1e6
# Prices of logs are in hundredths per thousand impressions.
_MICROS = 10_000.0


class FloorVerdict(msgspec.Struct, frozen=True):
    """One landscape: revenue per thousand auctions on the later part, in micros, by who set the floor.

    `best` is with the floor that is best in truth or in hindsight; lifts of learned floors with 95 % intervals.
    """

    name: str
    auctions: int
    none: float
    static: float
    learned: float
    best: float
    over_none: Lift
    over_static: Lift
    learned_floor_micros: float


def synthetic(name: str, *, auctions: int, bidders: int, seed: int) -> tuple[Landscape, float]:
    """Bids of independent bidders, and the best floor: the reserve of Myerson (1981), which no number of bidders moves.

    `uniform` on 0..4 units (best 2), `exponential` of mean 1 unit (best 1), `lognormal` of median 1 (by bisection).
    """
    rng = np.random.default_rng(seed)
    unit = 1_000_000.0
    if name == "uniform":
        values, best = rng.uniform(0.0, 4.0 * unit, (auctions, bidders)), 2.0 * unit
    elif name == "exponential":
        values, best = rng.exponential(unit, (auctions, bidders)), unit
    elif name == "lognormal":
        values = unit * np.exp(rng.normal(0.0, 0.5, (auctions, bidders)))
        best = unit * _lognormal_reserve(0.5)
    else:
        raise ValueError(f"no landscape is called {name!r}")
    values.sort(axis=1)
    return Landscape(values[:, -1], values[:, -2] if bidders > 1 else np.zeros(auctions)), best


def judge_synthetic(name: str, *, auctions: int = 60_000, bidders: int = 2, seed: int = 1) -> FloorVerdict:
    """Learned floors beside none, a timid static one, and the best there is."""
    landscape, best = synthetic(name, auctions=auctions, bidders=bidders, seed=seed)
    static = int(best * 0.3)
    return _judge(f"{name}, {bidders} bidders", {"all": landscape}, np.full(auctions, float(static)), best, seed)


Prices = tuple[dict[str, NDArray[np.intp]], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def read_prices(file: Path) -> Prices:
    """(rows by segment, what was bid, what was paid, the floor of the time) of a log of won auctions, oldest first.

    CSV with a heading, gzipped or not: `timestamp`, `bidding_price`, `paying_price`, `ad_slot_floor_price`,
    `ad_slot_width`, `ad_slot_height`, `ad_exchange`, as iPinYou published them (Liao et al. 2014). InvalidInput.
    """
    rows = sorted(_rows(file))
    if len(rows) < 200:
        raise InvalidInput([FieldError("--prices", f"{len(rows)} usable rows", "give a log of at least 200 sales")])
    names = [row[1] for row in rows]
    numbers = np.array([row[2:] for row in rows], np.float64) * _MICROS
    by_segment = {name: np.nonzero(np.array(names) == name)[0] for name in sorted(set(names))}
    return by_segment, numbers[:, 0], numbers[:, 1], numbers[:, 2]


def judge_prices(file: Path, *, seed: int = 1) -> list[FloorVerdict]:
    """Two readings of the same log: bids as they were logged, and buyers drawn from the prices of the market."""
    by_segment, bid, paid, floor = read_prices(file)
    logged = {name: Landscape(np.maximum(bid[rows], paid[rows]), paid[rows]) for name, rows in by_segment.items()}
    order = np.concatenate(list(by_segment.values()))
    verdicts = [_judge("log as it stands: fixed bids", logged, floor[order], 0.0, seed)]
    pairs, floors = {}, []
    for name, rows in by_segment.items():
        even = rows[: len(rows) // 2 * 2].reshape(-1, 2)
        if len(even):
            pairs[name] = Landscape(paid[even].max(axis=1), paid[even].min(axis=1))
            floors.append(floor[even].max(axis=1))
    verdicts.append(_judge("two buyers at market prices", pairs, np.concatenate(floors), 0.0, seed))
    return verdicts


def learn(own: Landscape, wider: Landscape, *, updates: int = UPDATES) -> float:
    """The floor after so many bounded updates, each over a longer part of what came."""
    floor = 0
    for update in range(1, updates + 1):
        own_part = own.part(slice(len(own.first) * update // updates))
        wider_part = wider.part(slice(len(wider.first) * update // updates))
        floor = best_floor(own_part, wider_part, static_micros=0, in_use_micros=floor)
    return float(floor)


def _judge(
    name: str, segments: dict[str, Landscape], static: NDArray[np.float64], best: float, seed: int
) -> FloorVerdict:
    whole = Landscape(
        np.concatenate([part.first for part in segments.values()]),
        np.concatenate([part.second for part in segments.values()]),
    )
    earned: dict[str, list[NDArray[np.float64]]] = {"none": [], "static": [], "learned": [], "best": []}
    floors, at = [], 0
    for part in segments.values():
        count = len(part.first)
        own_static, at = static[at : at + count], at + count
        cut = int(count * LEARNED_SHARE)
        floor = learn(part.part(slice(cut)), whole_before(segments))
        later, later_static = part.part(slice(cut, None)), own_static[cut:]
        floors.append(floor)
        earned["none"].append(revenue(later, 0.0))
        earned["static"].append(revenue(later, later_static))
        # The floor of the log stays below the learned one: a publisher's own floor is never lowered.
        earned["learned"].append(revenue(later, np.maximum(later_static, floor)))
        earned["best"].append(revenue(later, best or _in_hindsight(later)))
    of = {who: np.concatenate(parts) for who, parts in earned.items()}
    return FloorVerdict(
        name,
        len(whole.first),
        float(of["none"].mean()),
        float(of["static"].mean()),
        float(of["learned"].mean()),
        float(of["best"].mean()),
        lift_of(of["none"], of["learned"], seed=seed),
        lift_of(of["static"], of["learned"], seed=seed),
        float(np.mean(floors)),
    )


def whole_before(segments: dict[str, Landscape]) -> Landscape:
    """The earlier parts of all segments together: what thin ones are drawn towards."""
    parts = [part.part(slice(int(len(part.first) * LEARNED_SHARE))) for part in segments.values()]
    return Landscape(np.concatenate([part.first for part in parts]), np.concatenate([part.second for part in parts]))


def _in_hindsight(later: Landscape) -> float:
    candidates = np.unique(np.concatenate([[0.0], later.first]))
    if len(candidates) > 2_000:
        candidates = np.quantile(candidates, np.linspace(0, 1, 2_000))
    return float(candidates[int(np.argmax(curve(later, candidates)))])


def _rows(file: Path) -> Iterator[tuple[str, str, float, float, float]]:
    try:
        with gzip.open(file, "rt", newline="") if file.suffix == ".gz" else file.open(newline="") as stream:
            for count, row in enumerate(csv.DictReader(stream)):
                if count >= _MOST_ROWS:
                    return
                try:
                    prices = [float(row[name]) for name in ("bidding_price", "paying_price", "ad_slot_floor_price")]
                    segment = f"{row['ad_exchange']}|{row['ad_slot_width']}x{row['ad_slot_height']}"[:64]
                except (KeyError, TypeError, ValueError):
                    continue
                if all(0.0 <= price <= _MOST_PRICE for price in prices):
                    yield row.get("timestamp", "") or "", segment, prices[0], prices[1], prices[2]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput([FieldError("--prices", str(file), f"cannot be read: {error}")]) from None


def _lognormal_reserve(sigma: float) -> float:
    """Where v = (1 - F(v)) / f(v) for a lognormal of median 1."""

    def virtual(value: float) -> float:
        z = log(value) / sigma
        density = exp(-z * z / 2) / (value * sigma * sqrt(2 * pi))
        return value - 0.5 * erfc(z / sqrt(2)) / density

    low, high = 0.05, 20.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if virtual(middle) < 0 else (low, middle)
    return (low + high) / 2
