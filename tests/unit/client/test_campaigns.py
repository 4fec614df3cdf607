"""Does a write keep its idempotency key over all its tries, and name its tenant?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import grpc
import grpc.aio
import pytest

from client.campaigns import CampaignClient
from client.catalogue import CatalogueClient
from client.errors import CallRefused
from client.feed import FeedClient
from protos import campaigns_pb2, catalogue_pb2, feed_pb2


class Recorder(grpc.GenericRpcHandler):
    """Answers any unary method with an empty message, after so many UNAVAILABLE."""

    def __init__(self, unavailable: int = 0, refuse: grpc.StatusCode | None = None) -> None:
        self.unavailable = unavailable
        self.refuse = refuse
        self.calls: list[tuple[str, bytes, str]] = []

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method.rsplit("/", 1)[1]

        async def answer(data: bytes, context: Any) -> bytes:
            self.calls.append((method, data, dict(context.invocation_metadata())["x-api-key"]))
            if self.refuse is not None:
                await context.abort(self.refuse, "no such thing")
            if len(self.calls) <= self.unavailable:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
            return b""

        return grpc.unary_unary_rpc_method_handler(cast(Any, answer))


@asynccontextmanager
async def serving(recorder: Recorder) -> AsyncIterator[str]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((recorder,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def test_a_write_keeps_its_idempotency_key_over_its_tries() -> None:
    recorder = Recorder(unavailable=2)
    async with serving(recorder) as target, CampaignClient(target, "key", "tenant", timeout_ms=20_000) as client:
        await client.create_campaign(campaigns_pb2.Campaign(name="Spring"))
        await client.create_campaign(campaigns_pb2.Campaign(name="Spring"))

    sent = [campaigns_pb2.CreateCampaignRequest.FromString(data) for _, data, _ in recorder.calls]
    assert len({request.idempotency_key for request in sent[:3]}) == 1
    assert sent[3].idempotency_key not in ("", sent[0].idempotency_key)
    assert {request.tenant_id for request in sent} == {"tenant"}
    assert {key for _, _, key in recorder.calls} == {"key"}


async def test_every_method_of_the_campaign_service_is_called_by_its_name() -> None:
    recorder = Recorder()
    async with serving(recorder) as target, CampaignClient(target, "key", "tenant", timeout_ms=20_000) as client:
        await client.create_advertiser(campaigns_pb2.Advertiser(name="Brand"))
        await client.get_advertiser("a")
        await client.list_advertisers()
        await client.create_campaign(campaigns_pb2.Campaign())
        await client.get_campaign("c")
        await client.list_campaigns("a")
        await client.create_creative(campaigns_pb2.Creative())
        await client.get_creative("cr")
        await client.list_creatives("a")
        await client.change_creative("cr", campaigns_pb2.Creative())
        await client.review_creative("cr", campaigns_pb2.REVIEW_STATE_APPROVED)
        await client.create_line_item(campaigns_pb2.LineItem())
        await client.get_line_item("l")
        await client.list_line_items("c")
        await client.change_bid("l", 5)
        await client.change_budget("l", campaigns_pb2.Budget(total_micros=1))
        await client.set_state("l", campaigns_pb2.STATE_PAUSED)
        await client.set_pacing("c", campaigns_pb2.PACING_ASAP)
        await client.forecast_line_item(campaigns_pb2.LineItem())
        await client.get_statistics("l")

    methods = campaigns_pb2.DESCRIPTOR.services_by_name["CampaignService"].methods_by_name
    assert [method for method, _, _ in recorder.calls] == list(methods)


async def test_another_tenants_id_is_a_refusal_with_its_code() -> None:
    recorder = Recorder(refuse=grpc.StatusCode.NOT_FOUND)
    async with serving(recorder) as target, CampaignClient(target, "key", "tenant", timeout_ms=20_000) as client:
        with pytest.raises(CallRefused, match=r"GetRequest to .*: NOT_FOUND — no such thing"):
            await client.get_campaign("another's")

    assert len(recorder.calls) == 1


async def test_actions_of_the_feed_are_given_ids_that_retries_keep() -> None:
    recorder = Recorder(unavailable=1)
    async with serving(recorder) as target, FeedClient(target, "key", "tenant", timeout_ms=20_000) as client:
        action = feed_pb2.Action(kind=feed_pb2.Action.KIND_LIKE, subject_id="post")
        await client.record_actions(feed_pb2.RecordActionsRequest(actions=[action]))

    first, second = [feed_pb2.RecordActionsRequest.FromString(data) for _, data, _ in recorder.calls]
    assert first.actions[0].action_id
    assert first == second


async def test_products_are_put_a_thousand_at_a_time() -> None:
    recorder = Recorder()
    async with serving(recorder) as target, CatalogueClient(target, "key", "tenant", timeout_ms=20_000) as client:
        await client.put_products([catalogue_pb2.Product(product_id=f"p{i}") for i in range(2_100)])

    sent = [catalogue_pb2.PutProductsRequest.FromString(data) for _, data, _ in recorder.calls]
    assert [len(request.products) for request in sent] == [1_000, 1_000, 100]
