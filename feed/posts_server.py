"""FeedService, its part of posts: how do posts and uploads travel over gRPC?"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from google.protobuf.message import Message

from common.errors import FieldError, InvalidInput
from feed.index import FeedIndex
from feed.media.library import MediaLibrary
from feed.ports import PostRevision
from feed.post import Disclosure, Post, PostDraft, PostMedia, ProductTag
from feed.post_pages import cursor_after
from feed.post_view import MediaView, PostView, PostViews
from feed.posts import Posts
from feed.tenancy import check_tenant
from protos import feed_pb2

# Some two kilobytes each.
_PUBLIC_AT_MOST = 10_000

ForTenant = Callable[[Any, str], Awaitable[Message]]
_STATES = {state.lower().removeprefix("state_"): number for state, number in feed_pb2.Post.State.items()}
_LABELS = {label.lower().removeprefix("disclosure_"): number for label, number in feed_pb2.Post.Disclosure.items()}


class ChangedPosts:
    """Posts that changed, on their way from the threads that changed them to the one that has the index."""

    def __init__(self) -> None:
        self._posts: deque[Post] = deque()

    def tell(self, post: Post) -> None:
        """A post changed; from any thread."""
        self._posts.append(post)

    def into(self, index: FeedIndex) -> None:
        """Take in what was told so far; from the index's thread alone."""
        while self._posts:
            index.put(self._posts.popleft())


class PostCalls:
    """The calls of posts; runs in one event loop, blocking calls leave it for a thread."""

    def __init__(
        self, *, posts: Posts, media: MediaLibrary, index: FeedIndex, views: PostViews, changed: ChangedPosts
    ) -> None:
        self.posts = posts
        self.media = media
        self._index = index
        self._views = views
        self._changed = changed
        self._public: dict[tuple[str, int], feed_pb2.Post] = {}
        self._public_version = views.version

    def methods(self) -> Mapping[str, tuple[type[Message], ForTenant]]:
        """By name: the request's type, and what answers it for a tenant."""
        return {
            "CreatePost": (feed_pb2.CreatePostRequest, self.create_post),
            "GetPost": (feed_pb2.GetPostRequest, self.get_post),
            "WithdrawPost": (feed_pb2.WithdrawPostRequest, self.withdraw_post),
            "EditPost": (feed_pb2.EditPostRequest, self.edit_post),
            "PublishPost": (feed_pb2.PublishPostRequest, self.publish_post),
            "AppealPost": (feed_pb2.AppealPostRequest, self.appeal_post),
            "ListPosts": (feed_pb2.ListPostsRequest, self.list_posts),
            "ListPostRevisions": (feed_pb2.ListPostRevisionsRequest, self.list_revisions),
            "ListPostHistory": (feed_pb2.ListPostHistoryRequest, self.list_history),
            "CreateUpload": (feed_pb2.CreateUploadRequest, self.create_upload),
            "FinishUpload": (feed_pb2.FinishUploadRequest, self.finish_upload),
        }

    def catch_up(self) -> None:
        """Bring the index to what was written so far, by whomever."""
        self._changed.into(self._index)

    async def run_jobs(self) -> None:
        """Publish what is due and check what was missed; again and again, from the background."""
        await asyncio.to_thread(self.posts.publish_due)
        await asyncio.to_thread(self.posts.check_missed)
        self.catch_up()

    async def create_post(self, request: feed_pb2.CreatePostRequest, tenant: str) -> feed_pb2.Post:
        """Publish a post; what is clean is in the next page."""
        check_tenant(request.tenant_id, tenant)
        of_the_feed = ("post_id", "revision", "likes", "saves")
        claimed = [name for name in of_the_feed if getattr(request.post, name)]
        if request.post.state not in (0, feed_pb2.Post.STATE_CLEAN, feed_pb2.Post.STATE_DRAFT):
            claimed.append("state")
        draft = _draft(request.post, tuple(claimed))
        return await self._written(draft.creator_id, self.posts.create, tenant, request.idempotency_key, draft)

    async def get_post(self, request: feed_pb2.GetPostRequest, tenant: str) -> feed_pb2.Post:
        """One post, as far as the viewer may see it."""
        check_tenant(request.tenant_id, tenant)
        post = await asyncio.to_thread(self.posts.seen_by, tenant, request.post_id, request.viewer_creator_id)
        return self.message(post, request.viewer_creator_id)

    async def withdraw_post(self, request: feed_pb2.WithdrawPostRequest, tenant: str) -> feed_pb2.Post:
        """Take a post out of every feed; it is gone from the next page."""
        check_tenant(request.tenant_id, tenant)
        return await self._written(
            request.creator_id, self.posts.withdraw, tenant, request.idempotency_key, request.post_id,
            request.creator_id,
        )  # fmt: skip

    async def edit_post(self, request: feed_pb2.EditPostRequest, tenant: str) -> feed_pb2.Post:
        """Replace what stands in a post."""
        check_tenant(request.tenant_id, tenant)
        draft = _draft(request.post, ())
        return await self._written(
            draft.creator_id, self.posts.edit, tenant, request.idempotency_key, request.post_id, draft,
            request.expected_revision,
        )  # fmt: skip

    async def publish_post(self, request: feed_pb2.PublishPostRequest, tenant: str) -> feed_pb2.Post:
        """Publish a draft."""
        check_tenant(request.tenant_id, tenant)
        return await self._written(
            request.creator_id, self.posts.publish, tenant, request.idempotency_key, request.post_id,
            request.creator_id, request.expected_revision,
        )  # fmt: skip

    async def appeal_post(self, request: feed_pb2.AppealPostRequest, tenant: str) -> feed_pb2.Post:
        """Ask for a second look."""
        check_tenant(request.tenant_id, tenant)
        if not request.idempotency_key:
            raise InvalidInput([FieldError("idempotency_key", "empty", "give a fresh one for each write")])

        def appeal() -> Post:
            return self.posts.appeal(
                tenant, request.post_id, request.text, creator_id=request.creator_id, key=request.idempotency_key
            )

        if not request.creator_id:
            raise InvalidInput([FieldError("creator_id", "empty", "give the creator who appeals")])
        return await self._written(request.creator_id, appeal)

    async def list_posts(self, request: feed_pb2.ListPostsRequest, tenant: str) -> feed_pb2.ListPostsResponse:
        """A creator's posts."""
        check_tenant(request.tenant_id, tenant)
        viewer = request.viewer_creator_id
        posts = await asyncio.to_thread(
            self.posts.by_creator, tenant, request.creator_id, viewer, request.cursor, request.page_size
        )
        full = len(posts) == (request.page_size or 20)
        return feed_pb2.ListPostsResponse(
            posts=[self.message(post, viewer) for post in posts], next_cursor=cursor_after(posts[-1]) if full else ""
        )

    async def list_revisions(
        self, request: feed_pb2.ListPostRevisionsRequest, tenant: str
    ) -> feed_pb2.ListPostRevisionsResponse:
        """What stood in a post."""
        check_tenant(request.tenant_id, tenant)
        found = await asyncio.to_thread(
            self.posts.revisions, tenant, request.post_id, request.creator_id, request.before_revision,
            request.page_size,
        )  # fmt: skip
        return feed_pb2.ListPostRevisionsResponse(revisions=[self._revision(one) for one in found])

    async def list_history(
        self, request: feed_pb2.ListPostHistoryRequest, tenant: str
    ) -> feed_pb2.ListPostHistoryResponse:
        """What became of a post. Who moderated it is not told."""
        check_tenant(request.tenant_id, tenant)
        found = await asyncio.to_thread(
            self.posts.history, tenant, request.post_id, request.creator_id, request.before_number, request.page_size
        )
        steps = [
            feed_pb2.PostStep(
                number=number, at_ms=step.at_ms, actor=str(step.actor), why=step.why, revision=step.revision,
                state_before=feed_pb2.Post.State.ValueType(step.before or 0),
                state_after=feed_pb2.Post.State.ValueType(step.after),
            )
            for number, step in found
        ]  # fmt: skip
        return feed_pb2.ListPostHistoryResponse(steps=steps)

    async def create_upload(self, request: feed_pb2.CreateUploadRequest, tenant: str) -> feed_pb2.Upload:
        """Where to upload to."""
        check_tenant(request.tenant_id, tenant)
        started = await asyncio.to_thread(
            self.media.start, tenant, request.creator_id, request.content_type, request.size_bytes
        )
        return feed_pb2.Upload(
            ticket=started.ticket, url=started.address.url, headers=started.address.headers,
            expires_at_ms=started.expires_at_ms,
        )  # fmt: skip

    async def finish_upload(self, request: feed_pb2.FinishUploadRequest, tenant: str) -> feed_pb2.PostMedia:
        """Make of it what is shown."""
        check_tenant(request.tenant_id, tenant)
        media = await asyncio.to_thread(self.media.finish, tenant, request.ticket)
        return _media_message(self._views.of_media(media))

    def message(self, post: Post, viewer_id: str = "") -> feed_pb2.Post:
        """The post as the viewer sees it."""
        return _message(self._views.of(post, viewer_id))

    def public_message(self, post: Post) -> feed_pb2.Post:
        """The post as everybody sees it: made once for each revision, since pages are full of the same posts. It is
        the caller's to read and not to change; it holds until the next call for the same post.
        """
        key = post.post_id, post.revision
        if self._public_version != self._views.version:
            self._public_version = self._views.version
            self._public.clear()
        known = self._public.get(key)
        if known is None:
            if len(self._public) >= _PUBLIC_AT_MOST:
                self._public.clear()
            known = self._public[key] = self.message(post)
        known.likes, known.saves = self._views.counts(post)
        return known

    async def _written(self, viewer_id: str, write: Callable[..., Post], *args: object) -> feed_pb2.Post:
        post = await asyncio.to_thread(write, *args)
        self.catch_up()
        return self.message(post, viewer_id)

    def _revision(self, revision: PostRevision) -> feed_pb2.PostRevision:
        post = feed_pb2.Post(
            caption=revision.caption,
            image_urls=revision.image_urls,
            media=[_media_message(self._views.of_recorded(medium)) for medium in revision.media],
            product_tags=_tags(revision.product_tags),
            hashtags=revision.hashtags,
            paid=revision.paid,
            disclosure=feed_pb2.Post.Disclosure.ValueType(revision.disclosure),
            partner=revision.partner,
        )
        return feed_pb2.PostRevision(revision=revision.revision, at_ms=revision.at_ms, post=post)


def _draft(post: feed_pb2.Post, claimed: tuple[str, ...]) -> PostDraft:
    if post.disclosure not in Disclosure._value2member_map_:
        known = ", ".join(str(int(label)) for label in Disclosure)
        raise InvalidInput([FieldError("post.disclosure", str(post.disclosure), f"give one of {known}")])
    return PostDraft(
        creator_id=post.creator_id,
        caption=post.caption,
        image_urls=tuple(post.image_urls),
        media=tuple(
            # A medium that is sent back as it was told has the feed's own fields, which count for nothing.
            PostMedia(media_id=one.media_id, url=one.url, alt_text=one.alt_text)
            for one in post.media
        ),
        product_tags=tuple(ProductTag(tag.product_id, tag.x, tag.y, tag.picture) for tag in post.product_tags),
        hashtags=tuple(post.hashtags),
        published_at_ms=post.published_at_ms,
        claimed=claimed,
        paid=post.paid,
        disclosure=Disclosure(post.disclosure),
        partner=post.partner,
        publish_at_ms=post.publish_at_ms,
        draft=post.state == feed_pb2.Post.STATE_DRAFT,
    )


def _message(view: PostView) -> feed_pb2.Post:
    verdict = None
    if view.verdict is not None:
        findings = [
            feed_pb2.PostFinding(label=found.label, where=found.where, evidence=found.evidence)
            for found in view.verdict.findings
        ]
        verdict = feed_pb2.PostVerdict(outcome=view.verdict.outcome, findings=findings)
    return feed_pb2.Post(
        post_id=view.post_id,
        creator_id=view.creator_id,
        caption=view.caption,
        image_urls=view.image_urls,
        media=[_media_message(medium) for medium in view.media],
        product_tags=_tags(view.product_tags),
        hashtags=view.hashtags,
        published_at_ms=view.published_at_ms,
        publish_at_ms=view.publish_at_ms,
        state=feed_pb2.Post.State.ValueType(_STATES[view.state]),
        revision=view.revision,
        likes=view.likes,
        saves=view.saves,
        paid=view.paid,
        disclosure=feed_pb2.Post.Disclosure.ValueType(_LABELS[view.disclosure]),
        partner=view.partner,
        verdict=verdict,
        appeal=view.appeal,
    )


def _media_message(view: MediaView) -> feed_pb2.PostMedia:
    kind = feed_pb2.PostMedia.KIND_VIDEO if view.kind == "video" else feed_pb2.PostMedia.KIND_IMAGE
    return feed_pb2.PostMedia(
        media_id=view.media_id,
        url=view.url,
        alt_text=view.alt_text,
        kind=kind,
        width=view.width,
        height=view.height,
        duration_ms=view.duration_ms,
        renditions=[
            feed_pb2.Rendition(
                url=one.url, content_type=one.content_type, width=one.width, height=one.height,
                size_bytes=one.size_bytes,
            )
            for one in view.renditions
        ],
    )  # fmt: skip


def _tags(tags: tuple[ProductTag, ...]) -> list[feed_pb2.ProductTag]:
    return [feed_pb2.ProductTag(product_id=tag.product_id, x=tag.x, y=tag.y, picture=tag.picture) for tag in tags]
