"""A peer gets answers while it keeps the rules, and loses its stream or its connection when it does not."""

from __future__ import annotations

import pytest

from app.http2 import frames as f
from app.http2.frames import Code
from app.http2.limits import Limits
from tests.http2_peer import Handlers, Peer, data_of, end, errors_in, message, part


async def test_a_unary_call_is_answered_by_head_message_and_status() -> None:
    peer = Peer()
    await peer.heard()

    said = await peer.say(peer.call(1, "Once", b"hello"))

    assert [one.kind for one in said] == [f.HEADERS, f.DATA, f.HEADERS]
    assert peer.fields(said[0]) == {":status": "200", "content-type": "application/grpc"}
    assert said[1].payload == message(b"hello")
    assert peer.fields(said[2]) == {"grpc-status": "0"}


async def test_all_calls_of_one_read_are_answered_in_one_write() -> None:
    peer = Peer()
    await peer.heard()
    before = peer.transport.writes

    said = await peer.say(*(peer.call(sid, "Once", b"%d" % sid) for sid in range(1, 201, 2)))

    assert peer.transport.writes == before + 1
    assert all(data_of(said, sid) == message(b"%d" % sid) for sid in range(1, 201, 2))


async def test_frames_may_come_byte_by_byte() -> None:
    peer = Peer(greet=False)
    heard = []
    for byte in f.PREFACE + f.settings({}) + peer.call(1, "Once", b"slowly"):
        heard += await peer.say(bytes((byte,)))

    assert data_of(heard, 1) == message(b"slowly")
    assert peer.status(heard, 1) == "0"


async def test_padding_and_priority_are_taken_off() -> None:
    peer = Peer()
    block = peer.block("Once")
    padded_block = b"\x03" + (0).to_bytes(4, "big") + b"\x10" + block + bytes(3)
    head = f.frame(f.HEADERS, f.END_HEADERS | f.PADDED | f.WITH_PRIORITY, 1, padded_block)
    body = f.frame(f.DATA, f.END_STREAM | f.PADDED, 1, b"\x02" + message(b"hi") + bytes(2))

    said = await peer.say(head, body)

    assert data_of(said, 1) == message(b"hi")


async def test_a_header_block_may_come_in_pieces() -> None:
    peer = Peer()
    block = peer.block("Once")
    pieces = (
        f.frame(f.HEADERS, 0, 1, block[:5]),
        f.frame(f.CONTINUATION, 0, 1, block[5:9]),
        f.frame(f.CONTINUATION, f.END_HEADERS, 1, block[9:]),
    )

    said = await peer.say(*pieces, end(1, message(b"x")))

    assert peer.status(said, 1) == "0"


async def test_a_message_may_come_in_pieces() -> None:
    peer = Peer()
    whole = message(b"m" * 1000)

    said = await peer.say(peer.begin(1, "Once"), part(1, whole[:3]), part(1, whole[3:500]), end(1, whole[500:]))

    assert data_of(said, 1) == whole


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", "12"),
        (message(b"a") + message(b"b"), "12"),
        (message(b"abc")[:-1], "13"),
        (message(b"a", flag=2), "13"),
        (message(b"a", flag=1), "13"),
    ],
    ids=["none", "two", "half", "unknown flag", "compressed without encoding"],
)
async def test_a_unary_call_carries_exactly_one_whole_message(body: bytes, status: str) -> None:
    peer = Peer()

    said = await peer.say(peer.begin(1, "Once"), end(1, body))

    assert peer.status(said, 1) == status
    assert peer.handlers.started == 0


async def test_a_handler_that_aborts_sends_status_message_and_trailers() -> None:
    peer = Peer()

    said = await peer.say(peer.call(1, "Abort"))

    fields = peer.fields([one for one in said if one.kind == f.HEADERS][-1])
    assert fields["grpc-status"] == "5"
    assert fields["grpc-message"] == "100 %25 gone: %C3%BC"
    assert fields["grpc-status-details-bin"] == "AP8"
    assert fields["x-why"] == "because"


async def test_a_bug_in_a_handler_costs_its_call_only_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    peer = Peer()

    said = await peer.say(peer.call(1, "Bug"), peer.call(3, "Once", b"fine"))

    assert peer.status(said, 1) == "2"
    assert b"secret" not in b"".join(one.payload for one in said)
    assert "secret" in caplog.text
    assert data_of(said, 3) == message(b"fine")


async def test_a_method_that_is_not_there_is_unimplemented() -> None:
    peer = Peer()

    said = await peer.say(peer.begin(1, "Nothing"), end(1, message(b"")))

    fields = peer.fields(next(one for one in said if one.kind == f.HEADERS))
    assert fields["grpc-status"] == "12"
    assert fields["grpc-accept-encoding"] == "identity,gzip,deflate"


@pytest.mark.parametrize(("instead", "status"), [({"verb": "GET"}, "405"), ({"content_type": "text/html"}, "415")])
async def test_what_is_no_grpc_gets_plain_http(instead: dict[str, str], status: str) -> None:
    peer = Peer()

    said = await peer.say(f.header_frames(1, peer.block("Once", **instead), end_stream=True))

    assert peer.fields(next(one for one in said if one.kind == f.HEADERS))[":status"] == status
    assert b"gRPC" in data_of(said, 1)


async def test_metadata_reaches_the_handler_without_what_the_transport_reads() -> None:
    peer = Peer()

    said = await peer.say(
        peer.call(1, "Metadata", b"", ("x-api-key", "k"), ("x-raw-bin", "AP8"), ("grpc-timeout", "1S"))
    )

    assert data_of(said, 1)[5:] == repr((("x-api-key", "k"), ("x-raw-bin", b"\x00\xff"))).encode()


async def test_streams_go_both_ways_at_once() -> None:
    peer = Peer()
    await peer.heard()

    first = await peer.say(peer.begin(1, "Each"), part(1, message(b"one")))
    second = await peer.say(part(1, message(b"two") + message(b"three")))
    last = await peer.say(end(1))

    assert data_of(first, 1) == message(b"one")
    assert data_of(second, 1) == message(b"two") + message(b"three")
    assert peer.status(last, 1) == "0"


async def test_a_call_may_end_with_trailers() -> None:
    peer = Peer()

    said = await peer.say(
        peer.begin(1, "Join"),
        part(1, message(b"a") + message(b"b")),
        f.header_frames(1, peer.encoder.encode([("x-sum", "2")]), end_stream=True),
    )

    assert data_of(said, 1) == message(b"ab")


async def test_one_message_may_be_answered_by_many() -> None:
    peer = Peer()

    said = await peer.say(peer.call(1, "Split", b"abcd"))

    assert data_of(said, 1) == message(b"ab") + message(b"cd")
    assert peer.status(said, 1) == "0"


async def test_an_answer_before_the_end_of_the_request_lets_go_of_the_stream() -> None:
    peer = Peer()
    await peer.heard()

    said = await peer.say(peer.begin(1, "Each"), part(1, message(b"abort")))
    after = await peer.say(part(1, message(b"still on its way")), end(1))

    assert peer.status(said, 1) == "10"
    assert errors_in(said) == [("stream", Code.NO_ERROR)]
    assert after == []


async def test_a_reset_cancels_the_handler() -> None:
    peer = Peer()
    await peer.say(peer.call(1, "Wait"))

    said = await peer.say(f.rst_stream(1, Code.CANCEL))

    assert peer.handlers.cancelled == 1
    assert said == []
    assert peer.connection.handlers == 0


async def test_a_lost_connection_cancels_all_handlers() -> None:
    peer = Peer()
    await peer.say(peer.call(1, "Wait"), peer.call(3, "Wait"), peer.begin(5, "Each"))

    peer.connection.connection_lost(None)
    await peer.heard()

    assert (peer.handlers.cancelled, peer.handlers.streams_ended) == (2, 1)
    assert peer.connection.handlers == 0
    assert peer.door.connections == set()


async def test_a_deadline_ends_the_call_and_cancels_the_handler() -> None:
    peer = Peer()

    said = await peer.say(peer.call(1, "Wait", b"", ("grpc-timeout", "1m")), peer.call(3, "Wait"))
    while not peer.status(said, 1):
        said += await peer.heard()

    assert peer.status(said, 1) == "4"
    assert peer.handlers.cancelled == 1
    assert peer.status(said, 3) == ""


async def test_a_ping_is_answered_with_its_own_bytes() -> None:
    peer = Peer()
    await peer.heard()

    said = await peer.say(f.frame(f.PING, 0, 0, b"12345678"))

    assert [(one.kind, one.flags, one.payload) for one in said] == [(f.PING, f.ACK, b"12345678")]


async def test_going_away_finishes_what_is_open_and_closes() -> None:
    peer = Peer()
    await peer.say(peer.call(1, "Wait", b"late"))

    peer.connection.go_away()
    first = await peer.heard()
    between = await peer.say(peer.call(3, "Once", b"on its way when we said so"))
    ping = next(one for one in first if one.kind == f.PING)
    second = await peer.say(f.frame(f.PING, f.ACK, 0, ping.payload))
    ignored = await peer.say(peer.call(5, "Once", b"too late"))
    peer.handlers.open_gate.set()
    last = await peer.heard()

    assert int.from_bytes(first[0].payload[:4], "big") == f.LARGEST_STREAM_ID
    assert peer.status(between, 3) == "0"
    assert int.from_bytes(second[0].payload[:4], "big") == 3
    assert ignored == []
    assert data_of(last, 1) == message(b"late")
    assert peer.transport.eof


async def test_a_peer_that_does_not_answer_learns_the_last_stream_too() -> None:
    peer = Peer()
    await peer.heard()

    peer.connection.go_away()
    peer.connection.sweep(peer.connection.now_s() + 2)
    said = await peer.heard()

    assert [one.kind for one in said] == [f.GOAWAY, f.PING, f.GOAWAY]
    assert peer.transport.eof


BREAKS_CONNECTION = {
    "a frame too large": (f.frame(f.DATA, 0, 1, bytes(f.FRAME_BYTES + 1)), Code.FRAME_SIZE_ERROR),
    "data on an idle stream": (part(1, b""), Code.PROTOCOL_ERROR),
    "data without a stream": (part(0, b""), Code.PROTOCOL_ERROR),
    "headers on an even stream": (f.frame(f.HEADERS, f.END_HEADERS, 2, b"\x82"), Code.PROTOCOL_ERROR),
    "headers that are no HPACK": (
        f.frame(f.HEADERS, f.END_HEADERS, 1, b"\xff\xff\xff\xff\xff"),
        Code.COMPRESSION_ERROR,
    ),
    "a frame within a header block": (f.frame(f.HEADERS, 0, 1, b"\x82") + f.frame(f.PING, 0, 0, bytes(8)), 1),
    "continuation without headers": (f.frame(f.CONTINUATION, f.END_HEADERS, 1, b""), Code.PROTOCOL_ERROR),
    "more padding than frame": (f.frame(f.HEADERS, f.END_HEADERS | f.PADDED, 1, b"\x09a"), Code.PROTOCOL_ERROR),
    "settings on a stream": (f.frame(f.SETTINGS, 0, 1, b""), Code.PROTOCOL_ERROR),
    "settings of odd length": (f.frame(f.SETTINGS, 0, 0, b"12345"), Code.FRAME_SIZE_ERROR),
    "a window too large": (f.settings({f.INITIAL_WINDOW_SIZE: 2**31}), Code.FLOW_CONTROL_ERROR),
    "a frame size too small": (f.settings({f.MAX_FRAME_SIZE: 100}), Code.PROTOCOL_ERROR),
    "an acknowledgement that says something": (f.frame(f.SETTINGS, f.ACK, 0, bytes(6)), Code.FRAME_SIZE_ERROR),
    "a short ping": (f.frame(f.PING, 0, 0, b"1"), Code.FRAME_SIZE_ERROR),
    "a push": (f.frame(f.PUSH_PROMISE, 0, 1, bytes(4)), Code.PROTOCOL_ERROR),
    "no more room": (f.window_update(0, 0), Code.PROTOCOL_ERROR),
    "room beyond bounds": (f.window_update(0, f.LARGEST_WINDOW), Code.FLOW_CONTROL_ERROR),
    "a reset of an idle stream": (f.rst_stream(9, Code.CANCEL), Code.PROTOCOL_ERROR),
    "a short reset": (f.frame(f.RST_STREAM, 0, 1, b""), Code.FRAME_SIZE_ERROR),
}


@pytest.mark.parametrize("name", BREAKS_CONNECTION)
async def test_a_broken_rule_of_the_connection_ends_it(name: str) -> None:
    frames, code = BREAKS_CONNECTION[name]
    peer = Peer()
    await peer.heard()

    said = await peer.say(frames)

    assert errors_in(said) == [("connection", code)]
    assert peer.transport.eof
    assert await peer.say(peer.call(1, "Once")) == []


async def test_another_protocol_is_told_so() -> None:
    peer = Peer(greet=False)

    said = await peer.say(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")

    assert errors_in(said) == [("connection", Code.PROTOCOL_ERROR)]
    assert b"HTTP/2" in said[-1].payload


async def test_settings_come_first() -> None:
    peer = Peer(greet=False)

    said = await peer.say(f.PREFACE + f.frame(f.PING, 0, 0, bytes(8)))

    assert errors_in(said) == [("connection", Code.PROTOCOL_ERROR)]


async def test_a_broken_rule_of_a_stream_costs_that_stream() -> None:
    peer = Peer()
    await peer.heard()
    malformed = peer.encoder.encode([(":method", "POST"), ("Upper", "case")])

    said = await peer.say(
        f.header_frames(1, malformed, end_stream=True),
        peer.begin(3, "Join"),
        f.window_update(3, 0),
        peer.call(5, "Once", b"fine"),
    )

    assert errors_in(said) == [("stream", Code.PROTOCOL_ERROR), ("stream", Code.PROTOCOL_ERROR)]
    assert data_of(said, 5) == message(b"fine")


async def test_data_after_the_end_is_refused() -> None:
    peer = Peer()
    await peer.heard()

    said = await peer.say(peer.call(1, "Wait"), part(1, b"more"))

    assert errors_in(said) == [("stream", Code.STREAM_CLOSED)]


async def test_a_content_length_that_is_not_kept_is_refused() -> None:
    peer = Peer()
    await peer.heard()

    said = await peer.say(peer.call(1, "Once", b"four", ("content-length", "8")))

    assert errors_in(said) == [("stream", Code.PROTOCOL_ERROR)]
    assert peer.handlers.started == 0


async def test_a_message_beyond_the_limit_is_refused_before_it_has_come() -> None:
    peer = Peer(limits=Limits(message_bytes=1000))

    said = await peer.say(peer.begin(1, "Once"), part(1, message(bytes(1001))[:20]))

    assert peer.status(said, 1) == "8"
    assert peer.connection.buffered == peer.door.buffer.held_bytes == 0


async def test_what_calls_hold_is_counted_and_given_back() -> None:
    peer = Peer(Handlers(), Limits(buffered_bytes=1000))

    first = await peer.say(peer.begin(1, "Once"), part(1, message(bytes(5000))[:800]))
    held = peer.connection.buffered
    second = await peer.say(peer.begin(3, "Once"), part(3, message(bytes(5000))[:800]))

    assert peer.status(first, 1) == ""
    assert held == 800
    assert peer.status(second, 3) == "8"
    await peer.say(f.rst_stream(1, Code.CANCEL))
    assert peer.connection.buffered == peer.door.buffer.held_bytes == 0
