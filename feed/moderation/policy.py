"""What becomes of something with these findings? One table: a classifier never removes, it asks a person to look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from feed.verdict import Finding, Label, Outcome

OUTCOMES: Final[Mapping[Label, Outcome]] = {
    Label.HATE: Outcome.HELD,
    Label.OFFENSIVE: Outcome.LIMITED,
    Label.SPAM: Outcome.HELD,
    Label.SCAM_LINK: Outcome.HELD,
    Label.CLICKBAIT: Outcome.LIMITED,
    # A person banned this very picture.
    Label.BANNED_IMAGE: Outcome.REMOVED,
    Label.COPIED_IMAGE: Outcome.HELD,
    Label.VELOCITY: Outcome.HELD,
    Label.REPORTED: Outcome.HELD,
}
# How much harm it does when it is true; orders the queue, decides nothing.
_HARM: Final[Mapping[Label, float]] = {
    Label.HATE: 1.0,
    Label.OFFENSIVE: 0.5,
    Label.SPAM: 0.6,
    Label.SCAM_LINK: 1.0,
    Label.CLICKBAIT: 0.2,
    Label.BANNED_IMAGE: 1.0,
    Label.COPIED_IMAGE: 0.6,
    Label.VELOCITY: 0.4,
    Label.REPORTED: 0.7,
}


def outcome_of(findings: Iterable[Finding]) -> Outcome:
    """The harshest of what the findings lead to; CLEAN without any."""
    return max((OUTCOMES[finding.label] for finding in findings), default=Outcome.CLEAN)


def risk_of(chances: Mapping[Label, float]) -> float:
    """0 to 1: the chance that at least one harm is done, each weighed by how bad it is."""
    spared = 1.0
    for label, chance in chances.items():
        spared *= 1.0 - _HARM[label] * min(1.0, max(0.0, chance))
    return 1.0 - spared
