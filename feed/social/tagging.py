"""Who is mentioned in a text, and who of them is told?"""

from __future__ import annotations

from feed.post import Post
from feed.post_rules import normalised_hashtags
from feed.social import handles
from feed.social.mentions import tokens_of
from feed.social.notifications import Notifier
from feed.social.ports import PeopleStore, TagStore
from feed.social.sights import Sights
from feed.social.words import NotificationKind


class Tagging:
    """Keeps the hashtags of posts and who is mentioned where; blocks on the stores."""

    def __init__(self, *, store: TagStore, people: PeopleStore, sights: Sights, notifier: Notifier) -> None:
        self._store = store
        self._people = people
        self._sights = sights
        self._notifier = notifier

    def tag(self, post: Post) -> None:
        """A post that everybody may see: its hashtags, those of its caption among them, and who it mentions."""
        tokens = tokens_of(post.caption)
        tags = dict.fromkeys((*normalised_hashtags(post.hashtags), *tokens.hashtags))
        self._store.tag(post.tenant_id, post.post_id, list(tags))
        if tokens.mentions or post.revision > 1:
            self.mention(post.tenant_id, post.post_id, post.caption, post.creator_id)

    def mention(
        self, tenant_id: str, source_id: str, text: str, author_id: str, *, told: frozenset[str] = frozenset()
    ) -> list[str]:
        """Note who a text mentions, and tell those who were not mentioned in it before and not `told` otherwise.

        Whom the author blocked, or who blocked the author, is not mentioned.
        """
        names = tokens_of(text).mentions
        skeletons = {handles.skeleton(name): name for name in names}
        found = self._people.looking_like(tenant_id, list(skeletons)) if names else {}
        blocked = self._sights.of(tenant_id, author_id).blocked
        # A handle that only looks like somebody's is not that one's.
        mentioned = [
            person.person_id
            for looks, person in found.items()
            if person.handle == skeletons[looks] and person.person_id not in blocked
        ]
        fresh = self._store.mention(tenant_id, source_id, mentioned)
        for person_id in fresh:
            if person_id not in told:
                self._notifier.tell(
                    tenant_id, person_id, NotificationKind.MENTION, source_id, actor_id=author_id, said=text
                )
        return fresh

    def forget(self, tenant_id: str, source_id: str) -> None:
        """A post or comment is gone: it stands under no hashtag and mentions nobody."""
        self._store.tag(tenant_id, source_id, [])
        self._store.mention(tenant_id, source_id, [])
