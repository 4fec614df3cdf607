"""How do floors come in over gRPC? FloorService: messages in, our own values, messages out."""

from __future__ import annotations

import asyncio

import grpc

from accounts.grpc_edge import Context, Method, handlers_for
from accounts.ports import ApiKeys, Caller
from exchange.billing_server import tenant_of
from exchange.floor_desk import FloorDesk, Scope
from exchange.floor_rules import FloorRule
from exchange.learned_floors import LearnedFloor
from protos import floors_pb2

SERVICE = floors_pb2.DESCRIPTOR.services_by_name["FloorService"].full_name
ROLES = ("storefront", "operator")


class FloorServer:
    """FloorService."""

    def __init__(self, *, desk: FloorDesk, keys: ApiKeys) -> None:
        self._desk = desk
        self._keys = keys

    def handler(self) -> grpc.GenericRpcHandler:
        """To be added to a grpc.aio server."""
        methods: dict[str, Method] = {
            "ListFloors": (floors_pb2.ListFloorsRequest, self.list_floors),
            "SetFloors": (floors_pb2.SetFloorsRequest, self.set_floors),
        }
        return handlers_for(SERVICE, methods, self._keys, ROLES)

    async def list_floors(self, request: floors_pb2.ListFloorsRequest, caller: Caller, _: Context) -> floors_pb2.Floors:
        """What holds."""
        scope = _scope(request, caller)
        version, rules = await asyncio.to_thread(self._desk.rules, scope)
        floors, learned = await asyncio.to_thread(self._desk.learned, scope)
        return floors_pb2.Floors(
            currency=self._desk.currency,
            version=version,
            rules=[_told(rule) for rule in rules],
            learned=[_learned(segment, floor) for segment, floor in learned.items()],
            learned_version=floors.version if floors is not None else "",
            holdout=floors.holdout if floors is not None else 0.0,
        )

    async def set_floors(
        self, request: floors_pb2.SetFloorsRequest, caller: Caller, _: Context
    ) -> floors_pb2.FloorChange:
        """Other rules, or what they would change."""
        change = await asyncio.to_thread(
            lambda: self._desk.set(
                _scope(request, caller),
                [_rule(rule) for rule in request.rules],
                request.version,
                dry_run=request.dry_run,
            )
        )
        effect = change.effect
        return floors_pb2.FloorChange(
            dry_run=request.dry_run,
            version=change.version,
            added=change.added,
            changed=change.changed,
            removed=change.removed,
            effect=floors_pb2.FloorEffect(
                placements=effect.placements,
                sold_before=effect.sold_before,
                sold_after=effect.sold_after,
                revenue_per_mille_before_micros=effect.revenue_before_micros,
                revenue_per_mille_after_micros=effect.revenue_after_micros,
            ),
        )


def _scope(request: floors_pb2.ListFloorsRequest | floors_pb2.SetFloorsRequest, caller: Caller) -> Scope:
    """An operator that names nobody means everybody."""
    everybody = caller.role == "operator" and not request.tenant_id
    return Scope("" if everybody else tenant_of(request, caller), request.placement_id)


def _rule(message: floors_pb2.FloorRule) -> FloorRule:
    return FloorRule(
        rule_id=message.rule_id,
        floor_micros=message.floor_micros,
        publisher=message.publisher,
        placement=message.placement,
        category=message.category,
        country=message.country,
        device=message.device,
        size=message.size,
        format=message.format,
    )


def _told(rule: FloorRule) -> floors_pb2.FloorRule:
    return floors_pb2.FloorRule(
        rule_id=rule.rule_id,
        floor_micros=rule.floor_micros,
        publisher=rule.publisher,
        placement=rule.placement,
        category=rule.category,
        country=rule.country,
        device=rule.device,  # type: ignore[arg-type]  # an open enum
        size=rule.size,
        format=rule.format,  # type: ignore[arg-type]
    )


def _learned(segment: str, floor: LearnedFloor) -> floors_pb2.LearnedFloor:
    placement, format_, device = segment.rsplit("|", 2)
    return floors_pb2.LearnedFloor(
        placement=placement,
        format=int(format_),  # type: ignore[arg-type]  # an open enum
        device=0 if device == "*" else int(device),  # type: ignore[arg-type]
        floor_micros=floor.floor_micros,
        static_micros=floor.static_micros,
        auctions=floor.auctions,
    )
