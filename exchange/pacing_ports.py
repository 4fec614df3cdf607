"""What does pacing need to know of an account? Its limits, its time, what it has spent, and where that stands."""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

import msgspec


class PacedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A budget that is to last: a line item's (its number) or a campaign's (its number + CAMPAIGN_ACCOUNTS).

    Limits in micros, 0 is none; days are those of `time_zone`. `starts_at_ms`/`ends_at_ms` are UTC, 0: without; of a
    campaign the first and the last of its line items. No `hours_of_week` are all of them.
    """

    account: int
    time_zone: str
    total_micros: int = 0
    daily_micros: int = 0
    starts_at_ms: int = 0
    ends_at_ms: int = 0
    hours_of_week: tuple[int, ...] = ()
    spent_total_micros: int = 0
    spent_today_micros: int = 0

    @property
    def has_a_pace(self) -> bool:
        """A total without an end has no time to be spread over."""
        return self.daily_micros > 0 or (self.total_micros > 0 and self.ends_at_ms > 0)


class Pacing(IntEnum):
    """How a campaign spends; numbers of haat.campaigns.v1.Pacing."""

    EVEN = 1
    ASAP = 2


class PacedAccounts(Protocol):
    """Where paced accounts come from."""

    def paced(self, now_ms: int) -> list[PacedAccount]:
        """All accounts of active line items and campaigns that spend evenly; BackendUnavailable."""
