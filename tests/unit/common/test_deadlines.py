"""Is what came in by the deadline looked at, also by a loop that was busy elsewhere?"""

from __future__ import annotations

import asyncio
import time

from common.deadlines import TURNS_TO_READ, wait_until


async def after_turns(turns: int) -> str:
    for _ in range(turns):
        await asyncio.sleep(0)
    return "here"


async def waited(turns: int, within_s: float) -> bool:
    task = asyncio.ensure_future(after_turns(turns))
    deadline_s = asyncio.get_running_loop().time() + within_s
    await asyncio.sleep(0)
    time.sleep(max(within_s, 0.0))
    await wait_until([task], deadline_s)
    done = task.done()
    task.cancel()
    return done


async def test_what_is_on_its_way_through_the_loop_at_the_deadline_is_in_time() -> None:
    assert await waited(TURNS_TO_READ, 0.01)
    assert await waited(TURNS_TO_READ, -1.0)


async def test_what_takes_longer_is_late() -> None:
    assert not await waited(1_000, 0.01)


async def test_nobody_waits_when_the_first_is_all_that_is_wanted() -> None:
    never = asyncio.get_running_loop().create_future()
    quick = asyncio.ensure_future(after_turns(1))
    deadline_s = asyncio.get_running_loop().time() + 60.0

    await wait_until([never, quick], deadline_s, return_when=asyncio.FIRST_COMPLETED)

    assert quick.done()
    assert not never.done()
