"""How does an array grow as posts come in?"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

ScalarT = TypeVar("ScalarT", bound=np.generic)


class Column(Generic[ScalarT]):
    """A one-dimensional array that is appended to; room is doubled, so an append costs little on average."""

    def __init__(self, dtype: DTypeLike) -> None:
        self._room: NDArray[Any] = np.zeros(64, dtype)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def values(self) -> NDArray[ScalarT]:
        """What was appended, shape (length,): a view, to be used before the next append and not kept."""
        return self._room[: self._length]

    def append(self, value: float) -> None:
        """Add one value at the end."""
        if self._length == len(self._room):
            self._room = np.concatenate([self._room, np.zeros_like(self._room)])
        self._room[self._length] = value
        self._length += 1
