"""Has the exchange followed all that was there before it? A fresh store's posts are found, tagged and made cases first.

What is measured is an exchange that runs, not one that just began.
"""

from __future__ import annotations

import asyncio
import time

from sqlalchemy import func, select

from app.haat import Haat
from backends.sql import open_engine, reading, sqlite_url
from backends.sql_tables_measurement import PROJECTIONS
from backends.sql_tables_outbox import OUTBOX
from common.errors import BackendUnavailable
from streams.topics import POSTS

_EVERY_S = 1.0


async def settled(haat: Haat, within_s: float = 300.0) -> None:
    """Wait until nothing is left to be told or followed; BackendUnavailable when it takes longer than that."""
    begun, quiet = time.monotonic(), 0
    # Every follower has its turn between two looks, so that none is missed which has not begun.
    while quiet < 2:
        if time.monotonic() - begun > within_s:
            raise BackendUnavailable(f"the exchange still followed what was stored before it after {within_s:.0f} s")
        await asyncio.sleep(_EVERY_S)
        quiet = quiet + 1 if await asyncio.to_thread(_is_settled, haat) else 0


def _is_settled(haat: Haat) -> bool:
    engine = open_engine(sqlite_url(haat.settings.data_dir))
    unsent = select(func.count()).where(OUTBOX.c.sent_at_ms.is_(None))
    followed = select(func.min(PROJECTIONS.c.upto_offset)).where(PROJECTIONS.c.topic == POSTS.name)
    try:
        with reading(engine) as connection:
            if connection.execute(unsent).scalar_one():
                return False
            upto = connection.execute(followed).scalar_one()
    finally:
        engine.dispose()
    return upto is not None and upto >= haat.log.end(POSTS.name)
