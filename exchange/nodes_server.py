"""How do nodes speak to one another over gRPC? NodeService: notices of ads that this node sold, told to another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import Message

from accounts.grpc_edge import Caller, Method, handlers_for
from accounts.ports import ApiKeys
from common.errors import NotFound
from exchange.billing import Notice
from exchange.corrections import Corrections
from exchange.holds import Hold
from exchange.node_keys import NODE_ROLE
from exchange.notice_routing import TakeNotices, judged
from protos import exchange_pb2, nodes_pb2

SERVICE = nodes_pb2.DESCRIPTOR.services_by_name["NodeService"].full_name


class NodeServer:
    """`number` is this node's; `take` takes notices of its own ads."""

    def __init__(
        self,
        *,
        number: int,
        take: TakeNotices,
        find: Callable[[str], Hold | None],
        corrections: Corrections,
        keys: ApiKeys,
    ) -> None:
        self._number = number
        self._take = take
        self._find = find
        self._corrections = corrections
        self._keys = keys

    def handler(self) -> grpc.GenericRpcHandler:
        """To be added to a grpc.aio server."""
        methods: dict[str, Method] = {
            "TakeNotices": (nodes_pb2.ForwardedNotices, self._take_notices),
            "TakeBack": (nodes_pb2.TakeBackRequest, self._take_back),
        }
        return handlers_for(SERVICE, methods, self._keys, (NODE_ROLE,))

    async def _take_notices(self, request: nodes_pb2.ForwardedNotices, _: Caller, __: Any) -> Message:
        if request.owner != self._number:
            raise NotFound(f"owner: this is node {self._number} and not {request.owner}")
        notices = [
            judged(
                Notice(
                    int(said.kind),
                    said.impression_id,
                    said.order_id,
                    said.validity,
                    said.from_browser,
                    said.publisher_id,
                ),
                self._find(said.impression_id),
                request.said_at_ms,
            )
            for said in request.notices
        ]
        outcomes = await self._take(notices)
        answer = nodes_pb2.ForwardedOutcomes()
        for notice, outcome in zip(notices, outcomes, strict=True):
            hold = self._find(notice.impression_id)
            answer.outcomes.add(
                outcome=exchange_pb2.NoticeOutcome(
                    verdict=outcome.verdict,  # type: ignore[arg-type]  # the enum's own numbers
                    billed_micros=outcome.billed_micros,
                    currency=outcome.currency,
                ),
                line_item_number=hold.line_item_number if hold else 0,
                clicked_at_ms=hold.clicked_at_ms if hold else 0,
            )
        return answer

    async def _take_back(self, request: nodes_pb2.TakeBackRequest, _: Caller, __: Any) -> Message:
        done = await self._corrections.take_back(request.impression_id, int(request.kind), request.order_id)
        return nodes_pb2.TakenBack(
            taken_back=done.taken_back, refunded_micros=done.refunded_micros, currency=done.currency
        )
