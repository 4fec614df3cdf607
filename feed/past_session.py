"""What did a visitor's last session do? Read back from the event log, to explain a page without the server's memory."""

from __future__ import annotations

from typing import NamedTuple

from feed.actions import Action, ActionKind
from feed.index import FeedIndex, Kind
from feed.log_reader import events
from feed.sessions import SESSION_TTL_MS, Session
from streams.feed_events import FeedActionTaken, FeedPageServed
from streams.ports import EventLog
from streams.topics import FEED_ACTIONS, FEED_PAGES


class PastSession(NamedTuple):
    """A session that may still live; its id is "" when there is none."""

    session_id: str
    session: Session
    pages: int
    actions: int


def last_session(index: FeedIndex, log: EventLog, tenant_id: str, visitor_id: str, now_ms: int) -> PastSession:
    """The session of the visitor's latest page or action, within the time that a session lives."""
    since_ms = now_ms - 2 * SESSION_TTL_MS
    pages = [
        event
        for event in events(log, FEED_PAGES.name, since_ms)
        if isinstance(event, FeedPageServed) and (event.tenant_id, event.visitor_id) == (tenant_id, visitor_id)
    ]
    actions = [
        event
        for event in events(log, FEED_ACTIONS.name, since_ms)
        if isinstance(event, FeedActionTaken) and (event.tenant_id, event.visitor_id) == (tenant_id, visitor_id)
    ]
    latest = max(
        [(page.served_at_ms, page.session_id) for page in pages]
        + [(action.taken_at_ms, action.session_id) for action in actions],
        default=(0, ""),
    )
    session = Session(now_ms)
    if now_ms - latest[0] > SESSION_TTL_MS:
        return PastSession("", session, 0, 0)
    pages = [page for page in pages if page.session_id == latest[1]]
    actions = [action for action in actions if action.session_id == latest[1]]
    for page in pages:
        session.served.update(dict.fromkeys(page.post_ids))
    shelf = index.shelf(tenant_id)
    for event in actions:
        kind = ActionKind(event.kind) if event.kind in ActionKind._value2member_map_ else None
        row = shelf.row_of.get(event.subject_id)
        if kind is None or (row is None and kind is not ActionKind.FOLLOW):
            continue
        terms = shelf.terms(row) if row is not None else [(Kind.CREATOR, event.subject_id)]
        session.take(Action(kind, event.subject_id, event.action_id), terms, learn=True)
    return PastSession(latest[1], session, len(pages), len(actions))
