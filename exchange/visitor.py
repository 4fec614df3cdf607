"""Step 3: what is known of the visitors of this batch? One read of the profile store for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from common.consent import Permission
from exchange.request import PageView
from streams.ports import Profile, ProfileStore

_REMEMBER = int(Permission.REMEMBER)
_PERSONALISE = int(Permission.PERSONALISE_ADS)


class Visitor(msgspec.Struct, frozen=True, gc=False):
    """What the auction may know of one visitor: nothing at all, for most.

    `segments` are "name=value"; `affinities` maps product id to weight; the impressions are those that caps count.
    """

    segments: tuple[str, ...] = ()
    affinities: dict[str, float] = {}
    seen_line_items: tuple[int, ...] | list[int] = ()
    seen_at_ms: tuple[int, ...] | list[int] = ()


UNKNOWN = Visitor()


def look_up(views: Sequence[PageView], store: ProfileStore) -> list[Visitor]:
    """One visitor for each page view; profiles are read only where consent covers remembering."""
    asked = [index for index, view in enumerate(views) if view.visitor_id and view.permissions & _REMEMBER]
    visitors = [UNKNOWN if not (view.segments or view.affinities) else _told(view) for view in views]
    if not asked:
        return visitors
    for index, profile in zip(asked, store.read([views[index].visitor_id for index in asked]), strict=True):
        if profile is not None:
            visitors[index] = _remembered(views[index], profile)
    return visitors


def _told(view: PageView) -> Visitor:
    """What the storefront itself says; the consent gate has already taken out what may not be used."""
    return Visitor(view.segments, dict(view.affinities))


def _remembered(view: PageView, profile: Profile) -> Visitor:
    if not view.permissions & _PERSONALISE:
        # Counting impressions against a cap is remembering, not personalising.
        return Visitor((), {}, profile.seen_line_items, profile.seen_at_ms)
    segments = view.segments or tuple(profile.segments)
    affinities = profile.affinities
    if view.affinities:
        affinities = {**affinities, **dict(view.affinities)}
    return Visitor(segments, affinities, profile.seen_line_items, profile.seen_at_ms)
