"""What does the feed remember of visitors who agreed to it?"""

from __future__ import annotations

from collections.abc import Mapping

from common.errors import BackendUnavailable
from streams import profiles


class RememberedVisitors:
    """Profiles over streams.profiles; a visitor id names the same profile in the feed and in the auction."""

    def __init__(self, remembered: profiles.Profiles) -> None:
        self._profiles = remembered

    def affinities(self, tenant_id: str, visitor_id: str) -> Mapping[str, float]:
        """Product id to weight; empty for strangers, and for everybody while profiles cannot be read."""
        try:
            profile = self._profiles.look_up([visitor_id])[0]
        except BackendUnavailable:
            return {}
        return {} if profile is None else profile.affinities

    def remember(self, tenant_id: str, visitor_id: str, weights: Mapping[str, float], now_ms: int) -> None:
        """Add the weights to the visitor's profile."""
        self._profiles.add_affinities(visitor_id, weights)
