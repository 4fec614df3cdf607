"""A small shop with two kinds of visitors whose choices are known, and a recommender trained on it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from backends.neighbours_exact import ExactNeighbours
from feed.recommender.feedback import DAY_MS, Kind
from feed.recommender.histories import Histories, gather
from feed.recommender.hybrid import Hybrid
from feed.recommender.items import Item, items_of
from feed.recommender.log import Log
from feed.recommender.ports import Happened
from feed.recommender.settings import Training, load_training
from feed.recommender.training import train

NOW_MS = 1_700_000_000_000
ITEMS_OF_A_KIND = 20
SETTINGS = Path(__file__).parents[1] / "models" / "recommender" / "training.toml"


def small(**tables: dict[str, object]) -> Training:
    """The settings of the project, with a blend that a test can grow; `tables` change more of them."""
    fields = msgspec.to_builtins(load_training(SETTINGS))
    fields["als"] |= {"factors": 4, "rounds": 5}
    fields["ease"] |= {"regularisation": 10.0, "least_choices": 1}
    fields["blend"] |= {
        "windows": 3, "window_days": 10.0, "trees": 20, "min_data_in_leaf": 20, "candidates": 20, "leaves": 8,
        "learning_rate": 0.3,
    }  # fmt: skip
    fields["judging"] |= {"resamples": 100}
    for table, changes in tables.items():
        fields[table] |= changes
    return msgspec.convert(fields, Training)


def histories(*visitors: Sequence[tuple[int, int, int]]) -> Histories:
    """Histories of (item, kind, at_ms)."""
    events = [(who, *event) for who, own in enumerate(visitors) for event in own]
    columns = zip(*events, strict=True) if events else ((), (), (), ())
    return gather(*columns, count=len(visitors))


def bought(*items: int, at_ms: int = NOW_MS) -> list[tuple[int, int, int]]:
    """Purchases of one basket."""
    return [(item, Kind.BUY, at_ms) for item in items]


def dense(*rows: Sequence[float]) -> NDArray[np.float64]:
    return np.array(rows, np.float64)


@cache
def shop() -> Log:
    """120 visitors over 60 days: half of them buy mugs, half buy lamps; each buys one thing of theirs again and again.

    Every third visitor comes new within the last 40 days.
    """
    chance = np.random.default_rng(7)
    items = [
        Item(f"{kind}-{n}", f"{colour} {kind}", kind, (n + 1) * 1_000_000)
        for kind in ("mug", "lamp")
        for n, colour in zip(range(ITEMS_OF_A_KIND), ["red", "blue", "green", "white"] * 5, strict=True)
    ]
    events = []
    for visitor in range(120):
        first = (visitor % 2) * ITEMS_OF_A_KIND
        favourite = first + int(chance.integers(ITEMS_OF_A_KIND))
        since_days = 60 if visitor % 3 else int(chance.integers(2, 40))
        for _ in range(12):
            at_ms = NOW_MS - int(chance.integers(1, since_days * DAY_MS))
            # Low numbers are popular.
            drawn = first + np.minimum(chance.geometric(0.15, 3) - 1, ITEMS_OF_A_KIND - 1)
            events += [(visitor, int(item), Kind.BUY, at_ms) for item in {favourite, *drawn.tolist()}]
    return Log(
        tuple(f"visitor-{n}" for n in range(120)),
        np.ones(120, np.bool_),
        items_of(items),
        gather(*zip(*events, strict=True), count=120),
        (Kind.BUY,),
    )


@cache
def trained() -> Hybrid:
    """A recommender of the shop as of NOW_MS; not to be changed."""
    return train(shop(), NOW_MS, small(), ExactNeighbours, lambda _: None).hybrid


def freshly_trained() -> Hybrid:
    """The same, for a test that changes it."""
    return deepcopy(trained())


def history(*item_ids: str, kind: int = Kind.BUY, days_ago: int = 1) -> list[Happened]:
    """One basket."""
    return [Happened(item_id, kind, NOW_MS - days_ago * DAY_MS) for item_id in item_ids]
