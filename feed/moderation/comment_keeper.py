"""How are comments moderated? Moderated over the use cases of comments, which know states and no cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from feed.moderation.case_intake import MAX_EXCERPT_CHARS, CaseIntake
from feed.moderation.settled_keeper import SettledKeeper, tell_intake
from feed.moderation.subjects import SubjectFacts, SubjectKind
from feed.social.words import Comment, CommentState
from feed.verdict import Outcome, Verdict

_OUTCOME_OF: Final = {
    CommentState.CLEAN: Outcome.CLEAN,
    CommentState.LIMITED: Outcome.LIMITED,
    CommentState.CHECKING: Outcome.HELD,
    CommentState.REMOVED: Outcome.REMOVED,
}


class JudgedComments(Protocol):
    """The use cases of comments that moderation needs; both block."""

    def get(self, tenant_id: str, comment_id: str, /) -> Comment:
        """The comment in any state; NotFound."""

    def settle(self, tenant_id: str, comment_id: str, verdict: Verdict, expected_revision: int, /) -> Comment:
        """A moderator's word; Conflict when the comment has another revision, NotFound."""


class CommentKeeper(SettledKeeper[Comment]):
    """Moderated for comments, which do not keep who decided."""

    def __init__(self, comments: JudgedComments) -> None:
        super().__init__(comments.get, lambda *asked: comments.settle(*asked[:4]).revision, facts_of)


def facts_of(comment: Comment) -> SubjectFacts | None:
    """What moderation knows of a comment; None of one that is nobody's business any more."""
    outcome = _OUTCOME_OF.get(comment.state)
    if outcome is None:
        return None
    return SubjectFacts(comment.author_id, comment.revision, outcome, comment.text[:MAX_EXCERPT_CHARS])


def judged_comment(intake: Callable[[], CaseIntake]) -> Callable[[Comment, Verdict], None]:
    """Makes a case of what the checker held or limited, and closes one that it clears. `intake` is asked each time."""

    def judged(comment: Comment, verdict: Verdict) -> None:
        kind = SubjectKind.COMMENT
        tell_intake(intake(), comment.tenant_id, kind, comment.comment_id, facts_of(comment), verdict)

    return judged
