"""How are posts moderated? Moderated over the use cases of posts, which know states and no cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from common.errors import NotFound
from feed.moderation.case_intake import MAX_EXCERPT_CHARS
from feed.moderation.case_values import Stood
from feed.moderation.subjects import Subject, SubjectFacts
from feed.post import PostMedia, PostState
from feed.post_states import state_of
from feed.verdict import Outcome, Verdict

_GONE: Final = frozenset({PostState.WITHDRAWN, PostState.DRAFT})
_OUTCOME_OF: Final = {
    PostState.CLEAN: Outcome.CLEAN,
    PostState.LIMITED: Outcome.LIMITED,
    PostState.CHECKING: Outcome.HELD,
    PostState.REMOVED: Outcome.REMOVED,
}


class JudgedPost(Protocol):
    """What moderation reads of a post."""

    @property
    def creator_id(self) -> str:
        """Its author."""

    @property
    def caption(self) -> str:
        """Its text."""

    @property
    def state(self) -> PostState:
        """What holds for it."""

    @property
    def revision(self) -> int:
        """Grows with each change."""

    @property
    def verdict(self) -> Verdict | None:
        """Why it is in its state; None before it was checked."""

    @property
    def decided_by(self) -> str:
        """Who said so: "checker", or a person."""

    @property
    def media(self) -> Sequence[PostMedia]:
        """Its photos and videos."""

    @property
    def appeal(self) -> str:
        """What its author said against it."""


class JudgedPosts(Protocol):
    """The use cases of posts that moderation needs; all of them block."""

    def get(self, tenant_id: str, post_id: str, /) -> JudgedPost:
        """The tenant's post; NotFound."""

    def decide(
        self,
        tenant_id: str,
        post_id: str,
        outcome: Outcome,
        verdict: Verdict,
        actor: str,
        expected_revision: int,
        /,
    ) -> JudgedPost:
        """A moderator's word; Conflict when the post has another revision, NotFound."""

    def take_back(
        self,
        tenant_id: str,
        post_id: str,
        state: PostState,
        verdict: Verdict | None,
        decided_by: str,
        actor: str,
        expected_revision: int,
        /,
    ) -> JudgedPost:
        """A moderator's word is taken back by `actor`, once: what was before is so again. Errors as `decide`."""


class PostKeeper:
    """Moderated for posts."""

    def __init__(self, posts: JudgedPosts) -> None:
        self._posts = posts

    def facts(self, tenant_id: str, subject: Subject) -> SubjectFacts | None:
        """What the post is now; drafts and withdrawn posts are nobody's business."""
        try:
            post = self._posts.get(tenant_id, subject.id)
        except NotFound:
            return None
        return facts_of(post)

    def decide(
        self, tenant_id: str, subject: Subject, outcome: Outcome, verdict: Verdict, actor: str, expected_revision: int
    ) -> int:
        """Let it hold; the post's revision afterwards."""
        return self._posts.decide(tenant_id, subject.id, outcome, verdict, actor, expected_revision).revision

    def restore(
        self, tenant_id: str, subject: Subject, stood: Stood, verdict: Verdict, actor: str, expected_revision: int
    ) -> int:
        """Let it hold again, an appeal that waited for a decision too; the post's revision afterwards."""
        state = PostState.APPEALED if stood.appealed else state_of(stood.outcome)
        return self._posts.take_back(
            tenant_id, subject.id, state, stood.verdict, stood.decided_by, actor, expected_revision
        ).revision


def facts_of(post: JudgedPost) -> SubjectFacts | None:
    """What moderation knows of a post; None of one that is nobody's business. An appeal changes nothing by itself."""
    if post.state in _GONE:
        return None
    appealed = post.verdict.outcome if post.verdict is not None else Outcome.HELD
    return SubjectFacts(
        post.creator_id,
        post.revision,
        _OUTCOME_OF.get(post.state, appealed),
        post.caption[:MAX_EXCERPT_CHARS],
        post.decided_by,
        tuple(medium.media_id for medium in post.media if medium.media_id),
        post.verdict,
        post.state is PostState.APPEALED,
    )
