"""How is a page told to the event log? With all that it was decided by, so that training and evaluation are exact."""

from __future__ import annotations

from common.consent import Permission
from feed.page import Page, PageRecord
from feed.view import FeedQuery
from streams.feed_events import FeedPageServed


def served(query: FeedQuery, page: Page, *, auction_id: str = "", ad_slots: int = 0) -> FeedPageServed:
    """The event of one page that was decided; the visitor is named only where consent covers remembering."""
    picks, record = page.picks, page.record or PageRecord()
    beside = record.alternatives
    return FeedPageServed(
        served_at_ms=query.now_ms,
        tenant_id=query.tenant_id,
        page_id=page.page_id,
        session_id=query.session_id,
        visitor_id=query.visitor_id if Permission.REMEMBER in query.permissions else "",
        post_ids=tuple(pick.post_id for pick in picks),
        scores=tuple(pick.score for pick in picks),
        sources=tuple(pick.source for pick in picks),
        propensities=tuple(pick.propensity for pick in picks),
        auction_id=auction_id,
        features=record.features,
        features_version=record.features_version,
        ranker=page.ranker,
        alternative_places=tuple(one.place for one in beside),
        alternative_ids=tuple(one.post_id for one in beside),
        alternative_features=tuple(value for one in beside for value in one.features),
        page_size=query.page_size,
        ad_slots=ad_slots,
    )
