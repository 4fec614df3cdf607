"""What was made of this very object? What many page views share is looked at once, and known by its identity from then
on, which is found sooner than its value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ByIdentity(Generic[K, V]):
    """What `make` made of objects that never change; all of it is forgotten when there are `most`."""

    def __init__(self, make: Callable[[K], V], *, most: int = 10_000) -> None:
        self._make = make
        self._most = most
        # With the object itself, so that no other can take its identity over.
        self._known: dict[int, tuple[K, V]] = {}

    def of(self, key: K) -> V:
        """What was made of `key`, now or before."""
        known = self._known.get(id(key))
        if known is None:
            if len(self._known) >= self._most:
                self._known.clear()
            known = self._known[id(key)] = key, self._make(key)
        return known[1]
