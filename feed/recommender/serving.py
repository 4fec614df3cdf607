"""Which recommender serves right now? The current version of a folder, taken over whole when a new one is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from feed.recommender.artefact import RecommenderRefused, current, load
from feed.recommender.hybrid import Hybrid
from feed.recommender.ports import Neighbours


class ServingRecommender:
    """Holds one recommender, or none; `make_neighbours` makes those of a version. `follow` reads the disk and may run
    beside; `current` is one look at a field.
    """

    def __init__(self, folder: Path, make_neighbours: Callable[[str], Neighbours]) -> None:
        self._folder = folder
        self._make_neighbours = make_neighbours
        self._serving: Hybrid | None = None
        self._version = ""
        self._refused = ""
        self._said = ""

    @property
    def current(self) -> Hybrid | None:
        """What serves; None while nothing was trained."""
        return self._serving

    @property
    def version(self) -> str:
        """The version that serves, "" when none does."""
        return self._version

    def follow(self) -> str:
        """Take over a new version when there is one; "", or the sentence why it was refused, once for each.

        The old one serves until the new one is whole in memory, and on when the new one is refused.
        """
        version = ""
        try:
            version = current(self._folder) or ""
            if version in ("", self._version, self._refused):
                return ""
            hybrid, _ = load(self._folder, version, self._make_neighbours(version))
        except RecommenderRefused as refused:
            said, self._said = self._said, str(refused)
            self._refused = version
            return "" if said == self._said else self._said
        self._serving, self._version, self._refused, self._said = hybrid, version, "", ""
        return ""
