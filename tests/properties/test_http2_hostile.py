"""Whatever bytes come, nothing raises, nothing hangs, nothing is kept, and other connections are served."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from app.http2 import frames as f
from app.http2.limits import Limits
from app.http2.messages import MessageReader, MessageRefused
from tests.examples import examples
from tests.http2_peer import Peer, end, frames_in, message, part

SMALL = Limits(message_bytes=4096, buffered_bytes=8192, stream_window=4096, connection_window=65_535, streams=8)

sids = st.integers(0, 12) | st.integers(0, 2**32 - 1)
flags = st.integers(0, 255)
payloads = (
    st.binary(max_size=60) | st.just(message(b"hello")) | st.integers(0, 2**32 - 1).map(lambda n: n.to_bytes(4, "big"))
)
odd_frames = st.builds(f.frame, st.integers(0, 11), flags, sids, payloads)


def _good_frames(peer: Peer, sid: int) -> list[bytes]:
    return [
        peer.begin(sid, "Each", ("grpc-timeout", "5S")),
        part(sid, message(b"one")),
        peer.call(sid + 2, "Once", b"two"),
        f.rst_stream(sid, f.Code.CANCEL),
        end(sid),
        f.window_update(sid, 100),
        f.settings({f.INITIAL_WINDOW_SIZE: 10}),
    ]


async def _survives(chunks: list[bytes], *, greet: bool) -> None:
    peer = Peer(limits=SMALL, greet=greet)
    for chunk in chunks:
        peer.send(chunk)
        await peer.heard(2)
    peer.connection.sweep(peer.connection.now_s() + 1)
    peer.connection.connection_lost(None)
    await peer.heard(30)

    assert peer.connection.handlers == 0
    assert peer.connection.buffered == peer.door.buffer.held_bytes == 0
    assert peer.connection.blocked == {}
    assert peer.door.connections == set()
    assert len(asyncio.all_tasks()) == 1


@given(st.lists(st.binary(max_size=200), max_size=8), st.booleans())
@settings(max_examples=examples(200), deadline=None)
def test_any_bytes(chunks: list[bytes], greet: bool) -> None:
    asyncio.run(_survives(chunks, greet=greet))


@given(st.lists(odd_frames, max_size=12))
@settings(max_examples=examples(300), deadline=None)
def test_any_frames(frames: list[bytes]) -> None:
    asyncio.run(_survives(frames, greet=True))


@given(st.data())
@settings(max_examples=examples(200), deadline=None)
def test_good_frames_that_were_damaged_or_cut_or_mixed(data: st.DataObject) -> None:
    async def run() -> None:
        maker = Peer(limits=SMALL)
        good = _good_frames(maker, 1) + _good_frames(maker, 5)
        chosen = data.draw(st.lists(st.sampled_from(good) | odd_frames, max_size=12))
        stream = bytearray(b"".join(chosen))
        for _ in range(data.draw(st.integers(0, 3))):
            if stream:
                stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
        pieces = [bytes(stream[a:b]) for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        maker.connection.connection_lost(None)
        await _survives(pieces, greet=True)

    asyncio.run(run())


@given(st.lists(st.binary(max_size=300), max_size=10), st.lists(st.integers(0, 4000), max_size=20))
def test_messages_are_the_same_however_they_are_cut(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(message(one) for one in messages)
    at = sorted(min(cut, len(stream)) for cut in cuts)
    reader = MessageReader(300, "identity")

    found = []
    for start, stop in zip([0, *at], [*at, len(stream)], strict=True):
        found += reader.feed(stream[start:stop])

    assert found == messages
    assert reader.unfinished == 0


@given(st.binary(max_size=100), st.sampled_from(["identity", "gzip", "deflate"]))
def test_any_message_is_taken_or_refused(data: bytes, encoding: str) -> None:
    try:
        found = MessageReader(50, encoding).feed(data)
    except MessageRefused:
        return
    assert all(len(one) <= 50 for one in found)


@given(st.binary(max_size=40_000), st.integers(16, 16_384))
def test_a_header_block_of_any_size_is_whole_again(block: bytes, frame_bytes: int) -> None:
    frames = frames_in(f.header_frames(7, block, end_stream=True, frame_bytes=frame_bytes))

    assert b"".join(one.payload for one in frames) == block
    assert [one.kind for one in frames] == [f.HEADERS] + [f.CONTINUATION] * (len(frames) - 1)
    assert [bool(one.flags & f.END_HEADERS) for one in frames] == [False] * (len(frames) - 1) + [True]
    assert max(len(one.payload) for one in frames) <= frame_bytes
