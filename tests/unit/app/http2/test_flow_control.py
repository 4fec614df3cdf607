"""Nothing is sent that the peer has no room for, and a peer that sends more than we have room for is stopped."""

from __future__ import annotations

from app.http2 import frames as f
from app.http2.frames import Code
from app.http2.limits import Limits
from tests.http2_peer import Peer, data_of, end, errors_in, message, part


async def test_a_large_answer_waits_for_room_on_its_stream() -> None:
    peer = Peer()
    peer.send(f.window_update(0, 1 << 20))

    first = await peer.say(peer.call(1, "Sized", b"100000"))
    second = await peer.say(f.window_update(1, 20_000))
    third = await peer.say(f.window_update(1, 100_000))

    assert len(data_of(first, 1)) == f.DEFAULT_WINDOW
    assert peer.status(first, 1) == ""
    assert len(data_of(second, 1)) == 20_000
    assert data_of(first + second + third, 1) == message(bytes(100_000))
    assert peer.status(third, 1) == "0"


async def test_streams_that_wait_for_the_connection_take_turns() -> None:
    peer = Peer()
    peer.send(f.settings({f.INITIAL_WINDOW_SIZE: 1 << 20}))
    await peer.say(peer.call(1, "Sized", b"%d" % f.DEFAULT_WINDOW))

    waiting = await peer.say(peer.call(3, "Sized", b"50000"), peer.call(5, "Sized", b"50000"))
    said = await peer.say(f.window_update(0, 3 * f.FRAME_BYTES))
    rest = await peer.say(f.window_update(0, 1 << 20))

    assert data_of(waiting, 3) == data_of(waiting, 5) == b""
    assert {len(data_of(said, 3)), len(data_of(said, 5))} == {f.FRAME_BYTES, 2 * f.FRAME_BYTES} or (
        data_of(said, 3) and data_of(said, 5)
    )
    assert data_of(said + rest, 3) == data_of(said + rest, 5) == message(bytes(50_000))


async def test_no_frame_is_larger_than_the_peer_takes() -> None:
    peer = Peer()
    peer.send(f.window_update(0, 1 << 20), f.settings({f.INITIAL_WINDOW_SIZE: 1 << 20}))

    small = await peer.say(peer.call(1, "Sized", b"100000"))
    peer.send(f.settings({f.MAX_FRAME_SIZE: 1 << 24 - 1}))
    large = await peer.say(peer.call(3, "Sized", b"100000"))

    assert max(len(one.payload) for one in small) == f.FRAME_BYTES
    assert max(len(one.payload) for one in large) == f.LARGEST_SENT


async def test_a_window_may_be_taken_back_below_nothing() -> None:
    peer = Peer()
    peer.send(f.window_update(0, 1 << 20))
    await peer.say(peer.call(1, "Sized", b"100000"))

    shrunk = await peer.say(f.settings({f.INITIAL_WINDOW_SIZE: 0}), f.window_update(1, f.DEFAULT_WINDOW))
    more = await peer.say(f.window_update(1, 7))

    assert data_of(shrunk, 1) == b""
    assert len(data_of(more, 1)) == 7


async def test_a_stream_of_answers_waits_with_its_handler() -> None:
    peer = Peer()
    peer.send(f.settings({f.INITIAL_WINDOW_SIZE: 7}))

    first = await peer.say(peer.call(1, "Split", b"abcdef"))
    second = await peer.say(f.window_update(1, 100))

    assert data_of(first, 1) == message(b"ab")
    assert data_of(second, 1) == message(b"cd") + message(b"ef")
    assert peer.status(second, 1) == "0"


async def test_a_reset_frees_what_waits_for_room() -> None:
    peer = Peer()
    await peer.say(peer.call(1, "Sized", b"100000"))

    after = await peer.say(f.rst_stream(1, Code.CANCEL), f.window_update(0, 1 << 20), f.window_update(1, 1 << 20))

    assert after == []
    assert peer.connection.blocked == {}


async def test_a_peer_that_does_not_read_gets_no_more_data_until_it_does() -> None:
    peer = Peer()
    await peer.heard()
    peer.connection.pause_writing()

    silent = await peer.say(peer.call(1, "Once", b"a"), peer.call(3, "Abort"))
    peer.connection.resume_writing()
    said = await peer.heard()

    assert data_of(silent, 1) == b""
    assert peer.status(silent, 3) == ""
    assert data_of(said, 1) == message(b"a")
    assert peer.status(said, 3) == "5"


async def test_a_deadline_replaces_an_answer_that_nobody_takes() -> None:
    peer = Peer()
    said = await peer.say(peer.call(1, "Sized", b"100000", ("grpc-timeout", "20m")))
    while not peer.status(said, 1):
        said += await peer.heard()

    assert peer.status(said, 1) == "4"
    assert len(data_of(said, 1)) == f.DEFAULT_WINDOW


async def test_room_is_given_back_as_data_comes() -> None:
    limits = Limits(stream_window=20_000, connection_window=70_000, message_bytes=1 << 20)
    peer = Peer(limits=limits)
    await peer.heard()
    peer.send(peer.begin(1, "Once"))
    whole = message(bytes(200_000))
    given = {0: 0, 1: 0}
    said = []

    for at in range(0, len(whole), 10_000):
        said = await peer.say(part(1, whole[at : at + 10_000]))
        for one in said:
            if one.kind == f.WINDOW_UPDATE:
                given[one.sid] += int.from_bytes(one.payload, "big")
    said = await peer.say(end(1))

    assert given[1] >= len(whole) - 20_000
    assert given[0] >= len(whole) - 70_000
    assert peer.status(said, 1) == "" or len(data_of(said, 1)) > 0


async def test_a_handler_that_does_not_read_gives_no_room() -> None:
    peer = Peer(limits=Limits(stream_window=20_000))
    await peer.heard()
    peer.send(peer.begin(1, "Unread"))

    held = await peer.say(part(1, message(bytes(9_000))), part(1, message(bytes(9_000))))
    peer.handlers.open_gate.set()
    read = await peer.heard()

    assert [one for one in held if one.kind == f.WINDOW_UPDATE and one.sid == 1] == []
    assert [one for one in read if one.kind == f.WINDOW_UPDATE and one.sid == 1] != []


async def test_more_data_than_room_is_a_broken_rule() -> None:
    peer = Peer(limits=Limits(stream_window=1_000))
    await peer.heard()

    said = await peer.say(peer.begin(1, "Unread"), part(1, message(bytes(2_000))))

    assert errors_in(said) == [("stream", Code.FLOW_CONTROL_ERROR)]


async def test_room_beyond_bounds_is_a_broken_rule() -> None:
    peer = Peer()
    await peer.heard()

    said = await peer.say(peer.call(1, "Wait"), f.window_update(1, f.LARGEST_WINDOW))

    assert errors_in(said) == [("stream", Code.FLOW_CONTROL_ERROR)]
