"""What is said of a post, by whom, and who may read it?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from common.clock import Clock
from common.errors import BackendUnavailable, Conflict, FieldError, InvalidInput, NotFound
from common.ids import new_id
from feed.actions import ActionKind
from feed.actor import action_key, person_key
from feed.ports import ReactionStore
from feed.post import Post
from feed.post_rules import is_id, shown
from feed.social import calls, calls_said
from feed.social.cards import may_see
from feed.social.comment_rules import MAX_DEPTH, as_seen, moderated, text_errors_of
from feed.social.notifications import Notifier
from feed.social.pages import cursor_of, place_of, size_of
from feed.social.ports import CommentStore, PostReader, SocialChecker
from feed.social.sights import Sight, Sights
from feed.social.signed_in import SignedIn
from feed.social.tagging import Tagging
from feed.social.texts import composed
from feed.social.words import Comment, CommentState, NotificationKind
from feed.verdict import Verdict

# Looked through for one page at most, when most of what is found may not be seen.
_MOST_LOOKED_THROUGH = 500


class Comments:
    """The use cases of comments; all of them block on the stores, and writing on moderation. `judged` hears what the
    checker said of a comment, after it was stored.
    """

    def __init__(
        self,
        *,
        store: CommentStore,
        posts: PostReader,
        reactions: ReactionStore,
        sights: Sights,
        signed_in: SignedIn,
        tagging: Tagging,
        notifier: Notifier,
        clock: Clock,
        checker: SocialChecker | None,
        judged: Callable[[Comment, Verdict], None] = lambda comment, verdict: None,
    ) -> None:
        self._store = store
        self._posts = posts
        self._reactions = reactions
        self._sights = sights
        self._signed_in = signed_in
        self._tagging = tagging
        self._notifier = notifier
        self._clock = clock
        self._checker = checker
        self._judged = judged

    def add(self, tenant_id: str, request: calls_said.AddCommentRequest) -> calls_said.Comment:
        """Write a comment; the same key and request give the one that they gave before.

        Until moderation has looked, and where it holds or removes the comment, its author alone sees it. NotFound
        without a post or comment that the author sees, Conflict when comments are off.
        """
        errors = text_errors_of(request.text)
        if not is_id(request.idempotency_key):
            remedy = "give 1 to 64 printable characters, fresh for each write"
            errors.append(FieldError("idempotency_key", shown(request.idempotency_key), remedy))
        if errors:
            raise InvalidInput(errors)
        author_id = self._signed_in.require(tenant_id, request.person_id).person_id
        digest = hashlib.blake2b(b"comment\0" + msgspec.json.encode(request), digest_size=16).hexdigest()
        if (known := self._store.written(tenant_id, request.idempotency_key, digest)) is not None:
            return self._seen(known, author_id)
        sight = self._sights.of(tenant_id, author_id)
        post = self._post(tenant_id, request.post_id, author_id, sight)
        parent = self._parent(tenant_id, request, author_id, sight, post)
        now_ms = self._clock.now_ms()
        text = composed(request.text)
        comment = Comment(
            tenant_id=tenant_id,
            comment_id=new_id(now_ms),
            post_id=post.post_id,
            parent_id=request.parent_id,
            depth=parent.depth + 1 if parent is not None else 0,
            author_id=author_id,
            text=text,
            state=CommentState.CHECKING,
            written_at_ms=now_ms,
        )
        verdict = self._verdict(comment)
        comment = moderated(comment, verdict)
        stored = self._store.add(comment, request.idempotency_key, digest)
        if stored.comment_id == comment.comment_id:
            self._tell(stored, post, parent)
            self._was_judged(stored, verdict)
        return self._seen(stored, author_id)

    def edit(self, tenant_id: str, request: calls_said.EditCommentRequest) -> calls_said.Comment:
        """Another text, which is looked at anew. Conflict when `revision` is not the newest."""
        if errors := text_errors_of(request.text):
            raise InvalidInput(errors)
        before = self._own(tenant_id, request.person_id, request.comment_id)
        if before.revision != request.revision:
            raise Conflict(f"revision {request.revision} is not the newest, that is {before.revision}: read it again")
        text = composed(request.text)
        edited = msgspec.structs.replace(before, text=text, edited_at_ms=self._clock.now_ms())
        verdict = self._verdict(edited)
        stored = self._store.change(moderated(edited, verdict), before.revision)
        self._was_judged(stored, verdict)
        if stored.counts:
            self._tagging.mention(tenant_id, stored.comment_id, stored.text, stored.author_id)
        return self._seen(stored, request.person_id)

    def delete(self, tenant_id: str, request: calls_said.DeleteCommentRequest) -> calls_said.Comment:
        """Text and author go; the place stays where there are replies."""
        before = self._own(tenant_id, request.person_id, request.comment_id)
        gone = msgspec.structs.replace(before, text="", author_id="", reasons=(), state=CommentState.DELETED)
        stored = self._store.change(gone, before.revision)
        self._tagging.forget(tenant_id, stored.comment_id)
        return self._seen(stored, request.person_id)

    def hide(self, tenant_id: str, request: calls_said.HideCommentRequest) -> calls_said.Comment:
        """The creator of the post hides a comment from all but its author, or shows it again."""
        person_id = self._signed_in.require(tenant_id, request.person_id).person_id
        comment = self._comment(tenant_id, request.comment_id)
        self._own_post(tenant_id, comment.post_id, person_id, "comment_id", request.comment_id)
        if comment.hidden != request.hidden:
            hidden = msgspec.structs.replace(comment, hidden=request.hidden)
            comment = self._store.change(hidden, comment.revision)
        return self._seen(comment, person_id, of_creator=True)

    def like(self, tenant_id: str, request: calls_said.LikeCommentRequest) -> calls_said.Comment:
        """A person likes a comment, or no longer does."""
        if not is_id(request.action_id):
            remedy = "give 1 to 64 printable characters, fresh for each action"
            raise InvalidInput([FieldError("action_id", shown(request.action_id), remedy)])
        person_id = self._signed_in.require(tenant_id, request.person_id).person_id
        sight = self._sights.of(tenant_id, person_id)
        comment = self._comment(tenant_id, request.comment_id)
        post = self._post(tenant_id, comment.post_id, person_id, sight)
        if as_seen(comment, person_id, sight, of_creator=post.creator_id == person_id) is None:
            raise _no_comment("comment_id", request.comment_id)
        actor = person_key(tenant_id, person_id)
        key = action_key(tenant_id, f"person {person_id}", request.action_id)
        moved = self._store.like(tenant_id, actor, comment.comment_id, key, self._clock.now_ms(), on=request.liked)
        if moved > 0:
            self._notifier.tell(
                tenant_id, comment.author_id, NotificationKind.COMMENT_LIKE, comment.comment_id, actor_id=person_id
            )
        return self._seen(self._comment(tenant_id, request.comment_id), person_id)

    def allow(self, tenant_id: str, request: calls_said.AllowCommentsRequest) -> calls_said.AllowCommentsResponse:
        """The creator turns the comments of a post on or off; those that are there stay."""
        person_id = self._signed_in.require(tenant_id, request.person_id).person_id
        self._own_post(tenant_id, request.post_id, person_id, "post_id", request.post_id)
        self._store.allow(tenant_id, request.post_id, allowed=request.allowed)
        return calls_said.AllowCommentsResponse(request.allowed)

    def list(self, tenant_id: str, request: calls_said.ListCommentsRequest) -> calls_said.CommentList:
        """Comments of a post or replies to one, oldest first, as the viewer may see them."""
        viewer_id = self._signed_in.viewer(tenant_id, request.viewer_id)
        sight = self._sights.of(tenant_id, viewer_id)
        post = self._post(tenant_id, request.post_id, viewer_id, sight)
        size, listed = size_of(request.page_size), f"comments {post.post_id} {request.parent_id}"
        _, after = place_of(listed, request.cursor, (0, ""))
        found: list[Comment] = []
        looked, more = 0, False
        of_creator = bool(viewer_id) and viewer_id == post.creator_id
        while portion := self._store.page(tenant_id, post.post_id, request.parent_id, after, size):
            for comment in portion:
                after = comment.comment_id
                if (seen := as_seen(comment, viewer_id, sight, of_creator=of_creator)) is not None:
                    found.append(seen)
                if len(found) == size:
                    break
            looked += len(portion)
            more = len(portion) == size or after != portion[-1].comment_id
            if not more or len(found) == size or looked >= _MOST_LOOKED_THROUGH:
                break
        liked = self._liked(tenant_id, viewer_id, found)
        tallies = self._posts.tallies(tenant_id, [post.post_id])
        return calls_said.CommentList(
            comments=tuple(
                calls.view(calls_said.Comment, one, liked_by_viewer=one.comment_id in liked) for one in found
            ),
            next_cursor=cursor_of(listed, 0, after) if more else "",
            allowed=not (post.post_id in tallies and tallies[post.post_id].comments_off),
        )

    def get(self, tenant_id: str, comment_id: str) -> Comment:
        """The comment in any state, as moderators see it; NotFound."""
        return self._comment(tenant_id, comment_id)

    def settle(self, tenant_id: str, comment_id: str, verdict: Verdict, expected_revision: int = 0) -> Comment:
        """What moderation says of a comment later: a person who looked, a checker that was away. Tells whom it had not
        reached yet. NotFound; Conflict when the comment changed meanwhile, or has another revision than expected.
        """
        before = self._comment(tenant_id, comment_id)
        if expected_revision not in (0, before.revision):
            raise Conflict(f"revision {expected_revision} is not the newest, that is {before.revision}: look again")
        settled = self._store.change(moderated(before, verdict), before.revision)
        post = self._posts.get(tenant_id, settled.post_id)
        if settled.counts and not before.counts and post is not None:
            parent = self._store.get(tenant_id, settled.parent_id) if settled.parent_id else None
            self._tell(settled, post, parent)
        return settled

    def check_waiting(self, limit: int = 100) -> int:
        """Have comments checked that were written while moderation was away; how many were. For a job beside."""
        if self._checker is None:
            return 0
        checked, after = 0, ""
        while checked < limit and (waiting := self._store.in_state(CommentState.CHECKING, after, limit)):
            after = waiting[-1].comment_id
            for comment in waiting:
                # One with reasons is held: a person is to look.
                if not comment.reasons and (verdict := self._verdict(comment)) is not None:
                    self._was_judged(self.settle(comment.tenant_id, comment.comment_id, verdict), verdict)
                    checked += 1
        return checked

    def _verdict(self, comment: Comment) -> Verdict | None:
        """None when nobody could look: the comment waits."""
        if self._checker is None:
            return None
        try:
            fields = {"text": comment.text}
            return self._checker.check_text(fields, tenant_id=comment.tenant_id, author_id=comment.author_id)
        except BackendUnavailable:
            return None

    def _was_judged(self, comment: Comment, verdict: Verdict | None) -> None:
        if verdict is not None:
            self._judged(comment, verdict)

    def _tell(self, comment: Comment, post: Post, parent: Comment | None) -> None:
        if not comment.counts:
            return
        tenant_id, author_id = comment.tenant_id, comment.author_id
        told = {author_id}
        if parent is not None and parent.author_id:
            told.add(parent.author_id)
            self._notifier.tell(
                tenant_id, parent.author_id, NotificationKind.REPLY, parent.comment_id, actor_id=author_id,
                said=comment.text,
            )  # fmt: skip
        if post.creator_id not in told:
            told.add(post.creator_id)
            self._notifier.tell(
                tenant_id, post.creator_id, NotificationKind.COMMENT, post.post_id, actor_id=author_id,
                said=comment.text,
            )  # fmt: skip
        self._tagging.mention(tenant_id, comment.comment_id, comment.text, author_id, told=frozenset(told))

    def _post(self, tenant_id: str, post_id: str, viewer_id: str, sight: Sight) -> Post:
        post = self._posts.get(tenant_id, post_id)
        if post is None or not may_see(post, viewer_id, sight):
            raise NotFound(f"post_id: there is no post {shown(post_id)}")
        return post

    def _own_post(self, tenant_id: str, post_id: str, person_id: str, field: str, named: str) -> Post:
        post = self._posts.get(tenant_id, post_id)
        if post is None or post.creator_id != person_id:
            raise NotFound(f"{field}: {shown(named)} is no post, or on no post, of this person")
        return post

    def _parent(
        self, tenant_id: str, request: calls_said.AddCommentRequest, author_id: str, sight: Sight, post: Post
    ) -> Comment | None:
        if not request.parent_id:
            return None
        parent = self._store.get(tenant_id, request.parent_id)
        of_creator = post.creator_id == author_id
        if (
            parent is None
            or parent.post_id != post.post_id
            or parent.state is CommentState.DELETED
            or as_seen(parent, author_id, sight, of_creator=of_creator) is None
        ):
            raise _no_comment("parent_id", request.parent_id)
        if parent.depth >= MAX_DEPTH:
            remedy = "reply to the comment above it: threads are at most three replies deep"
            raise InvalidInput([FieldError("parent_id", f"is {parent.depth} replies deep", remedy)])
        return parent

    def _comment(self, tenant_id: str, comment_id: str) -> Comment:
        comment = self._store.get(tenant_id, comment_id) if is_id(comment_id) else None
        if comment is None or comment.state is CommentState.DELETED:
            raise _no_comment("comment_id", comment_id)
        return comment

    def _own(self, tenant_id: str, person_id: str, comment_id: str) -> Comment:
        author_id = self._signed_in.require(tenant_id, person_id).person_id
        comment = self._comment(tenant_id, comment_id)
        if comment.author_id != author_id:
            raise _no_comment("comment_id", comment_id)
        return comment

    def _liked(self, tenant_id: str, viewer_id: str, comments: Sequence[Comment]) -> set[str]:
        if not viewer_id or not comments:
            return set()
        ids = [comment.comment_id for comment in comments]
        standing = self._reactions.standing(tenant_id, person_key(tenant_id, viewer_id), ids)
        return {subject_id for kind, subject_id in standing if kind is ActionKind.LIKE}

    def _seen(self, comment: Comment, viewer_id: str, *, of_creator: bool = False) -> calls_said.Comment:
        seen = as_seen(comment, viewer_id, Sight(), of_creator=of_creator) or comment
        liked = self._liked(comment.tenant_id, viewer_id, [comment])
        return calls.view(calls_said.Comment, seen, liked_by_viewer=comment.comment_id in liked)


def _no_comment(field: str, comment_id: str) -> NotFound:
    return NotFound(f"{field}: there is no comment {shown(comment_id)}")
