"""What becomes of notices whose node was away? They wait in the log, and are handed on once it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from common.errors import BackendUnavailable
from exchange.billing import Notice
from exchange.nodes import Node
from exchange.notice_routing import Peers
from streams.ports import EventLog
from streams.schemas import NoticesForwarded, decode
from streams.topics import FORWARDED_NOTICES

_RECORDS_AT_ONCE = 64


class Offsets(Protocol):
    """How far the queue of each owner is handed on, under a name; blocks on SQL."""

    def read_upto(self, owner: int) -> int:
        """The offset of the topic from which on nothing is handed on to this owner."""

    def move(self, owner: int, from_offset: int, upto_offset: int) -> bool:
        """Go on from there; False when another did."""


class Forwarding:
    """Hands on what topic `forwarded_notices` holds, to each owner in order. An owner that is away stops nobody else's.

    What was handed on and not yet noted is said again after a restart, and answered as a duplicate. `lost` counts
    notices whose node was written off: they stay recorded, and are not billed.
    """

    def __init__(self, *, log: EventLog, offsets: Offsets, nodes: Callable[[], Sequence[Node]], peers: Peers) -> None:
        self.lost = 0
        self._log = log
        self._offsets = offsets
        self._nodes = nodes
        self._peers = peers
        self._upto: dict[int, int] = {}

    async def hand_on(self) -> int:
        """Hand on what can be; how many notices. Call it again and again. BackendUnavailable when SQL is away."""
        end = self._log.end(FORWARDED_NOTICES.name)
        handed = 0
        for node in self._nodes() if end else ():
            if node.number not in self._upto:
                self._upto[node.number] = await asyncio.to_thread(self._offsets.read_upto, node.number)
            if self._upto[node.number] < end:
                handed += await self._to(node)
        return handed

    def waiting(self) -> int:
        """Records that some node may still have to be told."""
        end = self._log.end(FORWARDED_NOTICES.name)
        return end - min((upto for upto in self._upto.values()), default=end)

    def handed_upto(self) -> int:
        """The offset below which nobody is owed anything: what retention may drop. Blocks on SQL."""
        upto = (self._offsets.read_upto(node.number) for node in self._nodes())
        return min(upto, default=self._log.end(FORWARDED_NOTICES.name))

    async def _to(self, node: Node) -> int:
        handed = 0
        while records := self._log.read(FORWARDED_NOTICES.name, self._upto[node.number], _RECORDS_AT_ONCE):
            begun = offset = self._upto[node.number]
            try:
                for record in records:
                    event = decode(FORWARDED_NOTICES.name, record)
                    if isinstance(event, NoticesForwarded) and event.owner == node.number:
                        handed += await self._tell(node, event)
                    offset = record.offset + 1
            except BackendUnavailable:
                # It is still away: what came before this record is done.
                await self._note(node, begun, offset)
                return handed
            await self._note(node, begun, offset)
        return handed

    async def _tell(self, node: Node, event: NoticesForwarded) -> int:
        if node.written_off:
            self.lost += len(event.notices)
            return 0
        notices = [
            Notice(n.kind, n.impression_id, n.order_id, n.validity, n.from_browser, n.publisher_id)
            for n in event.notices
        ]
        await self._peers.take_notices(node, event.said_at_ms, notices)
        return len(notices)

    async def _note(self, node: Node, begun: int, offset: int) -> None:
        if offset > begun:
            await asyncio.to_thread(self._offsets.move, node.number, begun, offset)
            self._upto[node.number] = offset
