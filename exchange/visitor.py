"""Step 3: what is known of the visitors of this batch? One read of the profile store for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec

from common.consent import Permission
from common.errors import BackendUnavailable
from exchange.request import PageView
from exchange.session_impressions import SessionMemory, session_key
from exchange.walk_arrays import BY_SESSION, BY_VISITOR
from streams.ports import Profile, ProfileStore

_REMEMBER = int(Permission.REMEMBER)
_PERSONALISE = int(Permission.PERSONALISE_ADS)
_Numbers = tuple[int, ...] | list[int]


class Visitor(msgspec.Struct, frozen=True, gc=False):
    """What the auction may know of one visitor: nothing at all, for most.

    `segments` are "name=value"; `affinities` maps product id to weight, and `near` products that are like one of those
    to that weight times the similarity. The impressions are those that caps count, of
    the visitor and of the session; `known_by` says by which of them they can be counted (BY_VISITOR, BY_SESSION).
    """

    segments: tuple[str, ...] = ()
    affinities: dict[str, float] = {}
    seen_line_items: _Numbers = ()
    seen_at_ms: _Numbers = ()
    seen_creatives: _Numbers = ()
    session_line_items: _Numbers = ()
    session_at_ms: _Numbers = ()
    session_creatives: _Numbers = ()
    known_by: int = 0
    near: dict[str, float] = {}


# By `known_by`.
_UNKNOWN = tuple(Visitor(known_by=known_by) for known_by in range(4))
_NOBODY = Profile()


def look_up(views: Sequence[PageView], store: ProfileStore, sessions: SessionMemory | None = None) -> list[Visitor]:
    """One visitor for each page view; profiles are read only where consent covers remembering.

    Impressions of a session are counted whatever was agreed to: they are kept for the session's time alone.
    """
    asked = [index for index, view in enumerate(views) if view.visitor_id and view.permissions & _REMEMBER]
    visitors = [
        _UNKNOWN[BY_SESSION if view.session_id else 0] if not (view.segments or view.affinities) else _told(view)
        for view in views
    ]
    if asked:
        # While they cannot be read, their visitors are taken for some whom nobody can recognise: what is capped is then
        # shown to them seldom enough.
        with suppress(BackendUnavailable):
            profiles = store.read([views[index].visitor_id for index in asked])
            for index, profile in zip(asked, profiles, strict=True):
                visitors[index] = _remembered(views[index], profile)
    if sessions is not None and not sessions.empty:
        inside = [index for index, view in enumerate(views) if view.session_id]
        for index, seen in zip(inside, sessions.read([session_key(views[index]) for index in inside]), strict=True):
            if seen is not None:
                visitors[index] = msgspec.structs.replace(
                    visitors[index],
                    session_line_items=seen.line_items,
                    session_at_ms=seen.at_ms,
                    session_creatives=seen.creatives,
                )
    return visitors


def dearest(weights: Mapping[str, float], most: int) -> list[str]:
    """The products with the largest weights, at most so many; equals by their ids."""
    return sorted(weights, key=lambda product: (-weights[product], product))[:most]


def _told(view: PageView) -> Visitor:
    """What the storefront itself says; the consent gate has already taken out what may not be used."""
    return Visitor(view.segments, dict(view.affinities), known_by=BY_SESSION if view.session_id else 0)


def _remembered(view: PageView, profile: Profile | None) -> Visitor:
    known_by = BY_VISITOR | BY_SESSION if view.session_id else BY_VISITOR
    if profile is None:
        # Seen for the first time, and known from now on: nothing counts yet.
        if not (view.segments or view.affinities):
            return _UNKNOWN[known_by]
        profile = _NOBODY
    seen = (profile.seen_line_items, profile.seen_at_ms, profile.seen_creatives)
    if not view.permissions & _PERSONALISE:
        # Counting impressions against a cap is remembering, not personalising.
        return Visitor((), {}, *seen, known_by=known_by)
    return Visitor(*taste(view.segments, view.affinities, profile), *seen, known_by=known_by)


def taste(
    segments: tuple[str, ...], affinities: Sequence[tuple[str, float]], profile: Profile
) -> tuple[tuple[str, ...], dict[str, float]]:
    """(segments, affinities) of a visitor: what the storefront says goes before what is remembered."""
    known = profile.affinities
    return segments or tuple(profile.segments), {**known, **dict(affinities)} if affinities else known
