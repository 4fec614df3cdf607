"""How likely is an impression in view? What was counted of each placement, smoothed.

An impression may become viewable or not: half of it in view for a second, two for a video (exchange/viewability.py). A
bid under vCPM pays for those that do, so its worth per thousand impressions is bid × P(viewable), as that of a bid per
click is bid × P(click). A rate is pulled towards the one above it, as if so many impressions of that rate had been seen
besides (a Beta prior): a placement's towards that of all placements, and that one towards a half, the rate of who knows
nothing. Who measures nothing is soon known to show nothing in view, and sells no viewable impressions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from exchange.request import PageView

PRIOR: Final = 0.5
_PRIOR_WEIGHT: Final = 100.0
_PLACEMENT_WEIGHT: Final = 200.0
# Of the days that are counted, the last ones: pages are rebuilt, and ads move.
DAYS: Final = 28
# Below this nothing can be said, and a price per unit would lose its meaning.
_LEAST: Final = 0.001

# (publisher id, placement id)
Place = tuple[str, str]


class Shown(msgspec.Struct, frozen=True):
    """What was counted of a placement: impressions, and how many of them came into view."""

    impressions: int
    viewable: int


class ShownSource(Protocol):
    """Where counts come from."""

    def shown(self, from_hour: int) -> dict[Place, Shown]:
        """By placement, from an hour (since 1970) on."""


class ViewableRates:
    """The chance of each placement; swapped as a whole."""

    def __init__(self, counted: Mapping[Place, Shown] | None = None) -> None:
        self.of_any = PRIOR
        self._rates: dict[Place, float] = {}
        self.use(counted or {})

    def use(self, counted: Mapping[Place, Shown]) -> None:
        """Go by these counts from now on."""
        self.of_any = _smoothed(
            sum(of.viewable for of in counted.values()), sum(of.impressions for of in counted.values()),
            PRIOR, _PRIOR_WEIGHT,
        )  # fmt: skip
        self._rates = {
            place: _smoothed(of.viewable, of.impressions, self.of_any, _PLACEMENT_WEIGHT)
            for place, of in counted.items()
        }

    def of(self, place: Place) -> float:
        """The chance that an impression there is viewable, above 0 and at most 1."""
        return self._rates.get(place, self.of_any)

    def by_placement(self, views: Sequence[PageView]) -> NDArray[np.float64]:
        """The chances of all placements of a batch, in their order."""
        rate, any_ = self._rates.get, self.of_any
        return np.array(
            [rate((view.publisher_id, place.placement_id), any_) for view in views for place in view.placements],
            np.float64,
        )


def _smoothed(viewable: int, impressions: int, towards: float, weight: float) -> float:
    # A correction may take back an impression and leave its viewable one, or the other way round.
    seen = max(impressions, viewable, 0)
    return min(max((max(viewable, 0) + towards * weight) / (seen + weight), _LEAST), 1.0)
