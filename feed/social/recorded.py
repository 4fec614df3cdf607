"""What lasts of what people do in the feed? SocialRecord over the graph and the notifications."""

from __future__ import annotations

from feed.actions import ActionKind
from feed.ports import Relation
from feed.post import Post
from feed.social.graph import Graph
from feed.social.notifications import Notifier
from feed.social.sights import Sights
from feed.social.words import NotificationKind


class RecordedActions:
    """SocialRecord, and Relations; called only for people who agreed to be remembered."""

    def __init__(self, *, graph: Graph, sights: Sights, notifier: Notifier) -> None:
        self._graph = graph
        self._sights = sights
        self._notifier = notifier

    def relate(
        self, tenant_id: str, person_id: str, kind: ActionKind, creator_id: str, key: bytes, now_ms: int
    ) -> None:
        """Keep whom a person follows, blocks or mutes."""
        self._graph.act(tenant_id, person_id, kind, creator_id, key)

    def liked(self, tenant_id: str, person_id: str, creator_id: str, post_id: str, now_ms: int) -> None:
        """Tell the creator of a like."""
        self._notifier.tell(tenant_id, creator_id, NotificationKind.LIKE, post_id, actor_id=person_id)

    def not_published(self, post: Post, why: str) -> None:
        """Tell a creator that the time of a draft came, and why it is a draft still."""
        self._notifier.not_published(post, why)

    def blocked(self, tenant_id: str, viewer_id: str, creator_id: str) -> bool:
        """Did one of the two block the other?"""
        return creator_id in self._sights.of(tenant_id, viewer_id).blocked

    def chosen(self, tenant_id: str, person_id: str) -> None:
        """What the person hid, reported and bought is read anew."""
        self._sights.changed(tenant_id, person_id)

    def of(self, tenant_id: str, person_id: str) -> Relation:
        """As Relations: whom the person follows, and who and what is not to be seen."""
        return self._sights.relations(tenant_id, person_id)

    def known(self, tenant_id: str, person_id: str) -> Relation | None:
        """As Relations: the same out of memory."""
        return self._sights.known_relations(tenant_id, person_id)
