"""What do the reports of a subject weigh together? Pure.

Each report counts for the chance that its reporter is right: a Beta mean over what became of earlier ones. Two rules
damp brigades. Reporters without a record count together no more than one whose record is perfect, however many they
are. And reporters who reported the same things before, without being right, count together hardly more than the
strongest of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from feed.moderation.report_values import Report, Track
from feed.moderation.subjects import Subject

# What is believed of a reporter before any report was judged: of a remembered visitor one in three is right, of a mere
# session, which is cheap to make, one in five.
PRIOR_REMEMBERED: Final = (1.0, 2.0)
PRIOR_SESSION: Final = (1.0, 4.0)
# From so many judged reports on a reporter has a record.
PROVEN_AT: Final = 3.0
UNPROVEN_TOGETHER: Final = 1.0
# So many other subjects reported in common, and not upheld, make two reporters one voice.
TOGETHER_AT: Final = 2
_SHARE_OF_OTHERS: Final = 0.1

# A case is made from this weight on; reach is limited from the next one on, and only by proven voices.
CASE_AT: Final = 0.3
LIMIT_AT: Final = 1.5
PROVEN_VOICES_TO_LIMIT: Final = 3


class Weighed(msgspec.Struct, frozen=True):
    """`weight` of all reports, `voices` that are told apart, `proven_voices` of them with a record."""

    weight: float
    voices: int
    proven_voices: int
    reports: int

    @property
    def risk(self) -> float:
        """The chance that something is wrong, 0 to 1."""
        return 1.0 - math.exp(-self.weight)


def accuracy(track: Track, *, remembered: bool) -> float:
    """The chance that a report is right, 0 to 1."""
    right, wrong = PRIOR_REMEMBERED if remembered else PRIOR_SESSION
    return (right + track.upheld) / (right + wrong + track.upheld + track.rejected)


def weigh(
    reports: Sequence[Report],
    tracks: Mapping[str, Track],
    reported_before: Mapping[str, frozenset[Subject]],
) -> Weighed:
    """What these reports of one subject weigh; `reported_before` are other subjects by reporter, without those where
    the report was upheld.
    """
    weights: dict[str, float] = {}
    proven: set[str] = set()
    for report in reports:
        track = tracks.get(report.reporter, Track())
        weights[report.reporter] = accuracy(track, remembered=report.remembered)
        if track.upheld + track.rejected >= PROVEN_AT:
            proven.add(report.reporter)
    total, proven_voices = 0.0, 0
    unproven = 0.0
    voices = _voices(sorted(weights), reported_before)
    for voice in voices:
        ranked = sorted((weights[reporter] for reporter in voice), reverse=True)
        value = ranked[0] + _SHARE_OF_OTHERS * math.log1p(sum(ranked[1:]))
        if proven.intersection(voice):
            total += value
            proven_voices += 1
        else:
            unproven += value
    total += UNPROVEN_TOGETHER * (1.0 - math.exp(-unproven / UNPROVEN_TOGETHER))
    return Weighed(total, len(voices), proven_voices, len(reports))


def makes_case(weighed: Weighed) -> bool:
    """Is it for a person to look at?"""
    return weighed.weight >= CASE_AT


def limits(weighed: Weighed, author_reputation: float) -> bool:
    """Is reach limited before anybody looked? The better the author's name (0 to 1), the more it takes: up to twice."""
    return weighed.proven_voices >= PROVEN_VOICES_TO_LIMIT and weighed.weight >= LIMIT_AT * (
        0.5 + 1.5 * min(max(author_reputation, 0.0), 1.0)
    )


def _voices(reporters: Sequence[str], before: Mapping[str, frozenset[Subject]]) -> list[list[str]]:
    """Reporters with at least TOGETHER_AT other subjects in common, joined: components of the graph of such pairs."""
    column: dict[Subject, int] = {}
    rows, columns = [], []
    for row, reporter in enumerate(reporters):
        for subject in before.get(reporter, ()):
            rows.append(row)
            columns.append(column.setdefault(subject, len(column)))
    if not rows:
        return [[reporter] for reporter in reporters]
    shape = (len(reporters), len(column))
    incidence = csr_array((np.ones(len(rows), np.int32), (rows, columns)), shape=shape)
    together = (incidence @ incidence.T) >= TOGETHER_AT
    count, member_of = connected_components(together, directed=False)
    voices: list[list[str]] = [[] for _ in range(count)]
    for reporter, voice in zip(reporters, member_of.tolist(), strict=True):
        voices[voice].append(reporter)
    return voices
