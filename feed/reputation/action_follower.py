"""What do reputations and moderators learn of what people do in the feed? Likes, saves and follows vouch for creators,
so do purchases that are kept, and what is reported there is a report like any other.

Only those of visitors who agreed to be remembered: the others' are in the log without a visitor, and vouch for nobody.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Mapping
from typing import Final

from common.consent import Permission
from common.errors import InvalidInput, NotFound
from feed.actions import ActionKind
from feed.index import FeedIndex
from feed.moderation.ports import Offsets
from feed.moderation.report_values import ReportReason
from feed.moderation.reports import ReportAsked, Reports, digest_of
from feed.moderation.subjects import Subject, SubjectKind
from feed.reputation.events import EventKind, ReputationEvent
from feed.reputation.ports import Edge
from feed.reputation.reputations import Reputations
from feed.reputation.sales import Sales
from feed.reputation.trust import EdgeKind
from feed.verdict import Label
from streams import schemas
from streams.feed_events import FeedActionTaken
from streams.ports import EventLog
from streams.topics import FEED_ACTIONS

STANDS_AFTER_MS: Final = 7 * 86_400_000
_LOOK_BACK_MS: Final = 2 * 86_400_000
_RECORDS_AT_ONCE: Final = 1_000
_REASONS: Final[Mapping[str, ReportReason]] = {
    Label.HATE: ReportReason.HATE,
    Label.OFFENSIVE: ReportReason.OFFENSIVE,
    Label.SPAM: ReportReason.SPAM,
    Label.SCAM_LINK: ReportReason.SCAM,
    Label.CLICKBAIT: ReportReason.CLICKBAIT,
    Label.COPIED_IMAGE: ReportReason.INFRINGEMENT,
}
_VOUCHES: Final = {
    ActionKind.LIKE: EdgeKind.LIKE,
    ActionKind.SAVE: EdgeKind.SAVE,
    ActionKind.FOLLOW: EdgeKind.FOLLOW,
}


class ActionFollower:
    """Follows the topic `feed_actions`; and says of posts that stood for a week that they did."""

    def __init__(
        self, *, index: FeedIndex, reputations: Reputations, sales: Sales, reports: Reports, offsets: Offsets
    ) -> None:
        self._index = index
        self._reports = reports
        self._reputations = reputations
        self._sales = sales
        self._offsets = offsets
        self._one_at_a_time = threading.Lock()

    def count_once(self, log: EventLog) -> int:
        """Take what is new, at most a thousand records; how many. Blocks: call it in a thread."""
        with self._one_at_a_time:
            offset = self._offsets.read_upto(FEED_ACTIONS.name)
            records = log.read(FEED_ACTIONS.name, offset, _RECORDS_AT_ONCE)
            edges = []
            for record in records:
                event = schemas.decode(FEED_ACTIONS.name, record)
                if not isinstance(event, FeedActionTaken):
                    continue
                if event.kind == ActionKind.REPORT:
                    self._report(event)
                elif event.kind == ActionKind.PURCHASE:
                    if creator_id := self._creator_of(event):
                        self._sales.bought(event, creator_id)
                elif event.kind == ActionKind.RETURN:
                    self._sales.came_back(event)
                elif (edge := self._edge(event)) is not None:
                    edges.append(edge)
            self._reputations.vouch(edges)
            if records:
                self._offsets.move(FEED_ACTIONS.name, offset, records[-1].offset + 1)
        return len(records)

    def posts_stood(self, now_ms: int) -> list[ReputationEvent]:
        """One event for each post that has stood for a week since yesterday or so; to be recorded, again if need be.

        No I/O: it reads the index, so call it where that is touched.
        """
        events = []
        for tenant_id in self._index.tenants():
            shelf = self._index.shelf(tenant_id)
            for row in shelf.newest(len(shelf)):
                published_at_ms = int(shelf.published_at_ms[row])
                age_ms = now_ms - published_at_ms
                if age_ms > STANDS_AFTER_MS + _LOOK_BACK_MS:
                    # Newest first: the rest is older.
                    break
                if age_ms >= STANDS_AFTER_MS:
                    post = shelf.posts[row]
                    events.append(
                        ReputationEvent(
                            tenant_id,
                            f"stood:{post.post_id}",
                            post.creator_id,
                            EventKind.POST_STOOD,
                            published_at_ms + STANDS_AFTER_MS,
                            post.post_id,
                        )
                    )
        return events

    def _report(self, event: FeedActionTaken) -> None:
        asked = ReportAsked(
            tenant_id=event.tenant_id,
            subject=Subject(SubjectKind.POST, event.subject_id),
            reason=_REASONS.get(event.detail, ReportReason.OTHER),
            session_id=event.session_id,
            # The log names visitors only who agreed to be remembered.
            permissions=Permission.REMEMBER if event.visitor_id else Permission.NONE,
            visitor_id=event.visitor_id,
        )
        # What is gone meanwhile, or said too often, needs no report any more.
        with contextlib.suppress(NotFound, InvalidInput):
            self._reports.report(asked)

    def _creator_of(self, event: FeedActionTaken) -> str:
        shelf = self._index.shelf(event.tenant_id)
        row = shelf.row_of.get(event.subject_id)
        return "" if row is None else shelf.posts[row].creator_id

    def _edge(self, event: FeedActionTaken) -> Edge | None:
        kind = _VOUCHES.get(ActionKind(event.kind)) if event.kind in list(ActionKind) else None
        if kind is None or not event.visitor_id:
            return None
        creator_id = event.subject_id if kind is EdgeKind.FOLLOW else self._creator_of(event)
        # Nobody vouches for themselves.
        if creator_id in ("", event.visitor_id):
            return None
        visitor = digest_of(event.tenant_id, "visitor", event.visitor_id)
        # A visitor's like of a post counts once, in whichever session.
        named = f"{visitor}\0{int(kind)}\0{event.subject_id}".encode()
        edge_id = hashlib.blake2b(named, digest_size=16).hexdigest()
        return Edge(event.tenant_id, edge_id, visitor, creator_id, kind, event.taken_at_ms)
