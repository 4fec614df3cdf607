"""How does a storefront tell what became of the ads? In their order, gathered while the report before is under way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from client.errors import CallFailed, ClientClosed
from protos.exchange_pb2 import Notice, NoticeOutcome

T = TypeVar("T")

_MOST_AT_ONCE = 512
_MOST_WAITING = 20_000


class Notified(Protocol):
    """What takes notices; an ExchangeClient is one."""

    async def report_notices(self, notices: Sequence[Notice]) -> list[NoticeOutcome]:
        """One outcome for each notice."""


class NoticeReporter(Generic[T]):
    """Notices of one connection; `told(about, notice, outcome)` is called with what became of each.

    An impression always leaves before its click. When reports cannot be delivered, `lost(count, error)` is called.
    """

    def __init__(
        self,
        client: Notified,
        *,
        told: Callable[[T, Notice, NoticeOutcome], None],
        lost: Callable[[int, Exception], None],
    ) -> None:
        self._client = client
        self._told = told
        self._lost = lost
        self._waiting: deque[tuple[T, Notice]] = deque()
        self._sending: asyncio.Task[None] | None = None

    async def report(self, about: T, notices: Sequence[Notice]) -> None:
        """Send these when the reports before them are out; waits only while very many are waiting."""
        self._waiting.extend((about, notice) for notice in notices)
        if self._waiting and (self._sending is None or self._sending.done()):
            self._sending = asyncio.create_task(self._send())
        if len(self._waiting) > _MOST_WAITING and self._sending is not None:
            await asyncio.wait([self._sending])

    async def drain(self) -> None:
        """Return when all that was reported is out."""
        if self._sending is not None:
            await self._sending

    async def _send(self) -> None:
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]
            try:
                outcomes = await self._client.report_notices([notice for _, notice in some])
            except (CallFailed, ClientClosed) as error:
                self._lost(len(some), error)
                continue
            for (about, notice), outcome in zip(some, outcomes, strict=True):
                self._told(about, notice, outcome)
