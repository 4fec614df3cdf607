"""What does the recommender give, and what does it need from outside? Its words for both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class Happened(NamedTuple):
    """Something a visitor did with an item: `kind` is a number of feedback.Kind, below 0 takes the newest back."""

    item_id: str
    kind: int
    at_ms: int


History = Sequence[Happened]


class Recommended(NamedTuple):
    """An item and how it ranks; scores compare within one answer alone."""

    item_id: str
    score: float


class Recommender(Protocol):
    """What visitors would choose next, in memory: no I/O, some milliseconds for a page (the report has the figures).

    Anybody and anything is answered: a visitor without a history, an item that nobody chose yet. Items that a
    recommender does not know score as the lowest. Used from one thread.
    """

    def scores(
        self, histories: Sequence[History], candidates: Sequence[Sequence[str]], now_ms: int
    ) -> list[NDArray[np.float64]]:
        """For each history, float64 [candidates]; a score does not depend on the other histories of the batch."""

    def recommend(
        self, histories: Sequence[History], limit: int, now_ms: int, *, unseen: bool = False
    ) -> list[list[Recommended]]:
        """For each history, at most `limit` items, best first; `unseen` leaves out what was chosen before."""

    def alongside(self, item_ids: Sequence[str], limit: int) -> list[Recommended]:
        """Items that are chosen together with these, best first, these left out; unknown ones say nothing."""


class Neighbours(Protocol):
    """Vectors by row, found by the largest inner product. Used from one thread; nothing is kept on disk."""

    def put(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add vectors [rows, width], or put them in place of earlier ones of the same rows."""

    def remove(self, rows: NDArray[np.int64]) -> None:
        """Forget rows; those that are not known are passed over."""

    def nearest(self, queries: NDArray[np.float32], limit: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(rows, inner products), each [queries, limit], best first.

        Where fewer are known, -1 and -inf. An approximate backend may miss some; its docstring says how many.
        """


@runtime_checkable
class AskedAhead(Protocol):
    """Neighbours that know only what they were asked for ahead: those behind a network, for which nobody waits long."""

    async def ask(self, queries: NDArray[np.float32], limit: int) -> bool:
        """Ask for what `nearest` will be asked; did the answer come in time?"""
