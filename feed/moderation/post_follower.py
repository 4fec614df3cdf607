"""How does moderation learn what became of posts? It follows the topic `posts` and looks each of them up.

So a post is written without waiting for its case, and no case is missed: what was not read before a crash is read after
it, and read twice it changes nothing.
"""

from __future__ import annotations

import threading
from typing import Final

from common.errors import Conflict, NotFound
from feed.moderation.case_intake import CaseIntake
from feed.moderation.case_rules import CHECKER
from feed.moderation.ports import Offsets
from feed.moderation.post_keeper import JudgedPosts, facts_of
from feed.moderation.subjects import Subject, SubjectKind
from feed.post import PostState
from streams import schemas
from streams.feed_events import PostChanged
from streams.ports import EventLog
from streams.topics import POSTS

_RECORDS_AT_ONCE: Final = 200


class PostFollower:
    """Makes cases of posts that the checker judged, takes their authors' appeals, closes cases of what is gone."""

    def __init__(self, *, posts: JudgedPosts, intake: CaseIntake, offsets: Offsets) -> None:
        self._posts = posts
        self._intake = intake
        self._offsets = offsets
        self._one_at_a_time = threading.Lock()

    def count_once(self, log: EventLog) -> int:
        """Take what is new, at most some hundred records; how many. Blocks: call it in a thread."""
        with self._one_at_a_time:
            offset = self._offsets.read_upto(POSTS.name)
            records = log.read(POSTS.name, offset, _RECORDS_AT_ONCE)
            for record in records:
                event = schemas.decode(POSTS.name, record)
                if isinstance(event, PostChanged):
                    self.changed(event.tenant_id, event.post_id)
            if records:
                self._offsets.move(POSTS.name, offset, records[-1].offset + 1)
        return len(records)

    def take_now(self, tenant_id: str, post_id: str) -> None:
        """Take a post at once, as its author is about to be told; its event, which comes later, changes nothing."""
        with self._one_at_a_time:
            self.changed(tenant_id, post_id)

    def changed(self, tenant_id: str, post_id: str) -> None:
        """Take what the post is by now, which may be newer than the event."""
        subject = Subject(SubjectKind.POST, post_id)
        try:
            post = self._posts.get(tenant_id, post_id)
        except NotFound:
            self._intake.gone(tenant_id, subject)
            return
        facts = facts_of(post)
        if facts is None:
            self._intake.gone(tenant_id, subject)
        elif post.state is PostState.APPEALED:
            try:
                self._intake.appealed(tenant_id, subject, post.appeal, post.revision)
            except Conflict:
                # Appealed too late, or nothing was decided against it: there is nothing to look at.
                return
        elif post.verdict is not None and (post.decided_by in ("", CHECKER) or post.state is PostState.CHECKING):
            # What waits after an edit does so for the checker's word, whoever had limited it before. Every node follows
            # every post: whoever comes second finds the case.
            self._intake.checked(tenant_id, subject, facts, post.verdict, once=True)
