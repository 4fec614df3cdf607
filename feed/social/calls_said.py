"""What is asked and answered about comments and notifications? As in feed.social.calls."""

from __future__ import annotations

from feed.social.calls import Value
from feed.social.words import CommentState, NotificationKind


class Comment(Value, frozen=True):
    """A comment as the viewer may see it."""

    comment_id: str
    post_id: str
    parent_id: str = ""
    depth: int = 0
    author_id: str = ""
    text: str = ""
    state: CommentState = CommentState.CLEAN
    hidden: bool = False
    written_at_ms: int = 0
    edited_at_ms: int = 0
    revision: int = 1
    likes: int = 0
    replies: int = 0
    reasons: tuple[str, ...] = ()
    liked_by_viewer: bool = False


class AddCommentRequest(Value, frozen=True):
    """A comment of a post, or a reply to a comment."""

    idempotency_key: str = ""
    person_id: str = ""
    post_id: str = ""
    parent_id: str = ""
    text: str = ""


class EditCommentRequest(Value, frozen=True):
    """Another text for a comment, by its author."""

    person_id: str = ""
    comment_id: str = ""
    revision: int = 0
    text: str = ""


class DeleteCommentRequest(Value, frozen=True):
    """A comment goes, by its author."""

    person_id: str = ""
    comment_id: str = ""


class HideCommentRequest(Value, frozen=True):
    """A comment is hidden or shown again, by the creator of the post."""

    person_id: str = ""
    comment_id: str = ""
    hidden: bool = False


class LikeCommentRequest(Value, frozen=True):
    """A comment is liked, or no longer."""

    person_id: str = ""
    comment_id: str = ""
    liked: bool = False
    action_id: str = ""


class AllowCommentsRequest(Value, frozen=True):
    """Comments of a post are turned on or off, by its creator."""

    person_id: str = ""
    post_id: str = ""
    allowed: bool = False


class AllowCommentsResponse(Value, frozen=True):
    """May the post be commented?"""

    allowed: bool = True


class ListCommentsRequest(Value, frozen=True):
    """Comments of a post, or replies to one."""

    viewer_id: str = ""
    post_id: str = ""
    parent_id: str = ""
    page_size: int = 0
    cursor: str = ""


class CommentList(Value, frozen=True):
    """Comments, oldest first."""

    comments: tuple[Comment, ...] = ()
    next_cursor: str = ""
    allowed: bool = True


class Notification(Value, frozen=True):
    """Something that a person is told."""

    notification_id: str
    kind: NotificationKind
    subject_id: str
    text: str
    at_ms: int
    read: bool
    actor_count: int
    actor_ids: tuple[str, ...]


class ListNotificationsRequest(Value, frozen=True):
    """What a person is told."""

    person_id: str = ""
    page_size: int = 0
    cursor: str = ""


class NotificationList(Value, frozen=True):
    """Notifications, newest first."""

    notifications: tuple[Notification, ...] = ()
    unread: int = 0
    next_cursor: str = ""


class MarkReadRequest(Value, frozen=True):
    """All up to a moment are read; 0 is now."""

    person_id: str = ""
    until_ms: int = 0


class MarkReadResponse(Value, frozen=True):
    """How many had not been read."""

    marked: int = 0


class ChooseNotificationsRequest(Value, frozen=True):
    """Which kinds a person does not want to be told."""

    person_id: str = ""
    unwanted: tuple[NotificationKind, ...] = ()
