"""Which defences are compared? All of haat's, each of them left out in turn, and the plain one of most feeds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arm:
    """`record`: what became of posts moves reach and how much may be posted; `trust`: whom purchasers vouch for does;
    `weighing`: reports count by who makes them, else each counts one; `by_harm`: moderators take risk × reach first,
    else what came first.
    """

    name: str
    record: bool = True
    trust: bool = True
    weighing: bool = True
    by_harm: bool = True


HAAT = Arm("haat")
PLAIN = Arm("plain counts", record=False, trust=False, weighing=False, by_harm=False)
ARMS = (
    PLAIN,
    HAAT,
    Arm("haat without the record", record=False),
    Arm("haat without trust", trust=False),
    Arm("haat without weighing", weighing=False),
    Arm("haat without the order", by_harm=False),
)
# Of plain counts: so many reports of a post make a case, and so many limit it before anybody has looked.
PLAIN_CASE_AT = 3
PLAIN_LIMIT_AT = 10
