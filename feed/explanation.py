"""Why is this post here, and what became of the others?"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from feed.page import Pick
from feed.stages import Scorer
from feed.view import View

_REASONS_SHOWN = 2
# A smaller part of the score is no reason to name.
_LEAST = 0.05


class Explanation(msgspec.Struct, frozen=True):
    """One page, stage by stage.

    `offered` counts rows by source, `failed` names sources that broke, `skipped` those that were left out for their
    time, `source_ms` what each took; `removed` holds post ids by filter; `scores` holds for each post of the page what
    each scorer added; `wanted` is the mix of categories that the page was drawn to; `took_ms` is the decision's time.
    """

    offered: dict[str, int]
    failed: tuple[str, ...]
    skipped: tuple[str, ...]
    source_ms: dict[str, float]
    candidates: int
    removed: dict[str, tuple[str, ...]]
    kept: int
    explored: tuple[str, ...]
    seen_again: tuple[str, ...]
    ranker: str
    wanted: dict[str, float]
    scores: dict[str, dict[str, float]]
    picks: tuple[Pick, ...]
    took_ms: float


def reasons(view: View, row: int, scorers: Sequence[Scorer], contributions: NDArray[np.float64]) -> tuple[str, ...]:
    """The strongest reasons for a row, in words; `contributions` has one entry per scorer."""
    said: list[str] = []
    added = contributions.tolist()
    for at in sorted(range(len(added)), key=lambda at: -added[at]):
        if added[at] < _LEAST or len(said) == _REASONS_SHOWN:
            break
        if reason := scorers[at].reason(view, row):
            said.append(f"{scorers[at].name}: {reason}")
    return tuple(said)
