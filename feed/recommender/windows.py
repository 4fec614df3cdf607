"""How is time cut? What was known at a moment, and what was chosen next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feed.recommender.feedback import DAY_MS, settled
from feed.recommender.histories import Histories
from feed.recommender.log import Log
from feed.recommender.settings import Blend


@dataclass(frozen=True, slots=True)
class Window:
    """A moment. `learned` happened before it; `histories` are what is known of `visitors` when they are asked.

    `target_keys` are the choices to foresee, ascending: place in `visitors` * items + item, each once.
    """

    now_ms: int
    learned: Histories
    visitors: NDArray[np.intp]
    histories: Histories
    target_keys: NDArray[np.int64]


def end_of(log: Log) -> int:
    """Just after the newest event."""
    return int(log.histories.at_ms.max(initial=-1)) + 1


def cut(log: Log, now_ms: int, settings: Blend) -> Window:
    """The window that begins at `now_ms`: who may be asked and chose something in it.

    With `revealed_share` 0 a history ends at `now_ms`; above 0 the first such share of each visitor's own events of
    the window belongs to the history, and the targets come after them.
    """
    learned = log.histories.before(now_ms)
    inside = log.histories.within(now_ms, now_ms + int(settings.window_days * DAY_MS))
    place = np.arange(len(inside.items)) - np.repeat(inside.starts[:-1], inside.lengths)
    revealed = place < np.repeat(np.floor(inside.lengths * settings.revealed_share), inside.lengths)
    targets = inside.where(~revealed & np.isin(inside.kinds, log.targets))
    visitors = np.flatnonzero(log.asked & (targets.lengths > 0))
    known = joined(learned, inside.where(revealed)) if settings.revealed_share else learned
    asked = targets.of(visitors)
    keys = np.unique(asked.rows * len(log.items) + asked.items)
    return Window(now_ms, settled(learned), visitors, settled(known.of(visitors)), keys)


def joined(earlier: Histories, later: Histories) -> Histories:
    """The histories of the same visitors one after the other; nothing of `later` may come before `earlier`."""
    rows = np.concatenate([earlier.rows, later.rows])
    order = np.argsort(rows, kind="stable")
    return Histories(
        earlier.starts + later.starts,
        np.concatenate([earlier.items, later.items])[order],
        np.concatenate([earlier.kinds, later.kinds])[order],
        np.concatenate([earlier.at_ms, later.at_ms])[order],
    )
