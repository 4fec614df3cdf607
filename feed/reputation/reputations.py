"""How do reputations come about and stay up to date? Events in, standings out, refreshed beside the calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from common.clock import Clock
from feed.moderation.case_values import Case, Decision, Instance
from feed.moderation.report_values import Track
from feed.reputation import beta, trust
from feed.reputation.book import ReputationBook, TenantPage, page_of
from feed.reputation.events import HALF_LIFE_MS, WEIGHTS, EventKind, ReputationEvent, Role
from feed.reputation.ports import Edge, ReputationStore, TierHeld
from feed.reputation.standing import Standing, Tier, standing_of
from feed.reputation.trust import EDGE_WEIGHT, EdgeKind
from feed.verdict import Outcome

# After so many half-lives an event counts for 3 %.
KEPT_HALF_LIVES: Final = 5
MAX_EXPLAINED: Final = 200


class Counted(msgspec.Struct, frozen=True):
    """One event, and what it counts for today."""

    event: ReputationEvent
    good: float
    bad: float
    meaning: str


class Explanation(msgspec.Struct, frozen=True):
    """Why somebody stands where it stands. `earlier_good` and `earlier_bad` are of events that are listed no more;
    `purchasers` is whose trust came together (feed.reputation.trust).
    """

    standing: Standing
    good: float
    bad: float
    events: list[Counted]
    earlier_good: float
    earlier_bad: float
    purchasers: float


class Reputations:
    """The use cases; all of them block. It is the Consequences and the ReporterTracks of moderation."""

    def __init__(self, *, store: ReputationStore, book: ReputationBook, clock: Clock) -> None:
        self._store = store
        self._book = book
        self._clock = clock

    def record(self, events: Sequence[ReputationEvent]) -> int:
        """Take events; how many were new. They count in the book from the next refresh on."""
        return self._store.add(events) if events else 0

    def vouch(self, edges: Sequence[Edge]) -> int:
        """Take edges; how many were new."""
        return self._store.add_edges(edges) if edges else 0

    def sold(
        self, tenant_id: str, order_id: str, buyer_id: str, creator_id: str, at_ms: int, *, returned: bool = False
    ) -> None:
        """What a creator's post sold was kept beyond the time for returns, or came back. Only what was kept vouches.

        `buyer_id` is empty unless the buyer agreed to be remembered; the same order again changes nothing.
        """
        kind = EventKind.SALE_RETURNED if returned else EventKind.SALE_KEPT
        self.record([ReputationEvent(tenant_id, f"order:{order_id}:{creator_id}", creator_id, kind, at_ms)])
        if buyer_id and not returned:
            edge_id = f"order:{order_id}:{creator_id}"
            self.vouch([Edge(tenant_id, edge_id, buyer_id, creator_id, EdgeKind.PURCHASE, at_ms)])

    def decided(self, case: Case, decision: Decision, reporters: Sequence[str]) -> None:
        """A person's decision was carried out: it speaks for or against the author, and those who reported.

        One on appeal takes the place of the first one.
        """
        if decision.instance is Instance.APPEAL:
            # The first instance's word counts no more, for nobody.
            first = [d for d in case.decisions if d.instance is Instance.FIRST]
            self._take_back(case, first)
        kind = {
            Outcome.CLEAN: EventKind.POST_CLEARED,
            Outcome.LIMITED: EventKind.POST_LIMITED,
            Outcome.REMOVED: EventKind.POST_REMOVED,
        }.get(decision.outcome)
        about, at_ms, cause = case.subject.id, decision.decided_at_ms, decision.decision_id
        events = []
        if kind is not None and case.author_id:
            events.append(ReputationEvent(case.tenant_id, f"{cause}:author", case.author_id, kind, at_ms, about, cause))
        of_report = EventKind.REPORT_REJECTED if decision.outcome is Outcome.CLEAN else EventKind.REPORT_UPHELD
        events += [
            ReputationEvent(case.tenant_id, f"{cause}:{reporter}", reporter, of_report, at_ms, about, cause)
            for reporter in reporters
        ]
        self.record(events)

    def undone(self, case: Case, decision: Decision) -> None:
        """It was taken back: it speaks for and against nobody."""
        self._take_back(case, [decision])

    def tracks(self, tenant_id: str, reporters: Sequence[str], now_ms: int) -> list[Track]:
        """How right each reporter was before."""
        half_life_ms = HALF_LIFE_MS[Role.REPORTER]
        records = self._store.records(tenant_id, Role.REPORTER, reporters) if reporters else []
        return [Track(now.good, now.bad) for now in (beta.at(record, now_ms, half_life_ms) for record in records)]

    def refresh(self) -> int:
        """Make every standing anew and swap them in; how many tiers changed. Called now and then, in a thread."""
        now_ms = self._clock.now_ms()
        pages: dict[str, TenantPage] = {}
        changed = 0
        for tenant_id in self._store.tenants():
            standings, moved = self._standings(tenant_id, now_ms)
            if moved:
                self._store.set_tiers(tenant_id, moved, now_ms)
                changed += len(moved)
            pages[tenant_id] = page_of(standings)
        self._book.swap(pages)
        return changed

    def explain(self, tenant_id: str, creator_id: str) -> Explanation:
        """Why a creator stands where it stands, with every event that counts."""
        now_ms = self._clock.now_ms()
        half_life_ms = HALF_LIFE_MS[Role.AUTHOR]
        record = beta.at(self._store.records(tenant_id, Role.AUTHOR, [creator_id])[0], now_ms, half_life_ms)
        events = self._store.events_of(tenant_id, creator_id, Role.AUTHOR, MAX_EXPLAINED)
        counted = []
        for event in events:
            weight = WEIGHTS[event.kind]
            now = beta.at(beta.Beta(weight.good, weight.bad, event.at_ms), now_ms, half_life_ms)
            counted.append(Counted(event, now.good, now.bad, weight.meaning))
        purchasers = self._purchasers(tenant_id).get(creator_id, 0.0)
        held = self._store.tiers(tenant_id).get(creator_id)
        good, bad = np.array([record.good]), np.array([record.bad])
        standing = standing_of(
            float(beta.cautious(good, bad)[0]),
            record.good + record.bad,
            float(trust.score(np.array(purchasers))),
            held.tier if held else Tier.NONE,
        )
        return Explanation(
            standing,
            record.good,
            record.bad,
            counted,
            max(record.good - sum(one.good for one in counted), 0.0),
            max(record.bad - sum(one.bad for one in counted), 0.0),
            purchasers,
        )

    def forget(self, tenant_id: str, person_id: str) -> int:
        """A person is erased: its events, its record, its tier and all links of it; how many rows."""
        return self._store.forget(tenant_id, person_id)

    def prune(self) -> int:
        """Drop what counts for next to nothing."""
        return self._store.prune(self._clock.now_ms() - KEPT_HALF_LIVES * max(HALF_LIFE_MS.values()))

    def _standings(self, tenant_id: str, now_ms: int) -> tuple[dict[str, Standing], list[tuple[TierHeld, Tier]]]:
        half_life_ms = HALF_LIFE_MS[Role.AUTHOR]
        records = {
            person.person_id: beta.at(person.beta, now_ms, half_life_ms)
            for person in self._store.people(tenant_id, Role.AUTHOR)
        }
        purchasers = self._purchasers(tenant_id)
        held = self._store.tiers(tenant_id)
        creators = list({**records, **dict.fromkeys(purchasers), **dict.fromkeys(held)})
        nothing = beta.Beta()
        good = np.array([records.get(creator, nothing).good for creator in creators])
        bad = np.array([records.get(creator, nothing).bad for creator in creators])
        trusted = trust.score(np.array([purchasers.get(creator, 0.0) for creator in creators]))
        standings: dict[str, Standing] = {}
        moved: list[tuple[TierHeld, Tier]] = []
        rows = zip(creators, beta.cautious(good, bad).tolist(), (good + bad).tolist(), trusted.tolist(), strict=True)
        for creator, reputation, evidence, trusted_by in rows:
            before = held[creator].tier if creator in held else Tier.NONE
            standing = standings[creator] = standing_of(reputation, evidence, trusted_by, before)
            if standing.tier is not before:
                moved.append((TierHeld(creator, standing.tier, now_ms, reputation, trusted_by), before))
        return standings, moved

    def _purchasers(self, tenant_id: str) -> dict[str, float]:
        """Whose trust came together in each person that anybody vouches for."""
        number: dict[str, int] = {}
        sources: list[int] = []
        targets: list[int] = []
        weights: list[float] = []
        bought: dict[int, int] = {}
        for link in self._store.links(tenant_id):
            source = number.setdefault(link.source_id, len(number))
            sources.append(source)
            targets.append(number.setdefault(link.target_id, len(number)))
            # The tenth time says little that the first did not.
            weights.append(EDGE_WEIGHT[link.kind] * float(np.log1p(link.count)))
            if link.kind is EdgeKind.PURCHASE:
                bought[source] = bought.get(source, 0) + link.count
        purchases = np.zeros(len(number))
        for person, count in bought.items():
            purchases[person] = count
        arrived = trust.propagate(
            len(number), np.array(sources, np.int64), np.array(targets, np.int64), np.array(weights), purchases
        )
        vouched = set(targets)
        return {person: float(arrived[at]) for person, at in number.items() if at in vouched}

    def _take_back(self, case: Case, decisions: Sequence[Decision]) -> None:
        ids = [decision.decision_id for decision in decisions]
        if ids:
            self._store.take_back(case.tenant_id, ids)
