"""What does a visitor like by now? Weights by product, of which each visitor keeps the strongest."""

from __future__ import annotations

from collections.abc import Mapping

AFFINITIES_AT_MOST = 64
# Above this a weight is a mistake.
WEIGHT_AT_MOST = 1_000_000.0


def strongest(affinities: dict[str, float]) -> dict[str, float]:
    """The strongest of them, for or against, as many as are kept."""
    if len(affinities) <= AFFINITIES_AT_MOST:
        return affinities
    by_strength = sorted(affinities.items(), key=lambda pair: abs(pair[1]), reverse=True)
    return dict(by_strength[:AFFINITIES_AT_MOST])


def with_added(affinities: Mapping[str, float], added: Mapping[str, float]) -> dict[str, float]:
    """What is known and what is added, each within the bounds; the weakest of too many leave."""
    known = dict(affinities)
    for product_id, weight in added.items():
        known[product_id] = min(max(known.get(product_id, 0.0) + weight, -WEIGHT_AT_MOST), WEIGHT_AT_MOST)
    return strongest(known)
