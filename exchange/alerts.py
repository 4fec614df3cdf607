"""Is a budget or a balance running out? Thresholds of what was used, each told once in its period.

The period of a total is that total (a raised one begins anew), of a daily budget its day, of a balance the time since
the newest payment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import msgspec

from common.clock import Clock
from common.errors import FieldError, InvalidInput
from exchange.campaign_pages import Page, asked_page

THRESHOLDS_PERCENT: Final = (50, 80, 100)
# So many told thresholds are remembered, which saves asking the store for them; beyond it all are asked for again.
MAX_REMEMBERED: Final = 100_000


class Usage(msgspec.Struct, frozen=True):
    """How much of a limit is used, in micros.

    `kind` is campaign or advertiser, `measure` total, daily or balance; `period` tells when counting began.
    """

    tenant_id: str
    advertiser_id: str
    kind: str
    id: str
    measure: str
    period: str
    used_micros: int
    limit_micros: int
    currency: str


class Alert(msgspec.Struct, frozen=True):
    """A threshold that was reached."""

    tenant_id: str
    advertiser_id: str
    kind: str
    id: str
    measure: str
    threshold_percent: int
    period: str
    used_micros: int
    limit_micros: int
    currency: str
    alerted_at_ms: int
    number: int = 0


class AlertStore(Protocol):
    """What is used, and what was told of it."""

    def usages(self, now_ms: int, least_percent: int) -> list[Usage]:
        """Active campaigns and advertisers that have used at least so much of a limit."""

    def tell(self, alerts: Sequence[Alert]) -> int:
        """Store those that were not told before, each with its event, in one transaction; how many they were."""

    def alerts(self, tenant_id: str, after_number: int, limit: int) -> list[Alert]:
        """The tenant's, oldest first."""


class Alerts:
    """The use cases."""

    def __init__(self, *, store: AlertStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._told: set[tuple[str, str, int, str]] = set()

    def evaluate(self) -> int:
        """Tell what was reached since; how many alerts that were. Blocks on SQL: call it in a thread."""
        now_ms = self._clock.now_ms()
        reached = due(self._store.usages(now_ms, THRESHOLDS_PERCENT[0]), now_ms)
        fresh = [alert for alert in reached if _key(alert) not in self._told]
        if not fresh:
            return 0
        told = self._store.tell(fresh)
        if len(self._told) + len(fresh) > MAX_REMEMBERED:
            self._told.clear()
        self._told.update(_key(alert) for alert in fresh)
        return told

    def alerts(self, tenant_id: str, page_size: int = 0, page_token: str = "") -> Page[Alert]:
        """What was told to a tenant, oldest first."""
        errors: list[FieldError] = []
        asked = asked_page("alerts", page_size, page_token, errors)
        if errors:
            raise InvalidInput(errors)
        return asked.cut(lambda after, limit: self._store.alerts(tenant_id, after, limit))


def due(usages: Iterable[Usage], now_ms: int) -> list[Alert]:
    """Every threshold that is reached, lowest first."""
    return [
        Alert(
            tenant_id=usage.tenant_id,
            advertiser_id=usage.advertiser_id,
            kind=usage.kind,
            id=usage.id,
            measure=usage.measure,
            threshold_percent=percent,
            period=usage.period,
            used_micros=usage.used_micros,
            limit_micros=usage.limit_micros,
            currency=usage.currency,
            alerted_at_ms=now_ms,
        )
        for usage in usages
        for percent in THRESHOLDS_PERCENT
        if usage.limit_micros > 0 and usage.used_micros * 100 >= percent * usage.limit_micros
    ]


def _key(alert: Alert) -> tuple[str, str, int, str]:
    return alert.id, alert.measure, alert.threshold_percent, alert.period
