"""What follows from a post's change: it is found or no longer, stands under its hashtags, and its creator is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from feed.post import PostState
from feed.social.notifications import Notifier
from feed.social.ports import PostReader, Search, Statements
from feed.social.search import document_of_post, document_of_product
from feed.social.tagging import Tagging
from feed.social.words import Document, SearchKind
from streams import schemas
from streams.feed_events import PostChanged
from streams.ports import EventLog
from streams.product import Product
from streams.topics import POSTS

_AT_ONCE = 200


class PostFollower:
    """Reads the topic `posts`, each change at least once; a change that is read twice changes nothing twice."""

    def __init__(
        self,
        *,
        log: EventLog,
        posts: PostReader,
        search: Search,
        tagging: Tagging,
        notifier: Notifier,
        read_upto: Callable[[], int],
        move: Callable[[int, int], object],
        statements: Statements | None = None,
    ) -> None:
        self._log = log
        self._posts = posts
        self._search = search
        self._tagging = tagging
        self._notifier = notifier
        self._read_upto = read_upto
        self._move = move
        self._statements = statements
        # What the store knows to be read is asked for only where there is something new.
        self._followed: int | None = None

    def catch_up(self) -> int:
        """Follow what was told since; how many changes there were. For a job beside; blocks on the stores."""
        followed = 0
        if self._log.end(POSTS.name) == self._followed:
            return 0
        offset = self._read_upto()
        while records := self._log.read(POSTS.name, offset, _AT_ONCE):
            # Only the newest state counts: a post that changed five times is looked at once.
            changed = {}
            for record in records:
                event = schemas.decode(POSTS.name, record)
                if isinstance(event, PostChanged):
                    changed[event.tenant_id, event.post_id] = event
            found = [self._follow(tenant_id, post_id) for tenant_id, post_id in changed]
            # One write for all of them.
            self._search.put([document for document in found if document is not None])
            self._move(offset, records[-1].offset + 1)
            offset = records[-1].offset + 1
            followed += len(records)
        self._followed = offset
        return followed

    def _follow(self, tenant_id: str, post_id: str) -> Document | None:
        """What follows from a post's newest state; what it is found by, where everybody may find it."""
        post = self._posts.get(tenant_id, post_id)
        if post is None or post.state is not PostState.CLEAN:
            self._search.forget(tenant_id, SearchKind.POST, [post_id])
        if post is None:
            return None
        if post.state is PostState.CLEAN:
            self._tagging.tag(post)
        elif post.state in (PostState.WITHDRAWN, PostState.REMOVED):
            self._tagging.forget(tenant_id, post_id)
        self._notifier.tell_fate(post, self._statements)
        return document_of_post(post) if post.state is PostState.CLEAN else None


def follow_products(search: Search, changed: Sequence[Product]) -> None:
    """Products that were put are found by their new words."""
    search.put([document_of_product(product) for product in changed])
