"""Does the hybrid beat the plain ones? Trained before a moment, judged on what was chosen after it."""

from __future__ import annotations

import time
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from feed.recommender import baselines, measures, signals
from feed.recommender.feedback import liked
from feed.recommender.hybrid import Hybrid
from feed.recommender.intervals import Mean, mean
from feed.recommender.log import Log
from feed.recommender.measures import LENGTH, Found
from feed.recommender.parts import NEVER_MS
from feed.recommender.settings import Training
from feed.recommender.training import MakeNeighbours, Say, train
from feed.recommender.windows import Window, cut

Task = Literal["any item", "items never chosen before"]
HYBRID = "hybrid"
_VISITORS_AT_ONCE = 256
_TIMED_PAGES = 300
_PAGE_CANDIDATES = 100


class Row(msgspec.Struct, frozen=True):
    """One recommender on one task; measures of whole lists have no interval."""

    name: str
    ndcg_10: Mean
    recall_10: Mean
    recall_20: Mean
    coverage: float
    gini: float
    novelty_bits: float
    diversity: float
    calibration_kl: float


class TaskVerdict(msgspec.Struct, frozen=True):
    """All recommenders on one task, and the hybrid less the best baseline (by NDCG on this very part)."""

    task: Task
    visitors: int
    rows: tuple[Row, ...]
    best_baseline: str
    ndcg_gain: Mean
    recall_gain: Mean
    sentence: str


class Cold(msgspec.Struct, frozen=True):
    """Visitors without a history, and items that nobody had chosen; recall of the first 20."""

    new_visitors: int
    hybrid_for_new: Mean
    recent_popularity_for_new: Mean
    new_items: int
    visitors_who_chose_new: int
    new_item_recall: Mean
    new_item_chance: float


class ServingTime(msgspec.Struct, frozen=True):
    """CPU time of one history at a time: `scores` of 100 candidates, `recommend` of 50 from the whole catalogue."""

    scores_ms_p50: float
    scores_ms_p99: float
    recommend_ms_p50: float
    recommend_ms_p99: float


class Evaluation(msgspec.Struct, frozen=True):
    """All figures of one log, with their conditions; `note` is what must be known to read them rightly."""

    log: str
    note: str
    now_ms: int
    window_days: float
    items: int
    learned_events: int
    trees: int
    windows: int
    resamples: int
    asked: int
    sampled: bool
    train_s: float
    tasks: tuple[TaskVerdict, ...]
    cold: Cold
    serving: ServingTime


def evaluate(
    name: str,
    log: Log,
    now_ms: int,
    training: Training,
    make_neighbours: MakeNeighbours,
    say: Say,
    *,
    tasks: tuple[Task, ...] = ("any item", "items never chosen before"),
    note: str = "",
) -> Evaluation:
    """Train on what happened before `now_ms` and judge on the window that follows.

    At most `judging.visitors_at_most` visitors are asked, drawn with a seed. Lists hold items that were met before
    `now_ms`: what a later month brings is judged by itself.
    """
    begun = time.process_time()
    trained = train(log, now_ms, training, make_neighbours, say)
    train_s = time.process_time() - begun
    window = _sampled(cut(log, now_ms, training.blend), training, len(log.items))
    has_history = window.histories.lengths > 0
    known, new = np.flatnonzero(has_history), np.flatnonzero(~has_history)
    plain = baselines.fit(trained.hybrid.parts, window.learned, training)
    verdicts = []
    for task in tasks:
        say(f"judging: {task}")
        verdicts.append(_judge(task, trained.hybrid, plain, _only(window, known, len(log.items)), training))
    return Evaluation(
        log=name,
        note=note,
        now_ms=now_ms,
        window_days=training.blend.window_days,
        items=int((trained.hybrid.parts.since_ms < now_ms).sum()),
        learned_events=len(window.learned.items),
        trees=trained.trees,
        windows=trained.windows,
        resamples=training.judging.resamples,
        asked=len(known),
        sampled=len(window.visitors) == training.judging.visitors_at_most,
        train_s=train_s,
        tasks=tuple(verdicts),
        cold=_cold(trained.hybrid, window, known, new, training),
        serving=_serving(trained.hybrid, window, known),
    )


def _judge(task: Task, hybrid: Hybrid, plain: baselines.Baselines, window: Window, training: Training) -> TaskVerdict:
    parts, items = hybrid.parts, hybrid.parts.items
    allowed = parts.since_ms < window.now_ms
    unseen = task != "any item"
    lists: dict[str, list[NDArray[np.int64]]] = {name: [] for name in (*plain.by_name, HYBRID)}
    taken: list[NDArray[np.int64]] = []
    for first in range(0, len(window.visitors), _VISITORS_AT_ONCE):
        asked = np.arange(first, min(first + _VISITORS_AT_ONCE, len(window.visitors)))
        histories = window.histories.of(asked)
        read = signals.read(parts, histories, window.now_ms, training)
        taken.append(read.owned.key + first * items)
        for name, rank in plain.by_name.items():
            lists[name].append(baselines.lists(rank(read), allowed, read.owned.key if unseen else None))
        best = hybrid.best(histories, LENGTH, window.now_ms, unseen=unseen, allowed=allowed)
        lists[HYBRID].append(measures.as_lists(best[0], best[1], len(asked)))
    targets = window.target_keys[allowed[window.target_keys % items]]
    if unseen:
        targets = np.setdiff1d(targets, np.concatenate(taken), assume_unique=True)
    whole = {name: np.concatenate(blocks) for name, blocks in lists.items()}
    judged = {name: measures.found(of, targets, items) for name, of in whole.items()}
    chosen = window.histories.matrix(liked(window.histories, training.feedback), items)
    rows = tuple(_row(name, whole[name], judged[name], hybrid, chosen, training) for name in whole)
    best_name = max(plain.by_name, key=lambda name: float(np.nanmean(judged[name].ndcg_10)))
    gains = [
        mean(ours - theirs, training.judging.resamples, training.judging.seed)
        for ours, theirs in (
            (judged[HYBRID].ndcg_10, judged[best_name].ndcg_10),
            (judged[HYBRID].recall_20, judged[best_name].recall_20),
        )
    ]
    visitors = int(np.isfinite(judged[HYBRID].ndcg_10).sum())
    return TaskVerdict(task, visitors, rows, best_name, gains[0], gains[1], sentence(best_name, gains[0]))


def sentence(best: str, gain: Mean) -> str:
    """What the interval of the difference in NDCG@10 says, in words."""
    shown = f"{gain.value:+.4f}, 95 % interval {gain.low:+.4f} to {gain.high:+.4f}"
    if gain.low > 0:
        return f"The hybrid beats the best baseline, {best}, in NDCG@10: {shown}."
    if gain.high < 0:
        return f"The hybrid is worse than the best baseline, {best}, in NDCG@10: {shown}."
    return f"It is not shown that the hybrid beats the best baseline, {best}, in NDCG@10: {shown}."


def _row(
    name: str, lists: NDArray[np.int64], judged: Found, hybrid: Hybrid, chosen: csr_array, training: Training
) -> Row:
    parts = hybrid.parts
    resamples, seed = training.judging.resamples, training.judging.seed
    return Row(
        name=name,
        ndcg_10=mean(judged.ndcg_10, resamples, seed),
        recall_10=mean(judged.recall_10, resamples, seed),
        recall_20=mean(judged.recall_20, resamples, seed),
        coverage=measures.coverage(lists, int((parts.since_ms < NEVER_MS).sum())),
        gini=measures.gini(lists, parts.items),
        novelty_bits=measures.novelty(lists, parts.popularity[2]),
        diversity=measures.diversity(lists, parts.vectors),
        calibration_kl=measures.calibration(lists, chosen, parts.category),
    )


def _cold(hybrid: Hybrid, window: Window, known: NDArray[np.intp], new: NDArray[np.intp], training: Training) -> Cold:
    parts, items = hybrid.parts, hybrid.parts.items
    resamples, seed = training.judging.resamples, training.judging.seed
    allowed = parts.since_ms < window.now_ms
    strangers = _only(window, new, items)
    best = hybrid.best(strangers.histories, LENGTH, window.now_ms, allowed=allowed)
    of_hybrid = measures.found(measures.as_lists(best[0], best[1], len(new)), strangers.target_keys, items)
    popular = baselines.lists(np.tile(parts.popularity[1], (len(new), 1)), allowed, None)
    of_popular = measures.found(popular, strangers.target_keys, items)

    met = _only(window, known, items)
    fresh = np.flatnonzero(parts.since_ms == NEVER_MS).astype(np.int32)
    fresh_targets = met.target_keys[np.isin(met.target_keys % items, fresh)]
    who = np.unique(fresh_targets // items)
    lists = np.full((len(met.visitors), LENGTH), -1, np.int64)
    for visitor in who.tolist():
        read = signals.read(parts, met.histories.of(np.array([visitor])), window.now_ms, training)
        scores = hybrid.score_pairs(read, np.zeros(len(fresh), np.int64), fresh, window.now_ms)
        ordered = fresh[np.argsort(-scores, kind="stable")][:LENGTH]
        lists[visitor, : len(ordered)] = ordered
    recall = measures.found(lists, fresh_targets, items).recall_20
    return Cold(
        new_visitors=len(new),
        hybrid_for_new=mean(of_hybrid.recall_20, resamples, seed),
        recent_popularity_for_new=mean(of_popular.recall_20, resamples, seed),
        new_items=len(fresh),
        visitors_who_chose_new=len(who),
        new_item_recall=mean(recall, resamples, seed),
        new_item_chance=min(LENGTH / max(len(fresh), 1), 1.0),
    )


def _serving(hybrid: Hybrid, window: Window, known: NDArray[np.intp]) -> ServingTime:
    """CPU times of single pages; a page's candidates are drawn evenly from the catalogue."""
    chance = np.random.default_rng(1)
    items = [item.item_id for item in hybrid.items.all]
    scores_ms, recommend_ms = [], []
    for visitor in known[:_TIMED_PAGES].tolist():
        history = hybrid.history_of(window.histories, visitor)
        asked = [items[row] for row in chance.integers(0, len(items), _PAGE_CANDIDATES).tolist()]
        begun = time.thread_time()
        hybrid.scores([history], [asked], window.now_ms)
        between = time.thread_time()
        hybrid.recommend([history], 50, window.now_ms)
        scores_ms.append((between - begun) * 1e3)
        recommend_ms.append((time.thread_time() - between) * 1e3)
    quantiles = [np.percentile(times[1:] or [float("nan")], [50, 99]) for times in (scores_ms, recommend_ms)]
    return ServingTime(*(float(value) for pair in quantiles for value in pair))


def _sampled(window: Window, training: Training, items: int) -> Window:
    most = training.judging.visitors_at_most
    if len(window.visitors) <= most:
        return window
    chance = np.random.default_rng(training.judging.seed)
    return _only(window, np.sort(chance.choice(len(window.visitors), most, replace=False)), items)


def _only(window: Window, places: NDArray[np.intp], items: int) -> Window:
    """The window of the visitors at `places`, which are ascending."""
    owner, item = np.divmod(window.target_keys, items)
    keep = np.isin(owner, places)
    keys = np.searchsorted(places, owner[keep]) * items + item[keep]
    return Window(window.now_ms, window.learned, window.visitors[places], window.histories.of(places), keys)
