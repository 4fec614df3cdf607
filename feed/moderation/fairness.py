"""Is any group blocked more often than another? The rate of harmless sentences blocked, term by term."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from feed.moderation import fairness_set as made
from feed.moderation import features, ordinary_posts
from feed.moderation.classifiers import TextClassifiers
from feed.moderation.text import normalise
from feed.verdict import Label

_SEED, _EACH = 5, 20


class TermFigures(msgspec.Struct, frozen=True):
    """Shares of one term's sentences: harmless ones blocked as hate or offence, and hateful ones let through."""

    term: str
    group: str
    harmless_blocked: float
    hateful_missed: float


class FairnessFigures(msgspec.Struct, frozen=True):
    """`gap`: the largest minus the smallest share of harmless sentences blocked, over the terms; 0.05 is 5 points.

    `group_gap` is that of the groups' means; `missed_gap` that of hateful ones let through. `_unknown` are of terms
    that the list of identity terms leaves out. `ordinary_blocked`: everyday posts with any label, among `ordinary`.
    """

    terms: tuple[TermFigures, ...]
    templates: int
    harmless_blocked: float
    hateful_missed: float
    gap: float
    group_gap: float
    missed_gap: float
    harmless_blocked_unknown: float
    hateful_missed_unknown: float
    gap_unknown: float
    ordinary: int
    ordinary_blocked: float


def measure(
    classifiers: TextClassifiers, *, neutral: bool = True, thresholds: Sequence[float] | None = None
) -> FairnessFigures:
    """Measure on the fairness set; `neutral` False and other thresholds are for the naive baseline."""
    bounds = np.array(classifiers.thresholds if thresholds is None else thresholds)
    insulting = [classifiers.labels.index(label) for label in (Label.HATE, Label.OFFENSIVE)]

    def blocked(sentences: Sequence[str], columns: Sequence[int]) -> float:
        texts = (features.shaped(normalise(sentence).folded.text, neutral=neutral) for sentence in sentences)
        chances = np.array([classifiers.of_shaped(text) for text in texts])
        return float((chances >= bounds)[:, columns].any(axis=1).mean())

    groups = {**made.KNOWN, _UNKNOWN: made.UNKNOWN}
    terms = tuple(
        TermFigures(
            term=term,
            group=group,
            harmless_blocked=blocked(made.sentences(made.HARMLESS, term), insulting),
            hateful_missed=1.0 - blocked(made.sentences(made.HATEFUL, term), insulting),
        )
        for group, named in groups.items()
        for term in named
    )
    known = [one for one in terms if one.group != _UNKNOWN]
    unknown = [one for one in terms if one.group == _UNKNOWN]
    by_group = [_mean([one.harmless_blocked for one in known if one.group == group]) for group in made.KNOWN]
    everyday = list(ordinary_posts.ordinary(ordinary_posts.ORDINARY_TEST, _SEED, _EACH))
    return FairnessFigures(
        terms=terms,
        templates=len(made.HARMLESS) + len(made.HATEFUL),
        harmless_blocked=_mean([one.harmless_blocked for one in known]),
        hateful_missed=_mean([one.hateful_missed for one in known]),
        gap=_spread([one.harmless_blocked for one in known]),
        group_gap=_spread(by_group),
        missed_gap=_spread([one.hateful_missed for one in known]),
        harmless_blocked_unknown=_mean([one.harmless_blocked for one in unknown]),
        hateful_missed_unknown=_mean([one.hateful_missed for one in unknown]),
        gap_unknown=_spread([one.harmless_blocked for one in unknown]),
        ordinary=len(everyday),
        ordinary_blocked=blocked(everyday, range(len(classifiers.labels))),
    )


_UNKNOWN = "not on the list"


def _mean(shares: Sequence[float]) -> float:
    return float(np.mean(shares))


def _spread(shares: Sequence[float]) -> float:
    return max(shares) - min(shares)
