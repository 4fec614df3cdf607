"""All rpcs of those who pay, earn and run: tenants apart, roles kept, errors with their fields."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from backends.event_log_lmdb import LmdbEventLog
from backends.exchange_switch_sql import SqlExchangeSwitch
from exchange.billing_server import BillingServer
from exchange.campaign_edits_server import CampaignEditServer
from exchange.floors_server import FloorServer
from exchange.operations_server import OperationsServer
from exchange.pause import ExchangePause
from exchange.publishers_server import PublisherServer
from protos import billing_pb2, campaign_edits_pb2, floors_pb2, operations_pb2, publishers_pb2
from tests.money_worlds import MoneyWorld, money_world
from tests.unit.exchange.test_floor_desk import a_desk

pytestmark = pytest.mark.slow

FILES = (billing_pb2, campaign_edits_pb2, floors_pb2, operations_pb2, publishers_pb2)
METHODS = {
    method.name: (f"/{service.full_name}/{method.name}", method)
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
NOT_FOUND, DENIED = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED
# Rpcs that are nobody's own; the others name a tenant.
OF_ALL = {"GetTrialBalance", "PauseExchange", "ResumeExchange", "GetExchangeState"}
OF_PUBLISHERS = {"GetRevenueReport", "GetStatement", "GetStatementPdf", "ListFloors", "SetFloors"}
FOR_OPERATORS = {"RecordPayout", "SetTerms", "TopUp", "IssueInvoice", "IssueCreditNote", *OF_ALL}


class Client:
    def __init__(self, channel: grpc.aio.Channel, money: MoneyWorld) -> None:
        self.channel = channel
        self.money = money
        self.changes = 0
        world = money.world
        self.keys = {
            (tenant, role): world.accounts.create_key(tenant, role).plaintext
            for tenant in (world.tenant_a, world.tenant_b)
            for role in ("advertiser", "storefront", "operator")
        }

    async def call(self, name: str, tenant: str, role: str, **fields: Any) -> Any:
        path, method = METHODS[name]
        from google.protobuf import message_factory

        request = message_factory.GetMessageClass(method.input_type)(**fields)
        answer = message_factory.GetMessageClass(method.output_type)
        ask: Any = self.channel.unary_unary(path)
        key = self.keys[tenant, role]
        return answer.FromString(await ask(request.SerializeToString(), metadata=(("x-api-key", key),)))

    async def code(self, name: str, tenant: str, role: str, **fields: Any) -> grpc.StatusCode:
        try:
            await self.call(name, tenant, role, **fields)
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    def change(self) -> None:
        self.changes += 1


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    with money_world(tmp_path) as money, closing(LmdbEventLog(tmp_path / "log", map_size_bytes=1 << 22)) as log:
        server = grpc.aio.server()
        port = server.add_insecure_port("127.0.0.1:0")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            made = Client(channel, money)
            keys = money.world.keys
            pause = ExchangePause(store=SqlExchangeSwitch(money.world.engine), clock=money.world.clock)
            handlers = (
                BillingServer(
                    balances=money.balances, invoices=money.invoices, alerts=money.alerts, keys=keys,
                    on_change=made.change,
                ).handler(),
                CampaignEditServer(edits=money.edits, files=money.files, keys=keys, on_change=made.change).handler(),
                PublisherServer(
                    revenue=money.revenue, payouts=money.payouts, keys=keys, currency="EUR"
                ).handler(),
                FloorServer(desk=a_desk(tmp_path, log), keys=keys).handler(),
                OperationsServer(pause=pause, keys=keys).handler(),
            )  # fmt: skip
            server.add_generic_rpc_handlers(handlers)
            await server.start()
            yield made
        await server.stop(None)


def requests(money: MoneyWorld, invoice_id: str, change: int) -> dict[str, dict[str, Any]]:
    """One good request of tenant "a" for each rpc, without the tenant."""
    advertiser = {"advertiser_id": money.advertiser_id}
    return {
        "SetTerms": advertiser | {"idempotency_key": "1", "terms": 2},
        "TopUp": advertiser | {"idempotency_key": "2", "amount_micros": 5_000},
        "GetBalance": advertiser,
        "ListPostings": advertiser,
        "GetTrialBalance": {},
        "IssueInvoice": advertiser | {"idempotency_key": "3", "month": "2023-11", "interim": True},
        "IssueCreditNote": {"idempotency_key": "4", "invoice_id": invoice_id, "reason": "x", "net_micros": 1},
        "ListInvoices": advertiser,
        "GetInvoice": {"invoice_id": invoice_id},
        "GetInvoicePdf": {"invoice_id": invoice_id},
        "ListAlerts": {},
        "UpdateAdvertiser": {
            "idempotency_key": "5",
            "advertiser": advertiser | {"name": "New"},
            "update_mask": {"paths": ["name"]},
        },
        "UpdateCampaign": {
            "idempotency_key": "6",
            "campaign": {"campaign_id": money.campaign.campaign_id, "name": "New"},
            "update_mask": {"paths": ["name"]},
        },
        "UpdateLineItem": {
            "idempotency_key": "7",
            "line_item": {"line_item_id": money.item.line_item_id, "name": "New"},
            "update_mask": {"paths": ["name"]},
        },
        "ListChanges": {"id": money.item.line_item_id},
        "UndoChange": {"idempotency_key": "8", "change_number": change},
        "ImportCampaigns": {"idempotency_key": "9", "csv": money.files.export(money.world.tenant_a)[0]},
        "ExportCampaigns": advertiser,
        "GetRevenueReport": {"from": "2023-11-01", "to": "2023-11-30"},
        "GetStatement": {"month": "2023-11"},
        "GetStatementPdf": {"month": "2023-11"},
        "RecordPayout": {"idempotency_key": "12", "reference": "bank", "amount_micros": 400},
        "ListFloors": {},
        "SetFloors": {"rules": [{"rule_id": "all", "floor_micros": 1}]},
        "PauseExchange": {"idempotency_key": "10"},
        "ResumeExchange": {"idempotency_key": "11"},
        "GetExchangeState": {},
    }


async def prepared(client: Client) -> dict[str, dict[str, Any]]:
    money = client.money
    money.spend(1_000, publisher=money.world.tenant_a)
    a, b = money.world.tenant_a, money.world.tenant_b
    issued = await client.call(
        "IssueInvoice", b, "operator", tenant_id=a, advertiser_id=money.advertiser_id, month="2023-11", interim=True,
        idempotency_key="0",
    )  # fmt: skip
    money.spend(500)
    money.world.campaigns.set_state(money.world.write(), money.advertiser_id, 2)
    change = money.edits.changes(a, money.advertiser_id).items[-1].number
    return requests(money, issued.invoice_id, change)


async def test_everything_can_be_asked_for_by_who_may(client: Client) -> None:
    asked = await prepared(client)
    a, b = client.money.world.tenant_a, client.money.world.tenant_b
    assert set(asked) == set(METHODS)

    # The undo comes first: what it takes back must not have changed since.
    for name in ["UndoChange", *(name for name in asked if name != "UndoChange")]:
        tenant = {} if name in OF_ALL else {"tenant_id": a}
        assert await client.code(name, b, "operator", **asked[name], **tenant) is grpc.StatusCode.OK, name
    for name in ("GetBalance", "ListInvoices", "GetInvoicePdf", "ListChanges", "ExportCampaigns", "ListAlerts"):
        assert await client.code(name, a, "advertiser", **asked[name]) is grpc.StatusCode.OK, name
    assert await client.code("GetRevenueReport", a, "storefront", **asked["GetRevenueReport"]) is grpc.StatusCode.OK
    assert client.changes > 5


async def test_another_tenants_id_is_not_found_whatever_is_asked(client: Client) -> None:
    asked = await prepared(client)
    b = client.money.world.tenant_b
    # They name no thing but answer with the tenant's own, which is nothing here; or the id stands within the file.
    own = {"ListAlerts", "ImportCampaigns", "RecordPayout", *OF_PUBLISHERS}

    for name, fields in asked.items():
        if name in OF_ALL | own:
            continue
        # The operator of "b" asks for "b" itself, so only the id is foreign.
        assert await client.code(name, b, "operator", **fields) is NOT_FOUND, name
    assert await client.code("ImportCampaigns", b, "advertiser", **asked["ImportCampaigns"]) is (
        grpc.StatusCode.INVALID_ARGUMENT
    )
    assert (await client.call("GetRevenueReport", b, "storefront", **asked["GetRevenueReport"])).rows == []


async def test_nobody_but_operators_names_another_tenant(client: Client) -> None:
    asked = await prepared(client)
    a, b = client.money.world.tenant_a, client.money.world.tenant_b

    for name, fields in asked.items():
        if name in OF_ALL:
            continue
        role = "storefront" if name in OF_PUBLISHERS else "advertiser"
        assert await client.code(name, b, role, **fields, tenant_id=a) is DENIED, name


async def test_what_is_for_operators_is_denied_to_others(client: Client) -> None:
    asked = await prepared(client)
    a = client.money.world.tenant_a

    for name in FOR_OPERATORS:
        assert await client.code(name, a, "advertiser", **asked[name]) is DENIED, name


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(METHODS))
async def test_an_empty_request_is_answered_or_refused_and_never_a_mistake_of_ours(client: Client, name: str) -> None:
    b = client.money.world.tenant_b

    code = await client.code(name, b, "operator")

    assert code in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, NOT_FOUND), name


async def test_a_publisher_reads_what_it_earned_and_was_paid(client: Client) -> None:
    asked = await prepared(client)
    a, b = client.money.world.tenant_a, client.money.world.tenant_b
    paid = await client.call("RecordPayout", b, "operator", tenant_id=a, **asked["RecordPayout"])
    mine = await client.call("GetStatement", a, "storefront", month="2023-11")
    theirs = await client.call("GetStatement", b, "storefront", month="2023-11")
    pdf = await client.call("GetStatementPdf", a, "storefront", month="2023-11")

    # Four fifths of what was billed.
    assert (paid.payout.amount_micros, paid.owed_micros) == (400, 400)
    assert (mine.opening_micros, mine.earned_micros, mine.paid_micros, mine.owed_micros) == (0, 800, 400, 400)
    assert [(line.placement_id, line.earned_micros) for line in mine.lines] == [("top", 800)]
    assert [payout.reference for payout in mine.payouts] == ["bank"]
    assert (theirs.tenant_id, theirs.earned_micros, list(theirs.lines)) == (b, 0, [])
    assert (pdf.file_name, pdf.pdf[:5]) == ("statement-2023-11.pdf", b"%PDF-")


async def test_a_publisher_sets_and_sees_its_own_floors_alone(client: Client) -> None:
    a, b = client.money.world.tenant_a, client.money.world.tenant_b
    rule = {"rule_id": "top", "floor_micros": 800_000, "placement": "top", "device": 1, "format": 1}

    trial = await client.call("SetFloors", a, "storefront", rules=[rule], dry_run=True)
    assert (trial.dry_run, list(trial.added)) == (True, ["top"])
    done = await client.call("SetFloors", a, "storefront", rules=[rule])
    mine = await client.call("ListFloors", a, "storefront")
    theirs = await client.call("ListFloors", b, "storefront")
    every = await client.call("ListFloors", b, "operator")

    assert (mine.currency, mine.version) == ("EUR", done.version)
    (told,) = mine.rules
    assert (told.rule_id, told.publisher, told.placement, told.device, told.format) == ("top", a, "top", 1, 1)
    assert (list(theirs.rules), list(theirs.learned)) == ([], [])
    assert [entry.publisher for entry in every.rules] == [a]
    assert {(learned.placement, learned.device) for learned in every.learned} == {("top", 0), ("theirs", 2)}
    # Nobody goes by rules that they have not seen.
    assert await client.code("SetFloors", a, "storefront", rules=[], version="000000000000") is grpc.StatusCode.ABORTED


async def test_an_invoice_travels_whole(client: Client) -> None:
    await prepared(client)
    a = client.money.world.tenant_a

    (short,) = (await client.call("ListInvoices", a, "advertiser")).invoices
    whole = await client.call("GetInvoice", a, "advertiser", invoice_id=short.invoice_id)
    pdf = await client.call("GetInvoicePdf", a, "advertiser", invoice_id=short.invoice_id)

    assert not short.lines
    assert (whole.month, whole.net_micros, whole.total_micros) == ("2023-11", 1_000, 1_000)
    assert [(line.line_item_name, line.amount_micros) for line in whole.lines] == [("Everybody", 1_000)]
    assert (pdf.file_name, pdf.pdf[:5]) == ("INV-2023-000001.pdf", b"%PDF-")
