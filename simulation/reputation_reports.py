"""How do reports come to something in the simulation? With the very weights that serve, or with plain counts."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from feed.moderation.report_values import Report, ReportReason, Track
from feed.moderation.report_weight import limits, makes_case, weigh
from feed.moderation.subjects import Subject, SubjectKind
from feed.reputation import beta
from feed.reputation.events import HALF_LIFE_MS, Role
from simulation.reputation_arms import PLAIN_CASE_AT, PLAIN_LIMIT_AT, Arm

DAY_MS = 86_400_000


class ReportDesk:
    """Reports by post, and the record of every reporter. A reporter is a number; a post too."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._open: dict[int, dict[int, Report]] = defaultdict(dict)
        self._before: dict[int, set[int]] = defaultdict(set)
        self._tracks: dict[int, beta.Beta] = {}
        self._upheld: dict[int, beta.Beta] = {}

    def take(self, post: int, reporters: list[int], day: int) -> None:
        """Each reporter once a post."""
        subject = Subject(SubjectKind.POST, str(post))
        for reporter in reporters:
            if post not in self._before[reporter]:
                self._before[reporter].add(post)
                self._open[post][reporter] = Report(
                    "t", "", subject, 1, str(reporter), True, ReportReason.SPAM, "", day * DAY_MS
                )

    def judge(self, post: int, author_reputation: float, day: int) -> tuple[float, bool, bool]:
        """(risk 0 to 1, does it make a case, does it limit reach at once) of the open reports of a post."""
        reports = self._open.get(post, {})
        if not self._arm.weighing:
            count = len(reports)
            return 1.0 - float(np.exp(-count / 5)), count >= PLAIN_CASE_AT, count >= PLAIN_LIMIT_AT
        tracks = {str(reporter): self._track(reporter, day) for reporter in reports}
        others = {
            str(reporter): frozenset(
                Subject(SubjectKind.POST, str(other)) for other in self._before[reporter] if other != post
            )
            for reporter in reports
        }
        weighed = weigh(list(reports.values()), tracks, others)
        return weighed.risk, makes_case(weighed), limits(weighed, author_reputation)

    def decided(self, post: int, *, bad: bool, day: int) -> None:
        """A moderator has looked: the reports are judged. What was right is no sign of a brigade."""
        for reporter in self._open.pop(post, {}):
            before = self._tracks.get(reporter, beta.Beta())
            self._tracks[reporter] = beta.added(
                before, float(bad), float(not bad), day * DAY_MS + 1, HALF_LIFE_MS[Role.REPORTER]
            )
            if bad:
                self._before[reporter].discard(post)

    def _track(self, reporter: int, day: int) -> Track:
        record = self._tracks.get(reporter)
        if record is None:
            return Track()
        now = beta.at(record, day * DAY_MS + 1, HALF_LIFE_MS[Role.REPORTER])
        return Track(now.good, now.bad)
