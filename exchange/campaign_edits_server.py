"""How do edits, history and files of campaigns come in over gRPC? CampaignEditService over their use cases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
import msgspec

from accounts.grpc_edge import Context, Method, handlers_for
from accounts.ports import ApiKeys, Caller
from exchange import bulk_csv
from exchange.billing_server import tenant_of
from exchange.bulk_import import BulkImport, ImportReport
from exchange.campaign_edits import CampaignEdits
from exchange.campaign_ports import ChangeMade
from exchange.campaigns import Write
from exchange.campaigns_server import advertiser_of, campaign_of, fields_of, line_item_of
from protos import campaign_edits_pb2 as edits_pb2
from protos import campaigns_pb2

SERVICE = edits_pb2.DESCRIPTOR.services_by_name["CampaignEditService"].full_name
ROLES = ("advertiser", "operator")
# A file, and some.
MAX_REQUEST_BYTES = bulk_csv.MAX_BYTES + (1 << 20)

T = TypeVar("T")


class CampaignEditServer:
    """CampaignEditService; `on_change` is called after every write, on the event loop, and must not block."""

    def __init__(
        self, *, edits: CampaignEdits, files: BulkImport, keys: ApiKeys, on_change: Callable[[], object]
    ) -> None:
        self._edits = edits
        self._files = files
        self._keys = keys
        self._on_change = on_change

    def handler(self) -> grpc.GenericRpcHandler:
        """To be added to a grpc.aio server."""
        methods: dict[str, Method] = {
            "UpdateAdvertiser": (edits_pb2.UpdateAdvertiserRequest, self.update_advertiser),
            "UpdateCampaign": (edits_pb2.UpdateCampaignRequest, self.update_campaign),
            "UpdateLineItem": (edits_pb2.UpdateLineItemRequest, self.update_line_item),
            "ListChanges": (edits_pb2.ListChangesRequest, self.list_changes),
            "UndoChange": (edits_pb2.UndoChangeRequest, self.undo_change),
            "ImportCampaigns": (edits_pb2.ImportCampaignsRequest, self.import_campaigns),
            "ExportCampaigns": (edits_pb2.ExportCampaignsRequest, self.export_campaigns),
        }
        return handlers_for(SERVICE, methods, self._keys, ROLES, MAX_REQUEST_BYTES)

    async def update_advertiser(
        self, request: edits_pb2.UpdateAdvertiserRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.Advertiser:
        """Some fields of an advertiser."""
        draft = msgspec.structs.replace(advertiser_of(request.advertiser), state=request.advertiser.state)
        asked = request.advertiser.advertiser_id, draft, list(request.update_mask.paths), request.revision
        changed = await self._write(request, caller, lambda write: self._edits.update_advertiser(write, *asked))
        return campaigns_pb2.Advertiser(**fields_of(changed))

    async def update_campaign(
        self, request: edits_pb2.UpdateCampaignRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.Campaign:
        """Some fields of a campaign."""
        draft = campaign_of(request.campaign)
        asked = request.campaign.campaign_id, draft, list(request.update_mask.paths), request.revision
        changed = await self._write(request, caller, lambda write: self._edits.update_campaign(write, *asked))
        return campaigns_pb2.Campaign(**fields_of(changed))

    async def update_line_item(
        self, request: edits_pb2.UpdateLineItemRequest, caller: Caller, _: Context
    ) -> campaigns_pb2.LineItem:
        """Some fields of a line item."""
        draft = line_item_of(request.line_item)
        asked = request.line_item.line_item_id, draft, list(request.update_mask.paths), request.revision
        changed = await self._write(request, caller, lambda write: self._edits.update_line_item(write, *asked))
        return campaigns_pb2.LineItem(**fields_of(changed))

    async def list_changes(
        self, request: edits_pb2.ListChangesRequest, caller: Caller, _: Context
    ) -> edits_pb2.ChangePage:
        """A page of the history."""
        tenant = tenant_of(request, caller)
        page = await asyncio.to_thread(self._edits.changes, tenant, request.id, request.page_size, request.page_token)
        return edits_pb2.ChangePage(
            changes=[_change(change) for change in page.items], next_page_token=page.next_page_token
        )

    async def undo_change(
        self, request: edits_pb2.UndoChangeRequest, caller: Caller, _: Context
    ) -> edits_pb2.UndoneChange:
        """A step back."""
        undone = await self._write(request, caller, lambda write: self._edits.undo(write, request.change_number))
        return edits_pb2.UndoneChange(kind=undone.kind, id=undone.id, revision=undone.revision)

    async def import_campaigns(
        self, request: edits_pb2.ImportCampaignsRequest, caller: Caller, _: Context
    ) -> edits_pb2.ImportReport:
        """Many things by a file."""
        if request.dry_run:
            tenant = tenant_of(request, caller)
            return _report(await asyncio.to_thread(self._files.dry_run, tenant, request.csv), dry_run=True)
        done = await self._write(request, caller, lambda write: self._files.run(write, request.csv))
        return _report(done, dry_run=False)

    async def export_campaigns(
        self, request: edits_pb2.ExportCampaignsRequest, caller: Caller, _: Context
    ) -> edits_pb2.ExportedCampaigns:
        """The file of what there is."""
        tenant = tenant_of(request, caller)
        data, rows = await asyncio.to_thread(self._files.export, tenant, request.advertiser_id)
        return edits_pb2.ExportedCampaigns(csv=data, rows=rows)

    async def _write(self, request: Any, caller: Caller, work: Callable[[Write], T]) -> T:
        write = Write(caller, tenant_of(request, caller), request.idempotency_key)
        answer = await asyncio.to_thread(work, write)
        self._on_change()
        return answer


def _change(change: ChangeMade) -> edits_pb2.CampaignChange:
    before = msgspec.json.decode(change.before) if change.before else {}
    after = msgspec.json.decode(change.after)
    changed = [name for name in after if name not in ("revision", "number") and before.get(name) != after[name]]
    return edits_pb2.CampaignChange(
        change_number=change.number,
        at_ms=change.at_ms,
        actor_tenant_id=change.actor_tenant_id,
        actor_role=change.actor_role,
        action=change.action,
        kind=change.kind,
        id=change.id,
        revision=change.revision,
        changed_fields=changed if before else [],
        before_json=change.before,
        after_json=change.after,
    )


def _report(report: ImportReport, *, dry_run: bool) -> edits_pb2.ImportReport:
    return edits_pb2.ImportReport(
        dry_run=dry_run,
        created=report.count("create"),
        changed=report.count("change"),
        unchanged=report.count("unchanged"),
        rows=[
            edits_pb2.ImportedRow(
                line=row.line,
                kind=row.kind,
                external_id=row.external_id,
                action=row.action,
                id=row.id,
                changed_fields=row.changed_fields,
            )
            for row in report.rows
        ],
    )
