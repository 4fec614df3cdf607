from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from backends.outgoing_sql import SqlOutgoingStore
from common.clock import SteppedClock
from exchange.notice_delivery import AT_ONCE_BY_HOST, MOST_TRIES, NoticeDelivery, Sent, after
from exchange.outgoing import Outgoing, OutgoingKind, OutgoingState, Waiting
from tests.databases import open_database

pytestmark = pytest.mark.on_every_database

IMPRESSION = "a" * 32 + ".0"


class Desk:
    def __init__(self, folder: Path) -> None:
        self.engine = open_database(folder)
        self.store = SqlOutgoingStore(self.engine)
        self.clock = SteppedClock()
        self.calls = Counter[str]()
        self.at_once = Counter[str]()
        self.most_at_once = 0
        self.status = 204
        self.delivery = NoticeDelivery(store=self.store, send=self.send, clock=self.clock, chance=Random(1))

    async def send(self, url: str) -> Sent:
        self.calls[url] += 1
        self.at_once[url[:16]] += 1
        self.most_at_once = max(self.most_at_once, *self.at_once.values())
        await asyncio.sleep(0)
        self.at_once[url[:16]] -= 1
        return Sent(self.status, "said")

    def enqueue(self, *urls: str, offset: int = 0) -> bool:
        entries = [Outgoing(f"n{offset}.{at}", OutgoingKind.BILLING, IMPRESSION, "b", u) for at, u in enumerate(urls)]
        return self.store.enqueue("notices", entries, offset, offset + 1, self.clock.now_ms())

    def states(self) -> list[tuple[OutgoingState, int]]:
        return [(told.state, told.attempts) for told in self.store.of_auction("a" * 32)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.engine.dispose()


async def test_what_was_heard_is_never_called_again(desk: Desk) -> None:
    desk.enqueue("https://b.example/1", "https://b.example/2")

    assert [await desk.delivery.round() for _ in range(3)] == [2, 0, 0]
    desk.clock.step(86_400_000)
    assert await desk.delivery.round() == 0
    assert set(desk.calls.values()) == {1}
    assert desk.states() == [(OutgoingState.HEARD, 1)] * 2


@pytest.mark.slow
async def test_what_failed_waits_longer_each_time_until_it_is_given_up(desk: Desk) -> None:
    desk.status = 500
    desk.enqueue("https://b.example/1")
    waits: list[int] = []
    tried_at = desk.clock.now_ms()
    while desk.states()[0][0] is OutgoingState.WAITING:
        if await desk.delivery.round() and desk.states()[0][1] > len(waits):
            waits.append(desk.clock.now_ms() - tried_at)
            tried_at = desk.clock.now_ms()
        desk.clock.step(max(500, (desk.clock.now_ms() - tried_at) // 4))

    assert desk.states()[0][0] is OutgoingState.GIVEN_UP
    assert len(waits) <= MOST_TRIES
    assert waits[1] < waits[3] < waits[6] < waits[9]


async def test_a_host_that_fails_is_left_alone_and_others_are_not(desk: Desk) -> None:
    desk.status = 500
    desk.enqueue(*(f"https://b.example/{at}" for at in range(20)))
    await desk.delivery.round()
    calls = sum(desk.calls.values())

    assert calls <= 5 + AT_ONCE_BY_HOST
    assert sum(attempts for _, attempts in desk.states()) == calls
    desk.status = 204
    desk.enqueue("https://other.example/1", offset=1)
    await desk.delivery.round()
    assert desk.calls["https://other.example/1"] == 1
    for _ in range(60):
        desk.clock.step(1_000)
        await desk.delivery.round()
    assert {state for state, _ in desk.states()} == {OutgoingState.HEARD}


async def test_a_host_hears_only_so_much_at_once(desk: Desk) -> None:
    desk.enqueue(*(f"https://b.example/{at}" for at in range(50)))
    await desk.delivery.round()

    assert desk.most_at_once == AT_ONCE_BY_HOST


def test_the_same_place_in_the_log_is_enqueued_once(desk: Desk) -> None:
    assert desk.enqueue("https://b.example/1")
    assert not desk.enqueue("https://b.example/1")
    assert len(desk.states()) == 1
    assert desk.store.read_upto("notices") == 1


@pytest.mark.parametrize(
    ("status", "refused", "state"),
    [
        (200, False, OutgoingState.HEARD),
        (204, False, OutgoingState.HEARD),
        (302, False, OutgoingState.WAITING),
        (404, False, OutgoingState.WAITING),
        (500, False, OutgoingState.WAITING),
        (0, False, OutgoingState.WAITING),
        (0, True, OutgoingState.REFUSED),
    ],
)
def test_only_2xx_is_an_answer_that_it_was_heard(status: int, refused: bool, state: OutgoingState) -> None:
    assert after(Waiting(1, "u", 0, 0), Sent(status, "", refused), 1_000, Random(1)).state is state


def test_after_a_day_it_is_given_up() -> None:
    entry = Waiting(1, "u", 3, enqueued_at_ms=0)

    assert after(entry, Sent(0, ""), 86_399_999, Random(1)).state is OutgoingState.WAITING
    assert after(entry, Sent(0, ""), 86_400_000, Random(1)).state is OutgoingState.GIVEN_UP


async def test_what_is_done_is_forgotten_in_its_time(desk: Desk) -> None:
    desk.enqueue("https://b.example/1")
    assert desk.store.forget_before(desk.clock.now_ms() + 1) == 0
    await desk.delivery.round()
    assert desk.store.forget_before(desk.clock.now_ms() + 1) == 1
