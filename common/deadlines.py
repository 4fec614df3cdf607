"""What is there at a deadline? What had come in by then is looked at first, where the event loop was busy elsewhere.

A loop that holds a batch for twenty milliseconds finds a timer that has run out beside an answer that came long before
it: the answer counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Final

# Turns of the event loop: from a readable socket by way of its reader to whoever waits for a message.
TURNS_TO_READ: Final = 4


async def wait_until(
    waiting: Collection[asyncio.Future[Any]],
    deadline_s: float,
    *,
    return_when: str = asyncio.ALL_COMPLETED,
    turns: int = TURNS_TO_READ,
) -> None:
    """Return when all of these are done (or the first one, see asyncio.wait), or at the deadline, by the loop's clock,
    and `turns` of the loop. Whoever waits for somebody that waits by this gives more of them.
    """
    left_s = deadline_s - asyncio.get_running_loop().time()
    done, pending = await asyncio.wait(waiting, timeout=max(left_s, 0.0), return_when=return_when)
    if done and (not pending or return_when == asyncio.FIRST_COMPLETED):
        return
    for _ in range(turns):
        await asyncio.sleep(0)
