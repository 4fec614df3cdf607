"""What does a reputation unlock? Reach, how much may be posted, and a commission tier by published thresholds. Pure."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

# How far a creator's posts go, as a factor of their score: from LEAST for nobody's word to LEAST + SPAN for the best.
LEAST_REACH: Final = 0.03
REACH_SPAN: Final = 1.2
# A standing is so much what became of one's posts, and the rest whom purchasers vouch for.
SHARE_OF_RECORD: Final = 0.75
# Posts a day: what the worst may do, and what the best may do more. A newcomer may do some four.
LEAST_POSTS: Final = 1
MORE_POSTS: Final = 49
# A tier is kept until its thresholds are missed by so much, so that nobody goes up and down from day to day.
KEPT_AT: Final = 0.9


class Tier(IntEnum):
    """Numbers of haat.moderation.v1.Tier."""

    NONE = 0
    BRONZE = 1
    SILVER = 2
    GOLD = 3


class Threshold(msgspec.Struct, frozen=True):
    """What a tier asks for: reputation 0 to 1, evidence in events that count today, trust 0 to 1."""

    tier: Tier
    reputation: float
    evidence: float
    trust: float


# Best first; published in docs/reference/reputation.md and by GetReputation.
THRESHOLDS: Final = (
    Threshold(Tier.GOLD, 0.85, 40.0, 0.6),
    Threshold(Tier.SILVER, 0.75, 15.0, 0.4),
    Threshold(Tier.BRONZE, 0.60, 5.0, 0.2),
)


class Standing(msgspec.Struct, frozen=True):
    """Where a creator stands. `reputation` is cautious (feed.reputation.beta), `evidence` counts what it rests on."""

    reputation: float = 0.0
    evidence: float = 0.0
    trust: float = 0.0
    value: float = 0.0
    reach: float = LEAST_REACH
    posts_a_day: int = LEAST_POSTS
    tier: Tier = Tier.NONE


def values(reputation: NDArray[np.float64], trust: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standing as one number, 0 to 1; any shape.

    Trust counts only as far as the record is good: whom many trusted and who has turned is trusted no more.
    """
    return np.asarray(SHARE_OF_RECORD * reputation + (1.0 - SHARE_OF_RECORD) * trust * reputation)


def reach(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The factor for the score of a creator's posts, LEAST_REACH to LEAST_REACH + REACH_SPAN; any shape."""
    return np.asarray(LEAST_REACH + REACH_SPAN * values)


def posts_a_day(value: float) -> int:
    """How much may be posted: slow at first, as spam is cheap."""
    return LEAST_POSTS + round(MORE_POSTS * value * math.sqrt(value))


def tier_of(reputation: float, evidence: float, trust: float, before: Tier = Tier.NONE) -> Tier:
    """The best tier whose thresholds are met; the one that was held before is kept a little longer."""
    for threshold in THRESHOLDS:
        eased = KEPT_AT if threshold.tier <= before else 1.0
        if (
            reputation >= threshold.reputation * eased
            and evidence >= threshold.evidence * eased
            and trust >= threshold.trust * eased
        ):
            return threshold.tier
    return Tier.NONE


def standing_of(reputation: float, evidence: float, trust: float, before: Tier = Tier.NONE) -> Standing:
    """All of it, for one creator."""
    value = float(values(np.array(reputation), np.array(trust)))
    return Standing(
        reputation=reputation,
        evidence=evidence,
        trust=trust,
        value=value,
        reach=float(reach(np.array(value))),
        posts_a_day=posts_a_day(value),
        tier=tier_of(reputation, evidence, trust, before),
    )
