"""Single page views become batches when they come together, and wait for nobody when they come alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from common.errors import BackendUnavailable
from exchange import batching
from exchange.answer import Answer
from exchange.batching import BATCH_LIMIT, Batcher
from exchange.request import PageView
from tests.builders import a_page_view


class Core:
    """Answers with the request's own id, and remembers the sizes of its batches."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.trouble: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def hold_auctions(self, batch: Sequence[PageView]) -> list[Answer]:
        self.sizes.append(len(batch))
        if self.gate is not None:
            await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble
        return [Answer(f"auction-{view.request_id}", view.request_id, ()) for view in batch]


def views(count: int) -> list[PageView]:
    return [a_page_view(request_id=str(number)) for number in range(count)]


async def test_what_comes_together_is_one_batch_and_each_gets_its_own_answer() -> None:
    core = Core()
    batcher = Batcher(core.hold_auctions)

    answers = await asyncio.gather(*(batcher.submit(view) for view in views(20)))

    assert core.sizes == [20]
    assert [answer.request_id for answer in answers] == [str(number) for number in range(20)]


async def test_one_alone_is_a_batch_of_one() -> None:
    core = Core()
    batcher = Batcher(core.hold_auctions)

    first = await batcher.submit(views(1)[0])
    await asyncio.sleep(0.01)
    second = await batcher.submit(views(1)[0])

    assert core.sizes == [1, 1]
    assert first.request_id == second.request_id


async def test_a_busy_server_takes_in_what_the_next_turn_of_the_loop_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    # However slow the machine is, the server is busy for the whole test.
    monkeypatch.setattr(batching, "BUSY_S", 600.0)
    monkeypatch.setattr(batching, "LONGEST_WAIT_S", 600.0)
    core = Core()
    batcher = Batcher(core.hold_auctions)
    await asyncio.gather(*(batcher.submit(view) for view in views(3)))

    first = batcher.submit(views(1)[0])
    await asyncio.sleep(0)
    second = batcher.submit(views(1)[0])
    await asyncio.gather(first, second)

    assert core.sizes == [3, 2]


async def test_more_than_the_limit_are_several_batches() -> None:
    core = Core()
    batcher = Batcher(core.hold_auctions)

    await asyncio.gather(*(batcher.submit(view) for view in views(BATCH_LIMIT + 10)))

    assert core.sizes == [BATCH_LIMIT, 10]


async def test_what_comes_while_a_batch_waits_is_held_beside_it() -> None:
    core = Core()
    core.gate = asyncio.Event()
    batcher = Batcher(core.hold_auctions)

    first = asyncio.ensure_future(batcher.submit(views(1)[0]))
    while not core.sizes:
        await asyncio.sleep(0)
    second = asyncio.ensure_future(batcher.submit(views(1)[0]))
    while len(core.sizes) < 2:
        await asyncio.sleep(0)
    core.gate.set()

    assert len(await asyncio.gather(first, second)) == 2


async def test_trouble_is_told_to_every_caller_and_ends_with_its_batch() -> None:
    core = Core()
    core.trouble = BackendUnavailable("the disk is full")
    batcher = Batcher(core.hold_auctions)

    results = await asyncio.gather(*(batcher.submit(view) for view in views(3)), return_exceptions=True)
    core.trouble = None
    after = await batcher.submit(views(1)[0])

    assert all(isinstance(result, BackendUnavailable) for result in results)
    assert after.request_id == "0"


async def test_a_caller_that_goes_away_costs_the_others_nothing() -> None:
    core = Core()
    core.gate = asyncio.Event()
    batcher = Batcher(core.hold_auctions)
    first, second = (batcher.submit(view) for view in views(2))
    while not core.sizes:
        await asyncio.sleep(0)

    first.cancel()
    core.gate.set()

    assert (await second).request_id == "1"
    with pytest.raises(asyncio.CancelledError):
        await first
