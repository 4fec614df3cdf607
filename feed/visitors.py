"""What does the feed remember of visitors who agreed to it?"""

from __future__ import annotations

from collections.abc import Mapping

from streams import profiles


class RememberedVisitors:
    """Profiles over streams.profiles; a visitor id names the same profile in the feed and in the auction."""

    def __init__(self, remembered: profiles.Profiles) -> None:
        self._profiles = remembered

    def affinities(self, tenant_id: str, visitor_id: str) -> Mapping[str, float]:
        """Product id to weight; empty for strangers."""
        profile = self._profiles.look_up([visitor_id])[0]
        return {} if profile is None else profile.affinities

    def remember(self, tenant_id: str, visitor_id: str, weights: Mapping[str, float], now_ms: int) -> None:
        """Add the weights to the visitor's profile."""
        for product_id, weight in weights.items():
            self._profiles.add_affinity(visitor_id, product_id, weight)
