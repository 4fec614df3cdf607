"""What does moderation forget of a person, and what must it keep?

The law asks that decisions can be accounted for, so a case keeps that something was decided, when, how and why. Who it
was about, what was written and what was found in it go, and so do the person's reports, events, links and tier.
"""

from __future__ import annotations

from collections.abc import Mapping

from common.clock import Clock
from feed.moderation import case_rules
from feed.moderation.audit import entry_of
from feed.moderation.ports import CaseStore, CaseWrite, ReportStore
from feed.moderation.reports import digest_of
from feed.reputation.ports import ReputationStore
from feed.reputation.sales import SaleStore


class ModerationErasure:
    """The erasure hook of moderation and reputation; a standing in memory goes with the next refresh of the book."""

    def __init__(
        self, *, cases: CaseStore, reports: ReportStore, reputations: ReputationStore, sales: SaleStore, clock: Clock
    ) -> None:
        self._cases = cases
        self._sales = sales
        self._reports = reports
        self._reputations = reputations
        self._clock = clock

    def erase(self, tenant_id: str, person_id: str) -> Mapping[str, int]:
        """As author and as visitor of the same id; how many of each thing. Doing it again removes nothing."""
        cases = self._cases.cases_of(tenant_id, person_id) if person_id else []
        for case in cases:
            self._reports.forget_subject(tenant_id, case.subject)
            after = case_rules.anonymised(case, self._clock.now_ms())
            self._cases.save([CaseWrite(after, case.revision, entry_of(case, after, "erasure", "anonymised"))])
        visitor = digest_of(tenant_id, "visitor", person_id)
        forgotten = self._reputations.forget(tenant_id, person_id) + self._reputations.forget(tenant_id, visitor)
        return {
            "moderation cases": len(cases),
            "reports": self._reports.forget_reporter(tenant_id, visitor),
            "reputation records": forgotten,
            "sales": self._sales.forget(tenant_id, person_id) + self._sales.forget(tenant_id, visitor),
        }
