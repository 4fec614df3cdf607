"""What may stand in a comment, what does a verdict make of it, and who sees what of it?"""

from __future__ import annotations

from typing import Final

import msgspec

from common.errors import FieldError
from feed.social.sights import Sight
from feed.social.texts import text_errors
from feed.social.words import Comment, CommentState
from feed.verdict import Label, Outcome, Verdict

MAX_TEXT_CHARS: Final = 1_000
# A comment of the post is 0 deep, the deepest reply 3.
MAX_DEPTH: Final = 3

_STATE_OF: Final = {
    Outcome.CLEAN: CommentState.CLEAN,
    Outcome.LIMITED: CommentState.LIMITED,
    Outcome.HELD: CommentState.CHECKING,
    Outcome.REMOVED: CommentState.REMOVED,
}
_SENTENCES: Final = {
    Label.HATE: "It attacks people for who they are.",
    Label.OFFENSIVE: "It is worded to hurt somebody.",
    Label.SPAM: "It reads as advertising that nobody asked for.",
    Label.SCAM_LINK: "It links to a page that is known for fraud, or that pretends to be another.",
    Label.CLICKBAIT: "It promises what it does not hold.",
    Label.BANNED_IMAGE: "It shows a picture that may not be shown.",
    Label.COPIED_IMAGE: "It shows somebody else's picture.",
    Label.VELOCITY: "Too much came too fast from an account that is still new.",
    Label.REPORTED: "Somebody reported it.",
}
_WAITING = "A person will look at it."


def text_errors_of(text: str) -> list[FieldError]:
    """Why this text cannot be a comment."""
    return text_errors("text", text, MAX_TEXT_CHARS, least_chars=1, lines=True)


def moderated(comment: Comment, verdict: Verdict | None) -> Comment:
    """The comment as moderation leaves it; without a verdict it waits for one, without reasons."""
    if verdict is None:
        return msgspec.structs.replace(comment, state=CommentState.CHECKING, reasons=())
    return msgspec.structs.replace(comment, state=_STATE_OF[verdict.outcome], reasons=reasons_of(verdict))


def reasons_of(verdict: Verdict) -> tuple[str, ...]:
    """Why it is not clean, in sentences for who wrote it."""
    if verdict.outcome is Outcome.CLEAN:
        return ()
    reasons = list(dict.fromkeys(_SENTENCES[finding.label] for finding in verdict.findings))
    if verdict.outcome is Outcome.HELD or not reasons:
        reasons.append(_WAITING)
    return tuple(reasons)


def as_seen(comment: Comment, viewer_id: str, sight: Sight, *, of_creator: bool) -> Comment | None:
    """What this viewer sees of a comment, None when nothing; `of_creator` when the viewer made the post.

    Authors see their own in every state, with the reasons; what is deleted is seen, as a place without words, where
    it has replies. People and words that are blocked or muted are not seen, nor is what is hidden or not clean.
    """
    if comment.state is CommentState.DELETED:
        return comment if comment.replies > 0 else None
    if viewer_id and viewer_id == comment.author_id:
        return comment
    if not sight.sees(comment.author_id, comment.text):
        return None
    if not (comment.counts or (of_creator and msgspec.structs.replace(comment, hidden=False).counts)):
        return None
    return msgspec.structs.replace(comment, reasons=())
