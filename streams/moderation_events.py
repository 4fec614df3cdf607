"""What is told of moderation? That something was decided, and that a creator came to another tier."""

from __future__ import annotations

import msgspec


class CaseDecided(msgspec.Struct, frozen=True):
    """Topic `moderation`: numbers are those of haat.moderation.v1, `reason` is a code of feed.moderation.reasons."""

    decided_at_ms: int
    tenant_id: str
    case_id: str
    subject_kind: int
    subject_id: str
    outcome: int
    reason: str
    instance: int
    undone: bool
    subject_revision: int


class TierChanged(msgspec.Struct, frozen=True):
    """Topic `creator_tiers`: tiers are numbers of haat.moderation.v1.Tier."""

    changed_at_ms: int
    tenant_id: str
    creator_id: str
    tier: int
    tier_before: int
    reputation: float
    trust: float
