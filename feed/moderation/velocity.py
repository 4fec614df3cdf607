"""Is somebody too fast for how far they are trusted? Buckets of `common.rate_limits`, wider for who earned trust."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from common.rate_limits import MemoryRateLimits, RateLimits, Use


class Act(StrEnum):
    """What is counted."""

    POST = "posts"
    # By standing: see feed.reputation.standing.
    POST_A_DAY = "posts a day"
    COMMENT = "comments"
    PROFILE_EDIT = "profile edits"
    LINK = "links"
    MENTION = "mentions"
    # The same words by anybody: what a ring of accounts has in common.
    SAME_TEXT = "times the same text"


@dataclass(frozen=True, slots=True)
class Limit:
    """`newcomer` and `trusted` are how many in `per_s` seconds at reputation 0 and 1; between, by equal ratios."""

    newcomer: float
    trusted: float
    per_s: int

    def at(self, reputation: float) -> float:
        """How many somebody of this reputation may do in `per_s`."""
        trust = min(1.0, max(0.0, reputation)) if reputation == reputation else 0.0
        return float(self.newcomer * (self.trusted / self.newcomer) ** trust)


LIMITS: Final[Mapping[Act, Limit]] = {
    Act.POST: Limit(5, 60, 3_600),
    Act.POST_A_DAY: Limit(1, 1, 86_400),
    Act.COMMENT: Limit(20, 300, 3_600),
    Act.PROFILE_EDIT: Limit(5, 30, 3_600),
    Act.LINK: Limit(3, 100, 3_600),
    Act.MENTION: Limit(10, 200, 3_600),
    Act.SAME_TEXT: Limit(5, 5, 3_600),
}
# Shorter ones ("so cute!") are the same by chance.
_LEAST_SAME_TEXT: Final = 30


@dataclass(frozen=True, slots=True)
class Exceeded:
    """What there was too much of: how many may be done in `per_s` seconds, and how full the measure is (above 1)."""

    act: Act
    allowed: float
    per_s: int
    fullness: float


class Velocity:
    """Counts what people do and which texts come again; may be called from several threads."""

    def __init__(self, limits: Mapping[Act, Limit] = LIMITS, rates: RateLimits | None = None) -> None:
        self._limits = limits
        self._rates = rates if rates is not None else MemoryRateLimits()

    def take(
        self, tenant_id: str, person_id: str, acts: Mapping[Act, int], reputation: float, now_ms: int
    ) -> tuple[Exceeded, ...]:
        """Count what is done now; what was too much, if anything. What is too much fills the measure and no more."""
        allowed = {act: self._limits[act].at(reputation) for act, times in acts.items() if times > 0}
        uses = [self._use(f"{tenant_id}\0{person_id}", act, allowed[act], acts[act]) for act in allowed]
        return self._exceeded(uses, allowed, now_ms)

    def take_post(self, tenant_id: str, person_id: str, posts_a_day: int, now_ms: int) -> tuple[Exceeded, ...]:
        """Count a post that was never checked before, against what its creator may post within a day."""
        act, allowed = Act.POST_A_DAY, float(posts_a_day)
        return self._exceeded([self._use(f"{tenant_id}\0{person_id}", act, allowed, 1)], {act: allowed}, now_ms)

    def take_text(self, tenant_id: str, words: str, now_ms: int) -> tuple[Exceeded, ...]:
        """Count a text, normalised, whoever wrote it; short ones are not counted."""
        if len(words) < _LEAST_SAME_TEXT:
            return ()
        digest = hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        act, allowed = Act.SAME_TEXT, self._limits[Act.SAME_TEXT].at(0.0)
        return self._exceeded([self._use(f"{tenant_id}\0text {digest}", act, allowed, 1)], {act: allowed}, now_ms)

    def _use(self, subject: str, act: Act, allowed: float, times: int) -> Use:
        per_us = self._limits[act].per_s * 1_000_000
        # Rounded down, so that what is allowed fits in.
        return Use(subject, act.value, per_us, max(int(per_us / allowed), 1), times)

    def _exceeded(self, uses: Sequence[Use], allowed: Mapping[Act, float], now_ms: int) -> tuple[Exceeded, ...]:
        levels = self._rates.fill(uses, now_ms * 1_000) if uses else []
        return tuple(
            Exceeded(act, allowed[act], self._limits[act].per_s, level / use.per_us)
            for use, level in zip(uses, levels, strict=True)
            if level > use.per_us and (act := Act(use.what))
        )
