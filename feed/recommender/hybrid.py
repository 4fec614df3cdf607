"""What does the whole recommender say? Histories in, the best items or scores of candidates out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from feed.recommender import candidates, features, signals
from feed.recommender.blend import Trees
from feed.recommender.feedback import settled
from feed.recommender.histories import Histories, gather
from feed.recommender.items import Items
from feed.recommender.parts import Parts
from feed.recommender.ports import AskedAhead, Happened, History, Neighbours, Recommended
from feed.recommender.settings import Training
from feed.recommender.signals import Signals

# What is forgotten of a longer history is the oldest.
MAX_HISTORY = 2_000
# What is popular is looked up again after so long.
_POPULAR_FOR_MS = 1_000
_NO_SCORE = -1e9
_NEXT_TO_NOTHING = 1e-6


class Hybrid:
    """A Recommender over fitted parts and a trained blend."""

    def __init__(self, *, items: Items, parts: Parts, trees: Trees, training: Training, neighbours: Neighbours) -> None:
        self.items = items
        self.parts = parts
        self.trees = trees
        self.training = training
        self.neighbours = neighbours
        neighbours.put(np.arange(len(parts.als)), parts.als)
        self._popular: NDArray[np.int64] = np.zeros(0, np.int64)
        self._popular_at_ms: int | None = None

    def scores(
        self, histories: Sequence[History], candidates: Sequence[Sequence[str]], now_ms: int
    ) -> list[NDArray[np.float64]]:
        """As ports.Recommender."""
        read = self._read(self._arrays(histories), now_ms)
        rows = [[self.items.row_of.get(item_id, -1) for item_id in asked] for asked in candidates]
        visitors = np.repeat(np.arange(len(rows)), [len(asked) for asked in rows])
        items = np.fromiter(chain.from_iterable(rows), np.int32)
        known = items >= 0
        found = np.full(len(items), _NO_SCORE)
        found[known] = self.score_pairs(read, visitors[known], items[known], now_ms)
        return np.split(found, np.cumsum([len(asked) for asked in rows])[:-1]) if rows else []

    def recommend(
        self, histories: Sequence[History], limit: int, now_ms: int, *, unseen: bool = False
    ) -> list[list[Recommended]]:
        """As ports.Recommender."""
        arrays = self._arrays(histories)
        answers: list[list[Recommended]] = [[] for _ in histories]
        for visitor, row, score in zip(*self.best(arrays, limit, now_ms, unseen=unseen), strict=True):
            answers[visitor].append(Recommended(self.items.all[row].item_id, float(score)))
        return answers

    def alongside(self, item_ids: Sequence[str], limit: int) -> list[Recommended]:
        """As ports.Recommender: what lay in the same baskets by lift, then what the same visitors chose."""
        rows = [row for item_id in item_ids if (row := self.items.row_of.get(item_id)) is not None]
        if not rows:
            return []
        both = self.parts.basket[rows].sum(axis=0) + self.parts.together.similarities[rows].sum(axis=0)
        found = np.asarray(both, np.float64).ravel()
        found[rows] = 0.0
        best = np.argsort(-found, kind="stable")[:limit]
        return [Recommended(self.items.all[row].item_id, float(found[row])) for row in best.tolist() if found[row] > 0]

    async def look_ahead(self, history: History, now_ms: int) -> None:
        """Ask neighbours that are behind a network, so that `recommend` at the same moment has their answer."""
        if isinstance(self.neighbours, AskedAhead):
            read = self._read(self._arrays([history]), now_ms)
            await self.neighbours.ask(read.taste, self.training.blend.candidates)

    def best(
        self,
        histories: Histories,
        limit: int,
        now_ms: int,
        *,
        unseen: bool = False,
        allowed: NDArray[np.bool_] | None = None,
    ) -> tuple[list[int], list[int], list[float]]:
        """(visitors, rows of items, scores) of the best `limit` of each visitor, best first; equals by row.

        `histories` are settled; `allowed` [items] leaves out others.
        """
        read = self._read(histories, now_ms)
        keys = candidates.choose(
            self.parts, read, self.neighbours, self._popular_now(now_ms), self.training.blend.candidates
        )
        if unseen:
            keys = np.setdiff1d(keys, read.owned.key, assume_unique=True)
        if allowed is not None:
            keys = keys[allowed[keys % self.parts.items]]
        visitors, items = keys // max(self.parts.items, 1), (keys % max(self.parts.items, 1)).astype(np.int32)
        scores = self.score_pairs(read, visitors, items, now_ms)
        order = np.lexsort((items, -scores, visitors))
        visitors, items, scores = visitors[order], items[order], scores[order]
        first = np.searchsorted(visitors, visitors)
        keep = np.arange(len(visitors)) - first < limit
        return visitors[keep].tolist(), items[keep].tolist(), scores[keep].tolist()

    def score_pairs(
        self, read: Signals, visitors: NDArray[np.int64], items: NDArray[np.int32], now_ms: int
    ) -> NDArray[np.float64]:
        """Scores of pairs, visitors ascending; what a visitor dislikes, and what is like it, loses.

        To a visitor who chose nothing so far the trees have nothing to say: what is popular lately comes first.
        """
        days, popular = self.training.recency.popularity_days, self._popular_now(now_ms)
        table = features.table(self.parts, read, visitors, items, now_ms, days, popular)
        against = table[:, features.NAMES.index("disliked")] + table[:, features.NAMES.index("alike_disliked")]
        scores = self.trees.scores(table)
        strangers = table[:, features.NAMES.index("visitor_items")] == 0
        if strangers.any():
            scores[strangers] = np.log(table[strangers, features.NAMES.index("popular_middle")] + _NEXT_TO_NOTHING)
        return scores - self.training.feedback.dislike_strength * against

    def history_of(self, histories: Histories, visitor: int) -> History:
        """One visitor's history by item ids."""
        at = slice(histories.starts[visitor], histories.starts[visitor + 1])
        columns = (histories.items[at].tolist(), histories.kinds[at].tolist(), histories.at_ms[at].tolist())
        return [Happened(self.items.all[row].item_id, kind, ms) for row, kind, ms in zip(*columns, strict=True)]

    def _read(self, histories: Histories, now_ms: int) -> Signals:
        return signals.read(self.parts, histories, now_ms, self.training)

    def _arrays(self, histories: Sequence[History]) -> Histories:
        row_of = self.items.row_of
        known = [
            (visitor, row, happened.kind, happened.at_ms)
            for visitor, history in enumerate(histories)
            for happened in history[-MAX_HISTORY:]
            if (row := row_of.get(happened.item_id)) is not None
        ]
        columns = zip(*known, strict=True) if known else ((), (), (), ())
        return settled(gather(*columns, count=len(histories)))

    def _popular_now(self, now_ms: int) -> NDArray[np.int64]:
        if self._popular_at_ms is None or abs(now_ms - self._popular_at_ms) > _POPULAR_FOR_MS:
            self._popular = candidates.popular(self.parts, self.training.blend.candidates)
            self._popular_at_ms = now_ms
        return self._popular
