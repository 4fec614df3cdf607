"""What does the decision alone cost? The exchange in this process, without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.measure import Prepare
from bench.settings import BenchSettings


@asynccontextmanager
async def open_exchange(settings: BenchSettings) -> AsyncIterator[Prepare | None]:
    """What makes a batch ready and holds its auctions; None leaves the row out."""
    yield None
