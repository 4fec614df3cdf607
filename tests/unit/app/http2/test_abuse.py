"""What one peer can cost is bounded, whatever it sends."""

from __future__ import annotations

import asyncio

import pytest

from app.http2 import frames as f
from app.http2.frames import Code
from app.http2.limits import Limits
from tests.http2_peer import Handlers, Peer, data_of, end, errors_in, message, part

CALM = [("connection", Code.ENHANCE_YOUR_CALM)]


async def test_calls_that_are_taken_back_at_once_end_the_connection() -> None:
    peer = Peer(limits=Limits(resets=50, resets_per_s=1))
    await peer.heard()

    said = await peer.say(*(peer.call(sid, "Wait") + f.rst_stream(sid, Code.CANCEL) for sid in range(1, 401, 2)))

    assert errors_in(said) == CALM
    assert peer.connection.handlers == 0
    # None of them was still wanted when its turn came.
    assert peer.handlers.started == 0


async def test_answered_calls_buy_the_right_to_take_some_back() -> None:
    peer = Peer(limits=Limits(resets=10, resets_per_s=0))

    for sid in range(1, 401, 4):
        said = await peer.say(peer.call(sid, "Once"))
        assert peer.status(said, sid) == "0"
        said = await peer.say(peer.call(sid + 2, "Wait"), f.rst_stream(sid + 2, Code.CANCEL))
        assert errors_in(said) == []


async def test_streams_beyond_the_limit_are_refused_and_may_be_tried_again() -> None:
    peer = Peer(limits=Limits(streams=4))
    await peer.heard()

    said = await peer.say(*(peer.call(sid, "Wait") for sid in range(1, 13, 2)))
    peer.handlers.open_gate.set()
    answered = await peer.heard()
    again = await peer.say(peer.call(13, "Once"))

    assert errors_in(said) == [("stream", Code.REFUSED_STREAM)] * 2
    assert [peer.status(answered, sid) for sid in (1, 3, 5, 7)] == ["0"] * 4
    assert peer.status(again, 13) == "0"


async def test_handlers_whose_callers_have_gone_count_until_they_end() -> None:
    class Stubborn(Handlers):
        async def wait(self, data: bytes, context: object) -> bytes:
            self.started += 1
            while not self.open_gate.is_set():
                try:
                    await self.open_gate.wait()
                except asyncio.CancelledError:
                    self.cancelled += 1
            return data

    peer = Peer(Stubborn(), limits=Limits(abandoned_handlers=3))
    for sid in (1, 3, 5):
        await peer.say(peer.call(sid, "Wait"))
        await peer.say(f.rst_stream(sid, Code.CANCEL))

    refused = await peer.say(peer.call(7, "Once"))
    peer.handlers.open_gate.set()
    await peer.heard()
    taken = await peer.say(peer.call(9, "Once"))

    assert errors_in(refused) == [("stream", Code.REFUSED_STREAM)]
    assert peer.status(taken, 9) == "0"


@pytest.mark.parametrize(
    "frame",
    [
        f.frame(f.PING, 0, 0, bytes(8)),
        f.settings({f.INITIAL_WINDOW_SIZE: 1000}),
        f.frame(f.PRIORITY, 0, 99, bytes(5)),
        f.frame(0x55, 0, 0, b""),
        part(1, b""),
        f.rst_stream(3, Code.CANCEL),
        part(3, b""),
    ],
    ids=["ping", "settings", "priority", "unknown", "empty data", "reset of nothing", "data on a stream that is over"],
)
async def test_frames_that_carry_nothing_are_counted(frame: bytes) -> None:
    peer = Peer(limits=Limits(chores=100, chores_per_s=0))
    await peer.say(peer.begin(1, "Join"), peer.call(3, "Once"))

    few = await peer.say(frame * 50)
    many = await peer.say(frame * 200)

    assert [kind for kind, _ in errors_in(few) if kind == "connection"] == []
    assert errors_in(many)[-1:] == CALM


async def test_room_for_single_bytes_is_counted_where_something_waits() -> None:
    peer = Peer(limits=Limits(chores=100, chores_per_s=0))
    await peer.say(peer.call(1, "Sized", b"100000"))

    said = await peer.say(f.window_update(0, 1 << 20), f.window_update(1, 1) * 200)

    assert errors_in(said) == CALM
    assert len(data_of(said, 1)) <= 100


async def test_small_room_is_usual_where_nothing_waits() -> None:
    peer = Peer(limits=Limits(chores=100, chores_per_s=0))
    await peer.say(peer.call(1, "Wait"))

    said = await peer.say(f.window_update(0, 5) * 500, f.window_update(1, 5) * 500)

    assert errors_in(said) == []


async def test_a_header_block_without_end_ends_the_connection() -> None:
    peer = Peer()
    await peer.heard()

    said = await peer.say(f.frame(f.HEADERS, 0, 1, b""), f.frame(f.CONTINUATION, 0, 1, b"") * 100)

    assert errors_in(said) == CALM


async def test_a_long_header_block_ends_the_connection() -> None:
    peer = Peer()
    await peer.heard()

    said = await peer.say(f.frame(f.HEADERS, 0, 1, bytes(16_000)), f.frame(f.CONTINUATION, 0, 1, bytes(16_000)) * 4)

    assert errors_in(said) == CALM


async def test_too_much_metadata_costs_its_call() -> None:
    peer = Peer(limits=Limits(header_list_bytes=2_000))
    await peer.heard()

    said = await peer.say(peer.call(1, "Once", b"", ("x-large", "v" * 3_000)), peer.call(3, "Once"))

    assert peer.status(said, 1) == "8"
    assert peer.status(said, 3) == "0"


async def test_a_header_bomb_ends_the_connection() -> None:
    peer = Peer(limits=Limits(header_list_bytes=2_000))
    await peer.heard()
    # One large entry in the table, named again and again by one byte each.
    bomb = peer.encoder.encode([("x-bomb", "b" * 3_000)]) + b"\xbe" * 1_000

    said = await peer.say(f.header_frames(1, bomb, end_stream=False))

    assert errors_in(said) == CALM


async def test_answers_that_a_peer_asks_for_and_does_not_read_end_the_connection() -> None:
    peer = Peer(limits=Limits(unread_bytes=10_000))
    peer.connection.pause_writing()
    peer.transport.unread = 50_000

    await peer.say(f.frame(f.PING, 0, 0, bytes(8)))

    assert peer.transport.aborted


async def test_a_slow_preface_ends_the_connection() -> None:
    peer = Peer(greet=False)
    await peer.say(f.PREFACE[:10])

    peer.connection.sweep(peer.connection.now_s() + 11)

    assert errors_in(await peer.heard()) == [("connection", Code.SETTINGS_TIMEOUT)]


async def test_an_idle_connection_is_sent_away_and_a_busy_one_is_not() -> None:
    idle, busy = Peer(), Peer()
    await busy.say(busy.call(1, "Wait"))
    await idle.heard()

    for peer in (idle, busy):
        peer.connection.sweep(peer.connection.now_s() + 1_000)

    assert errors_in(await idle.heard()) == [("connection", Code.NO_ERROR)]
    assert errors_in(await busy.heard()) == []


async def test_a_request_that_does_not_arrive_is_given_up() -> None:
    peer = Peer()
    await peer.say(peer.begin(1, "Once"), part(1, b"\x00"), peer.begin(3, "Each"), peer.call(5, "Wait"))

    peer.connection.sweep(peer.connection.now_s() + 61)
    said = await peer.heard()

    # A stream that is quiet, and a handler that takes its time, are left alone.
    assert [(one.sid, errors_in([one])) for one in said if errors_in([one])] == [(1, [("stream", Code.CANCEL)])]


async def test_an_answer_that_nobody_takes_is_given_up() -> None:
    peer = Peer()
    await peer.say(peer.call(1, "Sized", b"100000"))

    peer.connection.sweep(peer.connection.now_s() + 61)

    assert errors_in(await peer.heard()) == [("stream", Code.CANCEL)]
    assert peer.connection.blocked == {}


async def test_a_silent_peer_with_open_calls_is_asked_and_then_left() -> None:
    peer = Peer()
    await peer.say(peer.call(1, "Wait"))
    now_s = peer.connection.now_s()

    peer.connection.sweep(now_s + 61)
    asked = await peer.heard()
    peer.connection.sweep(now_s + 130)

    assert [one.kind for one in asked] == [f.PING]
    assert peer.transport.aborted


async def test_a_peer_that_was_told_to_go_does_not_keep_its_socket() -> None:
    peer = Peer()
    await peer.say(f.frame(f.PING, 0, 1, bytes(8)))

    peer.connection.sweep(peer.connection.now_s() + 3)

    assert peer.transport.aborted


async def test_connections_beyond_the_limit_are_closed() -> None:
    peer = Peer(limits=Limits(connections=1))
    other = type(peer.connection)(peer.door)
    transport = type(peer.transport)()

    other.connection_made(transport)

    assert transport.closed
    assert peer.door.connections == {peer.connection}


async def test_deadlines_of_calls_that_ended_do_not_pile_up() -> None:
    peer = Peer()

    for sid in range(1, 4001, 2):
        await peer.say(peer.begin(sid, "Once", ("grpc-timeout", "1H")), end(sid, message(b"")))

    assert len(peer.connection._deadlines) < 400
