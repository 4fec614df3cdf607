"""How does a creator's app manage posts? Drafts, edits, appeals, lists, and tickets to upload with."""

from __future__ import annotations

from random import Random

import grpc

from client.connection import Connection, OverConnection, new_idempotency_key
from protos import feed_pb2 as wire
from protos.feed_pb2_grpc import FeedServiceStub


class PostsClient(OverConnection):
    """One creator's posts, over one tenant's key. Make it inside a running event loop; close it, or use `async with`.

    Raises CallRefused with the field errors, or CallFailed; a write that was retried is done once.
    """

    def __init__(
        self,
        target: str,
        api_key: str,
        creator_id: str,
        *,
        timeout_ms: int = 15_000,
        credentials: grpc.ChannelCredentials | None = None,
        chance: Random | None = None,
    ) -> None:
        self.creator_id = creator_id
        super().__init__(Connection(target, api_key, timeout_ms=timeout_ms, credentials=credentials, chance=chance))
        self._stub = FeedServiceStub(self._connection.channel)

    async def create(self, post: wire.Post, *, idempotency_key: str = "") -> wire.Post:
        """Publish a post, or keep it as a draft (`state` STATE_DRAFT), or for later (`publish_at_ms`)."""
        request = wire.CreatePostRequest(idempotency_key=_key(idempotency_key), post=self._mine(post))
        return await self._connection.call(self._stub.CreatePost, request)

    async def edit(self, post_id: str, post: wire.Post, expected_revision: int, *, key: str = "") -> wire.Post:
        """Replace what stands in a post that was seen at this revision."""
        request = wire.EditPostRequest(
            idempotency_key=_key(key), post_id=post_id, post=self._mine(post), expected_revision=expected_revision
        )
        return await self._connection.call(self._stub.EditPost, request)

    async def publish(self, post_id: str, expected_revision: int, *, idempotency_key: str = "") -> wire.Post:
        """Publish a draft now."""
        request = wire.PublishPostRequest(
            idempotency_key=_key(idempotency_key), post_id=post_id, creator_id=self.creator_id,
            expected_revision=expected_revision,
        )  # fmt: skip
        return await self._connection.call(self._stub.PublishPost, request)

    async def appeal(self, post_id: str, text: str, *, idempotency_key: str = "") -> wire.Post:
        """Ask that a person looks again."""
        request = wire.AppealPostRequest(
            idempotency_key=_key(idempotency_key), post_id=post_id, creator_id=self.creator_id, text=text
        )
        return await self._connection.call(self._stub.AppealPost, request)

    async def withdraw(self, post_id: str, *, idempotency_key: str = "") -> wire.Post:
        """Take a post out of every feed."""
        request = wire.WithdrawPostRequest(
            idempotency_key=_key(idempotency_key), post_id=post_id, creator_id=self.creator_id
        )
        return await self._connection.call(self._stub.WithdrawPost, request)

    async def get(self, post_id: str) -> wire.Post:
        """One post, as its creator sees it."""
        request = wire.GetPostRequest(post_id=post_id, viewer_creator_id=self.creator_id)
        return await self._connection.call(self._stub.GetPost, request)

    async def page(self, cursor: str = "", *, page_size: int = 20) -> wire.ListPostsResponse:
        """The creator's own posts, newest publication first."""
        request = wire.ListPostsRequest(
            creator_id=self.creator_id, viewer_creator_id=self.creator_id, page_size=page_size, cursor=cursor
        )
        return await self._connection.call(self._stub.ListPosts, request)

    async def revisions(self, post_id: str, before_revision: int = 0) -> list[wire.PostRevision]:
        """What stood in a post, newest first."""
        request = wire.ListPostRevisionsRequest(
            post_id=post_id, creator_id=self.creator_id, before_revision=before_revision
        )
        return list((await self._connection.call(self._stub.ListPostRevisions, request)).revisions)

    async def history(self, post_id: str, before_number: int = 0) -> list[wire.PostStep]:
        """What became of a post and why, newest first."""
        request = wire.ListPostHistoryRequest(post_id=post_id, creator_id=self.creator_id, before_number=before_number)
        return list((await self._connection.call(self._stub.ListPostHistory, request)).steps)

    async def start_upload(self, content_type: str, size_bytes: int) -> wire.Upload:
        """Where to PUT the bytes."""
        request = wire.CreateUploadRequest(creator_id=self.creator_id, content_type=content_type, size_bytes=size_bytes)
        return await self._connection.call(self._stub.CreateUpload, request)

    async def finish_upload(self, ticket: str) -> wire.PostMedia:
        """Have a look taken at the bytes; the medium that can be posted."""
        return await self._connection.call(self._stub.FinishUpload, wire.FinishUploadRequest(ticket=ticket))

    def _mine(self, post: wire.Post) -> wire.Post:
        mine = wire.Post()
        mine.CopyFrom(post)
        mine.creator_id = self.creator_id
        return mine


def _key(given: str) -> str:
    return given or new_idempotency_key()
