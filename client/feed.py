"""How does a storefront show the feed? Pages, posts and what the visitor did with them."""

from __future__ import annotations

from random import Random

import grpc

from client.connection import Connection, OverConnection, new_idempotency_key
from protos import feed_pb2 as wire
from protos.feed_pb2_grpc import FeedServiceStub


class FeedClient(OverConnection):
    """One tenant's connection to FeedService. Make it inside a running event loop; close it, or use `async with`.

    Requests are sent as given, with the tenant filled in. Raises CallRefused with the field errors, or CallFailed.
    """

    def __init__(
        self,
        target: str,
        api_key: str,
        tenant_id: str,
        *,
        timeout_ms: int = 2_000,
        credentials: grpc.ChannelCredentials | None = None,
        chance: Random | None = None,
    ) -> None:
        self.tenant_id = tenant_id
        super().__init__(Connection(target, api_key, timeout_ms=timeout_ms, credentials=credentials, chance=chance))
        self._stub = FeedServiceStub(self._connection.channel)

    async def get_feed(self, request: wire.GetFeedRequest) -> wire.FeedPage:
        """One page of the feed."""
        mine = wire.GetFeedRequest()
        mine.CopyFrom(request)
        mine.tenant_id = self.tenant_id
        return await self._connection.call(self._stub.GetFeed, mine)

    async def record_actions(self, request: wire.RecordActionsRequest) -> wire.RecordActionsResponse:
        """Likes, hides, clicks, saves, follows; an action that has no id of its own is given one, kept over retries."""
        mine = wire.RecordActionsRequest()
        mine.CopyFrom(request)
        mine.tenant_id = self.tenant_id
        for action in mine.actions:
            action.action_id = action.action_id or new_idempotency_key()
        return await self._connection.call(self._stub.RecordActions, mine)

    async def create_post(self, post: wire.Post, *, idempotency_key: str = "") -> wire.Post:
        """The post as stored."""
        request = wire.CreatePostRequest(
            tenant_id=self.tenant_id, idempotency_key=idempotency_key or new_idempotency_key(), post=post
        )
        return await self._connection.call(self._stub.CreatePost, request)

    async def get_post(self, post_id: str) -> wire.Post:
        """One post."""
        request = wire.GetPostRequest(tenant_id=self.tenant_id, post_id=post_id)
        return await self._connection.call(self._stub.GetPost, request)

    async def withdraw_post(self, post_id: str, *, idempotency_key: str = "") -> wire.Post:
        """Take a post out of every feed."""
        request = wire.WithdrawPostRequest(
            tenant_id=self.tenant_id, idempotency_key=idempotency_key or new_idempotency_key(), post_id=post_id
        )
        return await self._connection.call(self._stub.WithdrawPost, request)
