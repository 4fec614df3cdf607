"""What does the feed tell the event log? streams.schemas reads and writes them."""

from __future__ import annotations

import msgspec


class PostChanged(msgspec.Struct, frozen=True):
    """Topic `posts`: `state` is that of haat.feed.v1.Post.State."""

    changed_at_ms: int
    tenant_id: str
    post_id: str
    creator_id: str
    state: int
    revision: int


class FeedPageServed(msgspec.Struct, frozen=True):
    """Topic `feed_pages`: what was shown; the first four tuples are parallel.

    `features` has one row of equal length per post, or is empty; posts that explored places were drawn out of are in
    the `alternative_*` tuples, with rows of the same length.
    """

    served_at_ms: int
    tenant_id: str
    page_id: str
    session_id: str
    visitor_id: str
    post_ids: tuple[str, ...]
    scores: tuple[float, ...]
    sources: tuple[str, ...]
    propensities: tuple[float, ...]
    auction_id: str = ""
    features: tuple[float, ...] = ()
    features_version: str = ""
    ranker: str = ""
    alternative_places: tuple[int, ...] = ()
    alternative_ids: tuple[str, ...] = ()
    alternative_features: tuple[float, ...] = ()
    page_size: int = 0
    ad_slots: int = 0


class FeedActionTaken(msgspec.Struct, frozen=True):
    """Topic `feed_actions`: `kind` is that of haat.feed.v1.Action.Kind."""

    taken_at_ms: int
    tenant_id: str
    session_id: str
    visitor_id: str
    kind: int
    subject_id: str
    action_id: str
    detail: str = ""


class PersonErased(msgspec.Struct, frozen=True):
    """Topic `erasures`: see streams.erasures for the digest."""

    erased_at_ms: int
    tenant_id: str
    person_digest: bytes


class ShareClicked(msgspec.Struct, frozen=True):
    """Topic `share_clicks`: `tracking_id` is that of the one who shared the link."""

    clicked_at_ms: int
    tenant_id: str
    click_id: str
    share_id: str
    post_id: str
    tracking_id: str
    disclosure: str
