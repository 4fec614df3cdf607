"""How much may somebody upload within a day? So many files and bytes, the more the better the tier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from common.errors import FieldError

DAY_MS: Final = 86_400_000
# By feed.reputation.standing.Tier: none, bronze, silver, gold.
TIMES_BY_TIER: Final = (1, 2, 4, 8)


class Quota(msgspec.Struct, frozen=True):
    """Uploads within a day (UTC), and bytes of all of them together as they were announced."""

    uploads: int
    size_bytes: int


UNLIMITED: Final = Quota(1 << 31, 1 << 62)


class QuotaOf(Protocol):
    """What somebody may upload; no I/O."""

    def __call__(self, tenant_id: str, creator_id: str) -> Quota:
        """The quota of today."""


class UploadCounts(Protocol):
    """What was announced on each day. Exact, whoever else counts."""

    def take(self, tenant_id: str, creator_id: str, day: int, size_bytes: int, quota: Quota) -> Quota | None:
        """Count one upload within the quota: None. Or count nothing, and tell what was counted on that day already."""

    def drop_before(self, day: int) -> int:
        """Forget earlier days; how many rows."""

    def forget(self, tenant_id: str, creator_id: str) -> int:
        """Forget a creator; how many rows."""


def quota_of_tier(newcomer: Quota, tier: int) -> Quota:
    """The quota of a tier, by that of who has none."""
    times = TIMES_BY_TIER[tier]
    return Quota(newcomer.uploads * times, newcomer.size_bytes * times)


def errors_of(used: Quota, size_bytes: int, quota: Quota) -> Sequence[FieldError]:
    """What is beyond the quota, by its field."""
    remedy = "go on tomorrow (UTC); a better tier may upload more"
    errors = []
    if used.uploads >= quota.uploads:
        errors.append(FieldError("creator_id", f"has started {used.uploads} uploads today", remedy))
    if used.size_bytes + size_bytes > quota.size_bytes:
        said = f"{size_bytes} bytes beside {used.size_bytes} of today, of {quota.size_bytes}"
        errors.append(FieldError("size_bytes", said, remedy))
    return errors
