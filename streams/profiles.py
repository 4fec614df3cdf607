"""What is remembered of a visitor, and how does it stay small?"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence

from common.clock import Clock
from common.errors import FieldError, InvalidInput
from streams.affinities import WEIGHT_AT_MOST, strongest
from streams.ports import Impression, Profile, ProfileStore

VISITOR_ID_AT_MOST = 64
SEGMENTS_AT_MOST = 32
TEXT_AT_MOST = 64


class Profiles:
    """The visitors who agreed to be remembered. May be used from several threads; what is written is bounded."""

    def __init__(self, store: ProfileStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        # Reading, changing and writing a profile is one step.
        self._changing = threading.Lock()

    def look_up(self, visitor_ids: Sequence[str]) -> list[Profile | None]:
        """One entry for each id, in one batch read; None for strangers."""
        return self._store.read(visitor_ids)

    def remember_impressions(self, impressions: Sequence[Impression]) -> None:
        """Add (visitor id, line item number, at_ms, creative number) to the profiles; each keeps its newest 64.

        InvalidInput, and nothing is remembered, when a visitor id is empty or too long.
        """
        if not impressions:
            return
        _check_ids([visitor_id for visitor_id, *_ in impressions])
        with self._changing:
            self._store.add_impressions(impressions)

    def put(self, visitor_id: str, segments: Sequence[str], affinities: Mapping[str, float]) -> None:
        """Replace what is known of the visitor; impressions stay. The weakest affinities beyond 64 leave.

        `segments` are "name=value", at most 32. InvalidInput names every field that cannot be taken.
        """
        errors = _id_errors("visitor_id", visitor_id)
        if len(segments) > SEGMENTS_AT_MOST:
            errors.append(FieldError("segments", f"{len(segments)} segments", f"give at most {SEGMENTS_AT_MOST}"))
        else:
            for index, segment in enumerate(segments):
                errors += _segment_errors(f"segments[{index}]", segment)
        for product_id, weight in affinities.items():
            errors += _affinity_errors(f"affinities[{product_id[:TEXT_AT_MOST]!r}]", product_id, weight)
        if errors:
            raise InvalidInput(errors)
        with self._changing:
            profiles = self._known_or_new({visitor_id})
            profile = profiles[visitor_id]
            profile.segments = list(dict.fromkeys(segments))
            profile.affinities = strongest(dict(affinities))
            profile.updated_at_ms = self._clock.now_ms()
            self._store.write(profiles)

    def add_affinities(self, visitor_id: str, weights: Mapping[str, float]) -> None:
        """Add weights by product id (they may be negative) to the visitor's affinities; the weakest beyond 64 leave."""
        errors = _id_errors("visitor_id", visitor_id)
        for product_id, weight in weights.items():
            errors += _affinity_errors("product_id", product_id, weight)
        if errors:
            raise InvalidInput(errors)
        with self._changing:
            self._store.add_affinities([(visitor_id, weights, self._clock.now_ms())])

    def erase(self, visitor_id: str) -> bool:
        """Forget one visitor; False when there was nothing to forget."""
        with self._changing:
            return self._store.erase(visitor_id)

    def _known_or_new(self, visitor_ids: set[str]) -> dict[str, Profile]:
        ids = list(visitor_ids)
        return {
            visitor_id: profile if profile is not None else Profile()
            for visitor_id, profile in zip(ids, self._store.read(ids), strict=True)
        }


def _check_ids(visitor_ids: Sequence[str]) -> None:
    errors = [
        error
        for index, visitor_id in enumerate(visitor_ids)
        for error in _id_errors(f"impressions[{index}].visitor_id", visitor_id)
    ]
    if errors:
        raise InvalidInput(errors)


def _id_errors(field: str, visitor_id: str) -> list[FieldError]:
    # The id itself is personal data, so the sentence says its length only.
    if 0 < len(visitor_id) <= VISITOR_ID_AT_MOST:
        return []
    return [FieldError(field, f"{len(visitor_id)} characters", f"give 1 to {VISITOR_ID_AT_MOST}")]


def _segment_errors(field: str, segment: str) -> list[FieldError]:
    name, equals, value = segment.partition("=")
    if len(segment) <= TEXT_AT_MOST and name and equals and value and segment.isprintable():
        return []
    return [FieldError(field, repr(segment[:TEXT_AT_MOST]), f"give name=value, at most {TEXT_AT_MOST} characters")]


def _affinity_errors(field: str, product_id: str, weight: float) -> list[FieldError]:
    errors = []
    if not 0 < len(product_id) <= TEXT_AT_MOST or not product_id.isprintable():
        remedy = f"give a product id of 1 to {TEXT_AT_MOST} printable characters"
        errors.append(FieldError(field, repr(product_id[:TEXT_AT_MOST]), remedy))
    if not math.isfinite(weight) or abs(weight) > WEIGHT_AT_MOST:
        remedy = f"give a weight within ±{WEIGHT_AT_MOST:.0f}"
        errors.append(FieldError(f"{field}.weight", str(weight), remedy))
    return errors
