"""How is the recommender trained? Parts at several moments, what was chosen after each, trees over both."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from common.errors import FieldError, InvalidInput
from feed.recommender import blend_training, candidates, features, parts, signals
from feed.recommender.blend import Trees
from feed.recommender.blend_training import Examples
from feed.recommender.feedback import DAY_MS, settled
from feed.recommender.hybrid import Hybrid
from feed.recommender.log import Log
from feed.recommender.parts import Parts
from feed.recommender.ports import Neighbours
from feed.recommender.settings import Training
from feed.recommender.windows import Window, cut

MakeNeighbours = Callable[[], Neighbours]
Say = Callable[[str], None]

_VISITORS_AT_ONCE = 256
# Below this a window says too little to learn from.
_LEAST_CHOSEN = 200


class Trained(NamedTuple):
    """A recommender as of a moment, and how many trees its blend has, from how many windows and pairs."""

    hybrid: Hybrid
    trees: int
    windows: int
    pairs: int


def train(log: Log, now_ms: int, training: Training, make_neighbours: MakeNeighbours, say: Say) -> Trained:
    """Train on what happened before `now_ms`; InvalidInput when that is too little.

    The blend learns from windows that end at `now_ms` and before, of visitors who had a history when each began.
    """
    settings = training.blend
    chance = np.random.default_rng(settings.seed)
    learned: list[Examples] = []
    for number in range(1, settings.windows + 1):
        begin_ms = now_ms - round(number * settings.window_days * DAY_MS)
        window = cut(log, begin_ms, settings)
        if len(window.target_keys) < _LEAST_CHOSEN or not len(window.learned.items):
            break
        say(f"window {number} of {settings.windows}: {len(window.visitors):,} visitors")
        fitted = parts.fit(log.items, window.learned, begin_ms, training)
        learned.append(_examples(fitted, window, training, make_neighbours, chance))
    if not learned:
        needed = f"{_LEAST_CHOSEN} choices in its last {settings.window_days:g} days, and events before them"
        remedy = f"give a longer log ({needed}) or shorter blend.window_days"
        raise InvalidInput([FieldError("log", f"{len(log.histories.items):,} events", remedy)])
    say("the blend")
    text = blend_training.fit(learned, settings)
    hybrid = Hybrid(
        items=log.items,
        parts=parts.fit(log.items, settled(log.histories.before(now_ms)), now_ms, training),
        trees=Trees(text),
        training=training,
        neighbours=make_neighbours(),
    )
    return Trained(hybrid, settings.trees, len(learned), sum(len(examples.table) for examples in learned))


def _examples(
    fitted: Parts, window: Window, training: Training, make_neighbours: MakeNeighbours, chance: np.random.Generator
) -> Examples:
    neighbours = make_neighbours()
    neighbours.put(np.arange(len(fitted.als)), fitted.als)
    settings = training.blend
    popular = candidates.popular(fitted, settings.candidates)
    blocks = []
    known = np.flatnonzero(window.histories.lengths > 0)
    for first in range(0, len(known), _VISITORS_AT_ONCE):
        asked = known[first : first + _VISITORS_AT_ONCE]
        read = signals.read(fitted, window.histories.of(asked), window.now_ms, training)
        keys = candidates.choose(fitted, read, neighbours, popular, settings.candidates)
        visitors, items = keys // fitted.items, (keys % fitted.items).astype(np.int32)
        chosen = np.isin(asked[visitors] * fitted.items + items, window.target_keys)
        days = training.recency.popularity_days
        table = features.table(fitted, read, visitors, items, window.now_ms, days, popular)
        blocks.append(blend_training.sample(table, chosen, visitors, settings.negatives_per_visitor, chance))
    return Examples(
        np.concatenate([block.table for block in blocks]),
        np.concatenate([block.chosen for block in blocks]),
    )
