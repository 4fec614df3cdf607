"""What does a look at an engine or a folder say? Findings, for `haat doctor`."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

State = Literal["ok", "note", "missing"]

# What one exchange with an engine may take; all of a look is bounded by whoever looks.
ANSWER_S: Final = 2.0
# Clocks further apart than this make leases, dates and tokens wrong.
CLOCKS_APART_S: Final = 2.0


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at: `missing` keeps haat from working, `note` does not."""

    what: str
    state: State
    says: str
    remedy: str = ""


def clock(whose: str, their_s: float, our_s: float) -> Finding:
    """How far an engine's clock is from ours, both in seconds since 1970."""
    apart = abs(their_s - our_s)
    says = f"{apart:.1f} s from {whose}'s"
    if apart > CLOCKS_APART_S:
        return Finding("clock", "missing", says, "let both machines follow the same time servers")
    return Finding("clock", "ok", says)
