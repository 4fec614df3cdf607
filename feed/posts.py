"""How is a post made, read, changed and withdrawn? Every use case of posts; all of them block on the store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from common.clock import Clock
from common.errors import Conflict, FieldError, InvalidInput, NotFound
from common.ids import new_id
from feed import post_rules, post_text
from feed.media.ports import NoMedia, PostedMedia
from feed.ports import PostChecker, PostRevision, PostStore, ProductLookup
from feed.post import Post, PostDraft, PostState
from feed.post_checks import PostChecks, sentence
from feed.post_contents import PostContents
from feed.post_pages import page_size, place_of
from feed.post_rules import ANY_HOST, shown
from feed.post_states import CHECKER, Actor, Reach, StateStep, check_step, reach_of, state_of
from feed.verdict import Outcome, Verdict

MAX_APPEAL_CHARS: Final = 1_000
# Somebody may write between a read and a write; whoever named no revision is served at the next try.
_TRIES: Final = 5
# Above every number of a revision: the largest of 32 bits.
_NEWEST: Final = (1 << 31) - 1
TAKEN_BACK: Final = "the decision before was taken back"


class ErasedCreator(msgspec.Struct, frozen=True):
    """How much was deleted of each; all 0 where there was nothing, or no longer."""

    posts: int
    revisions: int
    history: int
    media: int
    files: int


class Posts:
    """The use cases of posts. `tell` hears of each post that changed, in the thread that changed it; `not_published` of
    each draft whose time came in vain, and why. `blocked(tenant, viewer, creator)`: did either block the other?
    """

    def __init__(
        self,
        *,
        store: PostStore,
        clock: Clock,
        products: ProductLookup,
        checker: PostChecker,
        media: PostedMedia | None = None,
        picture_hosts: Collection[str] = (ANY_HOST,),
        tell: Callable[[Post], None] = lambda post: None,
        not_published: Callable[[Post, str], object] = lambda post, why: None,
        blocked: Callable[[str, str, str], bool] = lambda tenant_id, viewer_id, creator_id: False,
    ) -> None:
        media = media or NoMedia()
        self._store = store
        self._clock = clock
        self._media = media
        self._contents = PostContents(products, media, frozenset(picture_hosts))
        self._checks = PostChecks(checker, media)
        self._tell = tell
        self._not_published = not_published
        self._blocked = blocked

    def create(self, tenant_id: str, key: str, draft: PostDraft) -> Post:
        """Publish a post, or keep it as a draft; the same key and draft give the post that they gave before.

        InvalidInput names every field that cannot be taken; Conflict when the key was used for another request.
        """
        digest = _digest(b"create", msgspec.json.encode(draft))
        if _is_key(key) and (known := self._store.written(tenant_id, key, digest)) is not None:
            return known
        now_ms = self._clock.now_ms()
        errors = [*_key_errors(key), *self._contents.errors(tenant_id, draft, now_ms)]
        if errors:
            raise InvalidInput(errors)
        kept = draft.draft or draft.publish_at_ms > 0
        post = Post(
            tenant_id=tenant_id,
            post_id=new_id(now_ms),
            creator_id=draft.creator_id,
            published_at_ms=now_ms if kept else draft.published_at_ms or now_ms,
            publish_at_ms=draft.publish_at_ms,
            state=PostState.DRAFT if kept else PostState.CHECKING,
            **self._contents.of(tenant_id, draft),
        )
        steps = [_step(None, post, Actor.CREATOR, now_ms)]
        if not kept:
            post, checked = self._checks.check(post, None, now_ms)
            steps += checked
        made = self._store.create(post, key, digest, now_ms, steps)
        self._tell(made)
        return made

    def edit(self, tenant_id: str, key: str, post_id: str, draft: PostDraft, expected_revision: int) -> Post:
        """Replace what stands in a post by `draft`; a published one is checked again before others see it.

        Conflict when the post is no longer at the revision that its creator saw, and where its state allows no edit;
        NotFound when it is another creator's.
        """
        digest = _digest(b"edit", post_id.encode(), b"%d" % expected_revision, msgspec.json.encode(draft))
        if _is_key(key) and (known := self._store.written(tenant_id, key, digest)) is not None:
            return known
        now_ms = self._clock.now_ms()
        before = self._own(tenant_id, post_id, draft.creator_id)
        after = PostState.DRAFT if before.state is PostState.DRAFT else PostState.CHECKING
        check_step(before.state, after, Actor.CREATOR)
        if draft.published_at_ms == before.published_at_ms:
            draft = replace(draft, published_at_ms=0)
        errors = [*_key_errors(key), *self._contents.errors(tenant_id, draft, now_ms, before)]
        if errors:
            raise InvalidInput(errors)
        _check_revision(before, expected_revision)
        post = replace(
            before, state=after, revision=before.revision + 1, publish_at_ms=draft.publish_at_ms, appeal="",
            **self._contents.of(tenant_id, draft),
        )  # fmt: skip
        steps = [_step(before.state, post, Actor.CREATOR, now_ms, "edited")]
        if after is PostState.CHECKING:
            post, checked = self._checks.check(post, before, now_ms)
            steps += checked
        return self._changed(post, key, digest, now_ms, steps)

    def publish(self, tenant_id: str, key: str, post_id: str, creator_id: str, expected_revision: int) -> Post:
        """Publish a draft now; errors as `edit`, InvalidInput also where a tagged product is gone meanwhile."""
        digest = _digest(b"publish", post_id.encode(), b"%d" % expected_revision)
        if _is_key(key) and (known := self._store.written(tenant_id, key, digest)) is not None:
            return known
        if errors := _key_errors(key):
            raise InvalidInput(errors)
        before = self._own(tenant_id, post_id, creator_id)
        check_step(before.state, PostState.CHECKING, Actor.CREATOR)
        if before.state is not PostState.DRAFT:
            raise Conflict(f"a post that is {before.state.name.lower()} is published already: edit it instead")
        _check_revision(before, expected_revision)
        if errors := self._contents.unknown_products(before.tenant_id, before.product_tags):
            raise InvalidInput(errors)
        now_ms = self._clock.now_ms()
        post, steps = self._published(before, Actor.CREATOR, now_ms)
        return self._changed(post, key, digest, now_ms, steps)

    def publish_due(self, limit: int = 100) -> int:
        """Publish the drafts whose time has come; how many there were. One that cannot be published stays a draft,
        and its history says why.
        """
        now_ms = self._clock.now_ms()
        due = self._store.due(now_ms, limit)
        for before in due:
            errors = self._contents.unknown_products(before.tenant_id, before.product_tags)
            if errors:
                post = replace(before, publish_at_ms=0, revision=before.revision + 1)
                steps = [_step(before.state, post, Actor.CLOCK, now_ms, f"not published: {errors[0]}"[:300])]
            else:
                post, steps = self._published(before, Actor.CLOCK, now_ms)
            # Who edits it in this moment has said something newer; the next round looks again.
            if (made := self._store.change(post, "", "", now_ms, steps)) is not None:
                self._tell(made)
                if errors:
                    self._not_published(made, f"It was not published when its time came: {errors[0]}.")
        return len(due)

    def check_missed(self, limit: int = 100) -> int:
        """Check what was published and got no verdict, because the check failed; how many have one now."""
        now_ms = self._clock.now_ms()
        checked = 0
        for before in self._store.unchecked(limit):
            post, steps = self._checks.check(replace(before, revision=before.revision + 1), before, now_ms)
            if post.verdict is None:
                continue
            if (made := self._store.change(post, "", "", now_ms, steps)) is not None:
                checked += 1
                self._tell(made)
        return checked

    def check_again(self, tenant_id: str, post_id: str) -> Post | None:
        """Check what the checker holds once more, since more is known by now; None when nothing came of it."""
        before = self._store.get(tenant_id, post_id)
        if before is None or before.state is not PostState.CHECKING or before.decided_by != CHECKER:
            return None
        now_ms = self._clock.now_ms()
        post, steps = self._checks.check(replace(before, revision=before.revision + 1), before, now_ms, again=True)
        if post.verdict is None or post.state is before.state:
            return None
        if (made := self._store.change(post, "", "", now_ms, steps)) is not None:
            self._tell(made)
        return made

    def get(self, tenant_id: str, post_id: str) -> Post:
        """The tenant's post in any state; NotFound when there is none, or it is another tenant's."""
        post = self._store.get(tenant_id, post_id)
        if post is None:
            raise _not_found(post_id)
        return post

    def seen_by(self, tenant_id: str, post_id: str, viewer_id: str) -> Post:
        """The post as `viewer_id` (a person, "" is anybody) may see it; NotFound when that is not at all."""
        post = self.get(tenant_id, post_id)
        if post.creator_id == viewer_id:
            return post
        if reach_of(post) is Reach.AUTHOR or (viewer_id and self._blocked(tenant_id, viewer_id, post.creator_id)):
            raise _not_found(post_id)
        return post

    def by_creator(self, tenant_id: str, creator_id: str, viewer_id: str, cursor: str, limit: int) -> list[Post]:
        """Posts of a creator that the viewer may see, newest publication first; `cursor` is `cursor_after` the last."""
        if not post_rules.is_id(creator_id):
            raise InvalidInput([FieldError("creator_id", shown(creator_id), "give the creator whose posts to list")])
        least = Reach.AUTHOR if creator_id == viewer_id else Reach.FOLLOWERS
        if viewer_id and least is not Reach.AUTHOR and self._blocked(tenant_id, viewer_id, creator_id):
            return []
        return self._store.by_creator(tenant_id, creator_id, least, place_of(cursor), page_size(limit))

    def revisions(self, tenant_id: str, post_id: str, creator_id: str, before: int, limit: int) -> list[PostRevision]:
        """What stood in the post, newest first; `before` 0 begins with the newest. For its creator alone."""
        self._own(tenant_id, post_id, creator_id)
        return self._store.revisions(tenant_id, post_id, before or _NEWEST, page_size(limit))

    def history(
        self, tenant_id: str, post_id: str, creator_id: str, before: int, limit: int
    ) -> list[tuple[int, StateStep]]:
        """What became of the post, newest first, with numbers to go on before. For its creator alone."""
        self._own(tenant_id, post_id, creator_id)
        return self._store.history(tenant_id, post_id, before or _NEWEST, page_size(limit))

    def withdraw(self, tenant_id: str, key: str, post_id: str, creator_id: str = "") -> Post:
        """Take a post out of every feed; withdrawing it again changes nothing.

        NotFound as `get`, and when `creator_id` is given and it is another's; Conflict as `create`.
        """
        if errors := _key_errors(key):
            raise InvalidInput(errors)
        digest = _digest(b"withdraw", post_id.encode())
        now_ms = self._clock.now_ms()
        for _ in range(_TRIES):
            if (known := self._store.written(tenant_id, key, digest)) is not None:
                return known
            before = self.get(tenant_id, post_id) if not creator_id else self._own(tenant_id, post_id, creator_id)
            if before.state is PostState.WITHDRAWN:
                self._store.remember(before, key, digest, now_ms)
                return before
            post = replace(before, state=PostState.WITHDRAWN, revision=before.revision + 1, publish_at_ms=0)
            steps = [_step(before.state, post, Actor.CREATOR, now_ms)]
            if (made := self._store.change(post, key, digest, now_ms, steps)) is not None:
                self._tell(made)
                return made
        raise _changed_meanwhile()

    def appeal(self, tenant_id: str, post_id: str, text: str, *, creator_id: str = "", key: str = "") -> Post:
        """Ask that a person looks again at a limited or removed post; once, until the post is edited.

        Without `key` a second appeal is a Conflict; otherwise as `edit`.
        """
        digest = _digest(b"appeal", post_id.encode(), text.encode("utf-8", "surrogatepass"))
        if key and _is_key(key) and (known := self._store.written(tenant_id, key, digest)) is not None:
            return known
        errors = _key_errors(key) if key else []
        errors += post_text.errors("text", text, MAX_APPEAL_CHARS, least_chars=1)
        if errors:
            raise InvalidInput(errors)
        now_ms = self._clock.now_ms()
        before = self.get(tenant_id, post_id) if not creator_id else self._own(tenant_id, post_id, creator_id)
        check_step(before.state, PostState.APPEALED, Actor.CREATOR)
        if before.appeal:
            raise Conflict("the appeal was decided, and that is the last word: edit the post, or make another one")
        post = replace(
            before, state=PostState.APPEALED, revision=before.revision + 1, appeal=post_text.clean(text)
        )  # fmt: skip
        return self._changed(post, key, digest, now_ms, [_step(before.state, post, Actor.CREATOR, now_ms)])

    def decide(
        self,
        tenant_id: str,
        post_id: str,
        outcome: Outcome,
        verdict: Verdict,
        actor: str,
        expected_revision: int,
        why: str = "",
    ) -> Post:
        """A moderator's word on a post: `actor` is the moderator, `why` a sentence for the history.

        Conflict when the post is no longer at the revision that the moderator saw, or is a draft or withdrawn.
        """
        if not post_rules.is_id(actor):
            raise InvalidInput([FieldError("actor", shown(actor), "give 1 to 64 printable characters")])
        now_ms = self._clock.now_ms()
        before = self.get(tenant_id, post_id)
        _check_revision(before, expected_revision)
        after = state_of(outcome)
        check_step(before.state, after, Actor.MODERATOR)
        verdict = replace(verdict, outcome=outcome)
        post = replace(before, state=after, revision=before.revision + 1, verdict=verdict, decided_by=actor)
        step = _step(before.state, post, Actor.MODERATOR, now_ms, why or sentence(verdict), by=actor)
        return self._changed(post, "", "", now_ms, [step])

    def take_back(
        self,
        tenant_id: str,
        post_id: str,
        state: PostState,
        verdict: Verdict | None,
        decided_by: str,
        actor: str,
        expected_revision: int,
    ) -> Post:
        """A moderator's word, which made the expected revision, is taken back: state, verdict and who decided are as
        they were before. Taken back by this actor already, it changes nothing; errors as `decide`.
        """
        before = self.get(tenant_id, post_id)
        if before.revision == expected_revision + 1 and before.state is state:
            newest = self._store.history(tenant_id, post_id, _NEWEST, 1)
            if any((step.by, step.why, step.revision) == (actor, TAKEN_BACK, before.revision) for _, step in newest):
                return before
        _check_revision(before, expected_revision)
        check_step(before.state, state, Actor.MODERATOR)
        now_ms = self._clock.now_ms()
        post = replace(before, state=state, revision=before.revision + 1, verdict=verdict, decided_by=decided_by)
        step = _step(before.state, post, Actor.MODERATOR, now_ms, TAKEN_BACK, by=actor)
        return self._changed(post, "", "", now_ms, [step])

    def erase_creator(self, tenant_id: str, creator_id: str) -> ErasedCreator:
        """Delete all posts of a creator with their revisions and histories, and all media; how much there was.

        Posts go first, so that nothing is shown while its files go; safe to repeat where it broke off. Uploads that
        were never finished hold no name but in their tickets, and go with `MediaLibrary.drop_stale_uploads`.
        """
        erased = self._store.erase_creator(tenant_id, creator_id, self._clock.now_ms())
        for post_id, revision in erased.posts:
            self._tell(_husk(tenant_id, post_id, revision))
        gone = self._media.erase_creator(tenant_id, creator_id)
        return ErasedCreator(len(erased.posts), erased.revisions, erased.history, gone.media, gone.files)

    def _published(self, before: Post, actor: Actor, now_ms: int) -> tuple[Post, list[StateStep]]:
        post = replace(
            before, state=PostState.CHECKING, revision=before.revision + 1, publish_at_ms=0,
            published_at_ms=before.publish_at_ms if actor is Actor.CLOCK else now_ms,
        )  # fmt: skip
        steps = [_step(before.state, post, actor, now_ms)]
        post, checked = self._checks.check(post, before, now_ms)
        return post, steps + checked

    def _changed(self, post: Post, key: str, digest: str, now_ms: int, steps: Sequence[StateStep]) -> Post:
        made = self._store.change(post, key, digest, now_ms, steps)
        if made is None:
            raise _changed_meanwhile()
        self._tell(made)
        return made

    def _own(self, tenant_id: str, post_id: str, creator_id: str) -> Post:
        post = self.get(tenant_id, post_id)
        if post.creator_id != creator_id:
            raise _not_found(post_id)
        return post


def _husk(tenant_id: str, post_id: str, revision: int) -> Post:
    """What is told of a post that was erased: that it is gone, and nothing of what it was."""
    return Post(tenant_id, post_id, "", "", (), (), (), 0, PostState.WITHDRAWN, revision)


def _step(before: PostState | None, post: Post, actor: Actor, now_ms: int, why: str = "", by: str = "") -> StateStep:
    return StateStep(now_ms, actor, by or (post.creator_id if actor is Actor.CREATOR else ""), before, post.state, why,
                     post.revision)  # fmt: skip


def _check_revision(post: Post, expected_revision: int) -> None:
    if post.revision != expected_revision:
        raise Conflict(
            f"the post is at revision {post.revision} and not at {expected_revision}: read it again, and change that"
        )


def _changed_meanwhile() -> Conflict:
    return Conflict("the post changed meanwhile: read it again, and change that")


def _is_key(key: str) -> bool:
    return post_rules.is_id(key)


def _key_errors(key: str) -> list[FieldError]:
    if _is_key(key):
        return []
    return [FieldError("idempotency_key", shown(key), "give 1 to 64 printable characters, fresh for each write")]


def _digest(*parts: bytes) -> str:
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).hexdigest()


def _not_found(post_id: str) -> NotFound:
    return NotFound(f"there is no post {shown(post_id)}")
