from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from backends.event_log_lmdb import LmdbEventLog
from exchange.auction_wire import PageViewReader
from exchange.campaigns_server import SERVICE, CampaignServer
from exchange.forecasts import Forecasts
from exchange.near_recorded import RecordedNear
from protos import campaigns_pb2 as typed_pb2
from protos import campaigns_pb2_grpc
from tests.builders import FlatRanker, nothing_near
from tests.campaign_stores import CampaignWorld, campaign_world

# Its constructors take dicts and the numbers and names of enums, which the stubs do not say.
campaigns_pb2: Any = typed_pb2

RPCS = typed_pb2.DESCRIPTOR.services_by_name["CampaignService"].methods
MAX_BYTES = 100_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CampaignWorld]:
    with campaign_world(tmp_path) as opened:
        yield opened


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LmdbEventLog]:
    with closing(LmdbEventLog(tmp_path / "log")) as opened:
        yield opened


class Client:
    """Calls any rpc by its name, with any key."""

    def __init__(self, channel: grpc.aio.Channel, world: CampaignWorld) -> None:
        self.channel = channel
        self.world = world
        self.changes = 0
        self.stub = cast(Any, campaigns_pb2_grpc.CampaignServiceStub(channel))
        self.key_a = self.key(world.tenant_a, "advertiser")
        self.key_b = self.key(world.tenant_b, "advertiser")
        self.operator = self.key(world.tenant_b, "operator")

    def key(self, tenant_id: str, role: str) -> str:
        return self.world.accounts.create_key(tenant_id, role).plaintext

    async def call(self, rpc: str, request: Any, key: str) -> Any:
        return await getattr(self.stub, rpc)(request, metadata=(("x-api-key", key),))

    async def refusal(self, rpc: str, request: Any, key: str) -> grpc.aio.AioRpcError:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.call(rpc, request, key)
        return caught.value

    def change(self) -> None:
        self.changes += 1


@pytest.fixture
async def client(world: CampaignWorld, log: LmdbEventLog) -> AsyncIterator[Client]:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        made = Client(channel, world)
        campaign_server = CampaignServer(
            campaigns=world.campaigns,
            statistics=world.statistics,
            forecasts=Forecasts(
                campaigns=world.campaigns,
                log=log,
                clock=world.clock,
                ranker=FlatRanker(),
                read=PageViewReader(currency="EUR", tmax_ms=50).from_bytes,
                near=lambda: RecordedNear(nothing_near, lambda _: None),
            ),
            keys=world.keys,
            on_change=made.change,
        )
        server.add_generic_rpc_handlers((campaign_server.handler(MAX_BYTES),))
        await server.start()
        yield made
    await server.stop(None)


def violations(error: grpc.aio.AioRpcError) -> list[str]:
    class Ended:
        code = error.code
        details = error.details

        def trailing_metadata(self) -> Any:
            return tuple(error.trailing_metadata())

    status = rpc_status.from_call(cast(grpc.Call, Ended()))
    assert status is not None
    bad = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(bad)
    return [violation.field for violation in bad.field_violations]


async def test_everything_that_is_sent_comes_back(client: Client) -> None:
    tenant_id = client.world.tenant_a
    advertiser = await client.call(
        "CreateAdvertiser",
        campaigns_pb2.CreateAdvertiserRequest(
            tenant_id=tenant_id, idempotency_key="1", advertiser={"name": "Chairs", "domain": "Chairs.example"}
        ),
        client.key_a,
    )
    campaign_draft = campaigns_pb2.Campaign(
        advertiser_id=advertiser.advertiser_id, name="Winter", currency="EUR", time_zone="Asia/Dhaka",
        budget={"total_micros": 9_000_000, "daily_micros": 1_000_000},
    )  # fmt: skip
    campaign = await client.call(
        "CreateCampaign",
        campaigns_pb2.CreateCampaignRequest(tenant_id=tenant_id, idempotency_key="2", campaign=campaign_draft),
        client.key_a,
    )
    creative_draft = campaigns_pb2.Creative(
        advertiser_id=advertiser.advertiser_id, format=3, width=640, height=360, title="Film",
        image_url="https://chairs.example/1.png", landing_url="https://chairs.example/1",
        video_url="https://chairs.example/1.mp4", duration_s=15, product_id="p1", category="furniture",
        attributes=[6, 16], language="bn", app_bundle="com.chairs", mime="video/webm", protocol=7, skippable=True,
        body="Made of oak", call_to_action="Sit down", icon_url="https://chairs.example/icon.png",
        media_files=[{"url": "https://chairs.example/s.mp4", "mime": "video/mp4", "width": 320, "height": 180,
                      "bitrate_kbps": 800}],
    )  # fmt: skip
    creative = await client.call(
        "CreateCreative",
        campaigns_pb2.CreateCreativeRequest(tenant_id=tenant_id, idempotency_key="3", creative=creative_draft),
        client.key_a,
    )
    item_draft = campaigns_pb2.LineItem(
        campaign_id=campaign.campaign_id, name="Seen", strategy=3, pricing_model=2, bid_micros=40_000,
        budget={"daily_micros": 5},
        targeting={
            "countries": ["BD"], "devices": [1, 3], "categories": ["shoes"], "keywords": ["red"],
            "segments": ["tier=Gold"], "seen_products": ["p1"], "placement_ids": ["top"], "languages": ["bn"],
        },
        frequency_cap={"impressions": 3, "window_s": 3600},
        schedule={"starts_at_ms": 5, "ends_at_ms": 10, "hours_of_week": [0, 167]},
        creative_ids=[creative.creative_id],
    )  # fmt: skip
    item = await client.call(
        "CreateLineItem",
        campaigns_pb2.CreateLineItemRequest(tenant_id=tenant_id, idempotency_key="4", line_item=item_draft),
        client.key_a,
    )

    assert (advertiser.domain, advertiser.state, advertiser.revision) == ("chairs.example", 1, 1)
    campaign_draft.MergeFrom(
        campaigns_pb2.Campaign(campaign_id=campaign.campaign_id, state="STATE_ACTIVE", revision=1, pacing="PACING_EVEN")
    )
    assert campaign == campaign_draft
    creative_draft.MergeFrom(
        campaigns_pb2.Creative(creative_id=creative.creative_id, review_state="REVIEW_STATE_PENDING", revision=1)
    )
    assert creative == creative_draft
    item_draft.MergeFrom(campaigns_pb2.LineItem(line_item_id=item.line_item_id, state="STATE_ACTIVE", revision=1))
    assert item == item_draft
    for rpc, id, made in [
        ("GetAdvertiser", advertiser.advertiser_id, advertiser),
        ("GetCampaign", campaign.campaign_id, campaign),
        ("GetCreative", creative.creative_id, creative),
        ("GetLineItem", item.line_item_id, item),
    ]:
        assert await client.call(rpc, campaigns_pb2.GetRequest(tenant_id=tenant_id, id=id), client.key_a) == made
    pages = [
        ("ListAdvertisers", "", "advertisers", advertiser),
        ("ListCampaigns", advertiser.advertiser_id, "campaigns", campaign),
        ("ListCreatives", advertiser.advertiser_id, "creatives", creative),
        ("ListLineItems", campaign.campaign_id, "line_items", item),
    ]
    for rpc, parent_id, name, made in pages:
        request = campaigns_pb2.ListRequest(tenant_id=tenant_id, parent_id=parent_id)
        assert list(getattr(await client.call(rpc, request, client.key_a), name)) == [made]
    assert client.changes == 4


async def test_changes_are_answered_and_told_at_once(client: Client) -> None:
    world = client.world
    _, campaign, creative, item = world.a_whole_campaign()
    ids = {"tenant_id": world.tenant_a}

    bid = await client.call(
        "ChangeBid",
        campaigns_pb2.ChangeBidRequest(**ids, idempotency_key="1", line_item_id=item.line_item_id, bid_micros=7),
        client.key_a,
    )
    budget = await client.call(
        "ChangeBudget",
        campaigns_pb2.ChangeBudgetRequest(
            **ids, idempotency_key="2", id=campaign.campaign_id, budget={"total_micros": 5}
        ),
        client.key_a,
    )
    state = await client.call(
        "SetState",
        campaigns_pb2.SetStateRequest(**ids, idempotency_key="3", id=campaign.campaign_id, state="STATE_PAUSED"),
        client.key_a,
    )
    review = await client.call(
        "ReviewCreative",
        campaigns_pb2.ReviewCreativeRequest(
            **ids, idempotency_key="4", creative_id=creative.creative_id, review_state="REVIEW_STATE_APPROVED"
        ),
        client.operator,
    )
    statistics = await client.call(
        "GetStatistics", campaigns_pb2.GetStatisticsRequest(**ids, id=campaign.campaign_id), client.key_a
    )

    assert (bid.bid_micros, bid.revision) == (7, 2)
    assert budget == campaigns_pb2.BudgetState(budget={"total_micros": 5})
    assert state == campaigns_pb2.SetStateResponse(id=campaign.campaign_id, state="STATE_PAUSED", revision=3)
    assert review.review_state == campaigns_pb2.REVIEW_STATE_APPROVED
    assert statistics == campaigns_pb2.Statistics(id=campaign.campaign_id, currency="EUR")
    assert client.changes == 4


@pytest.mark.parametrize("rpc", [method.name for method in RPCS])
async def test_another_tenants_ids_are_not_found(client: Client, rpc: str) -> None:
    """Every rpc there is, asked by tenant b with ids of tenant a."""
    world = client.world
    advertiser, campaign, creative, item = world.a_whole_campaign()
    foreign = {
        "id": (advertiser.advertiser_id, campaign.campaign_id, creative.creative_id, item.line_item_id),
        "parent_id": (advertiser.advertiser_id, campaign.campaign_id),
        "line_item_id": (item.line_item_id,),
        "creative_id": (creative.creative_id,),
        "campaign_id": (campaign.campaign_id,),
    }
    key = client.operator if rpc == "ReviewCreative" else client.key_b
    message_type = getattr(campaigns_pb2, RPCS_BY_NAME[rpc].input_type.name)
    request = message_type(tenant_id=world.tenant_b)
    names = set(message_type.DESCRIPTOR.fields_by_name)
    if "idempotency_key" in names:
        request.idempotency_key = "1"
    if rpc == "ListAdvertisers":
        assert not (await client.call(rpc, request, key)).advertisers
        return
    if rpc == "CreateAdvertiser":
        request.advertiser.CopyFrom(campaigns_pb2.Advertiser(name="x", domain="x.example"))
        made = await client.call(rpc, request, key)
        assert world.campaigns.advertiser(world.tenant_b, made.advertiser_id)
        return
    fill_in(request, world, advertiser.advertiser_id, campaign.campaign_id, creative.creative_id)
    named = names & set(foreign)
    assert named or {"campaign", "creative", "line_item"} & names, "this rpc names nothing that can be foreign"
    for name in named or {""}:
        for id in foreign.get(name, ("",)):
            if name:
                setattr(request, name, id)
            error = await client.refusal(rpc, request, key)
            assert error.code() == grpc.StatusCode.NOT_FOUND, (rpc, name, error.details())


RPCS_BY_NAME = {method.name: method for method in RPCS}


def fill_in(request: Any, world: CampaignWorld, advertiser_id: str, campaign_id: str, creative_id: str) -> None:
    """Values that would be valid for tenant a."""
    valid: dict[str, Any] = {
        "campaign": campaigns_pb2.Campaign(
            advertiser_id=advertiser_id, name="x", currency="EUR", budget={"total_micros": 1}
        ),
        "creative": campaigns_pb2.Creative(
            advertiser_id=advertiser_id, format=1, width=1, height=1, landing_url="https://x.example/"
        ),
        "line_item": campaigns_pb2.LineItem(
            campaign_id=campaign_id, name="x", strategy=1, pricing_model=1, bid_micros=1, creative_ids=[creative_id]
        ),
        "budget": campaigns_pb2.Budget(total_micros=1),
    }
    for name in request.DESCRIPTOR.fields_by_name:
        if name in valid:
            getattr(request, name).CopyFrom(valid[name])
        elif name in ("bid_micros", "state", "pacing"):
            setattr(request, name, 1)
        elif name == "review_state":
            setattr(request, name, 2)


@pytest.mark.parametrize("rpc", [method.name for method in RPCS])
async def test_every_rpc_asks_for_key_role_and_tenant(client: Client, rpc: str) -> None:
    message_type = getattr(campaigns_pb2, RPCS_BY_NAME[rpc].input_type.name)
    own, others = message_type(tenant_id=client.world.tenant_a), message_type(tenant_id=client.world.tenant_b)
    storefront = client.key(client.world.tenant_a, "storefront")

    assert (await client.refusal(rpc, own, "")).code() == grpc.StatusCode.UNAUTHENTICATED
    assert (await client.refusal(rpc, own, "haat_no")).code() == grpc.StatusCode.UNAUTHENTICATED
    assert (await client.refusal(rpc, own, storefront)).code() == grpc.StatusCode.PERMISSION_DENIED
    assert (await client.refusal(rpc, others, client.key_a)).code() == grpc.StatusCode.PERMISSION_DENIED
    nobody = await client.refusal(rpc, message_type(), client.key_a)
    assert nobody.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert violations(nobody) == ["tenant_id"]


async def test_all_bad_fields_are_named_at_once(client: Client) -> None:
    request = campaigns_pb2.CreateLineItemRequest(
        tenant_id=client.world.tenant_a,
        line_item=campaigns_pb2.LineItem(strategy=99, bid_micros=-1, frequency_cap={"impressions": 1}),
    )
    error = await client.refusal("CreateLineItem", request, client.key_a)

    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert violations(error) == [
        "line_item.campaign_id",
        "line_item.name",
        "line_item.strategy",
        "line_item.pricing_model",
        "line_item.bid_micros",
        "line_item.frequency_cap.window_s",
        "line_item.creative_ids",
        "idempotency_key",
    ]


@pytest.mark.parametrize("rpc", [method.name for method in RPCS])
@pytest.mark.parametrize(
    "data", [b"\xff\xff\xff\xff", b"\x0a\x02\xff\xfe", b"\x0a" + b"\x7f" * 50, b"a" * (MAX_BYTES + 1)]
)
async def test_bytes_that_are_no_request_are_refused(client: Client, rpc: str, data: bytes) -> None:
    raw: Any = client.channel.unary_unary(f"/{SERVICE}/{rpc}")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await raw(data, metadata=(("x-api-key", client.key_a),))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_key_used_for_two_requests_is_aborted(client: Client) -> None:
    request = campaigns_pb2.CreateAdvertiserRequest(
        tenant_id=client.world.tenant_a, idempotency_key="1", advertiser={"name": "x", "domain": "x.example"}
    )
    first = await client.call("CreateAdvertiser", request, client.key_a)
    assert await client.call("CreateAdvertiser", request, client.key_a) == first
    request.advertiser.name = "y"

    assert (await client.refusal("CreateAdvertiser", request, client.key_a)).code() == grpc.StatusCode.ABORTED


async def test_an_operator_acts_for_any_tenant_that_there_is(client: Client) -> None:
    request = campaigns_pb2.CreateAdvertiserRequest(
        tenant_id=client.world.tenant_a, idempotency_key="1", advertiser={"name": "x", "domain": "x.example"}
    )
    made = await client.call("CreateAdvertiser", request, client.operator)
    request.tenant_id = "0" * 32

    assert client.world.campaigns.advertiser(client.world.tenant_a, made.advertiser_id).name == "x"
    assert (await client.refusal("CreateAdvertiser", request, client.operator)).code() == grpc.StatusCode.NOT_FOUND


async def test_a_revoked_key_opens_nothing_at_once(client: Client) -> None:
    request = campaigns_pb2.ListRequest(tenant_id=client.world.tenant_a)
    issued = client.world.accounts.create_key(client.world.tenant_a, "advertiser")
    await client.call("ListAdvertisers", request, issued.plaintext)
    client.world.accounts.revoke_key(issued.key_id)

    error = await client.refusal("ListAdvertisers", request, issued.plaintext)
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED
