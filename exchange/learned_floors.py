"""Which floors were learned, for whom do they hold, and who is held out? A table by segment, and one hash.

A segment is `placement|format|device`, or `placement|format|*` where a device alone has too few auctions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import msgspec

from exchange.request import Placement

LEARNED = "learned"
HELD_OUT = "holdout"


class LearnedFloor(msgspec.Struct, frozen=True):
    """A floor of one segment per thousand impressions, and the auctions it was learned from."""

    floor_micros: int
    static_micros: int
    auctions: int


class LearnedFloors(msgspec.Struct, frozen=True):
    """All learned floors of one training; `holdout` is the share of sessions for which they do not hold."""

    version: str
    holdout: float
    floors: Mapping[str, LearnedFloor]

    def floor_of(self, segment: str) -> int | None:
        """The floor of a segment, None when none was learned."""
        found = self.floors.get(segment)
        return found.floor_micros if found is not None else None

    def holds_out(self, session_id: str, auction_number: int) -> bool:
        """Is this session (an auction without one) held out? The same in every process, and for all versions."""
        return draw_of(session_id or f"{auction_number:032x}") < self.holdout

    def name_of(self, segment: str, *, held_out: bool) -> str:
        """How the record names the arm that an auction was in."""
        return f"{HELD_OUT if held_out else LEARNED}/{self.version}/{segment}"


def draw_of(text: str) -> float:
    """An even draw from 0 to 1 that only depends on the text."""
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=b"haat.floors").digest()
    return int.from_bytes(digest, "little") / 2.0**64


def segments_of(placement: Placement, device_type: int) -> Iterator[str]:
    """The segments of a placement, the narrowest first."""
    format_ = min((shape[0] for shape in placement.shapes), default=0)
    yield segment_of(placement.placement_id, format_, device_type)
    yield segment_of(placement.placement_id, format_, None)


def segment_of(placement_id: str, format_: int, device_type: int | None) -> str:
    """One segment's name; no device is all of them."""
    return f"{placement_id}|{format_}|{'*' if device_type is None else device_type}"
