"""One promise, both transports: what a caller sees does not depend on who speaks gRPC."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio
import pytest
import uvloop
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from accounts.grpc_edge import Caller, handlers_for
from app.grpc_transports import TRANSPORTS, GrpcTransport, handlers_of, open_transport
from app.settings import Settings
from common.errors import BackendUnavailable, FieldError, InvalidInput
from protos import campaigns_pb2
from tests.http2_peer import SERVICE, Handlers

pytestmark = pytest.mark.slow

LARGE = 5 << 20
RICH = "haat.test.v1.Rich"
Test = Callable[["Door"], Coroutine[Any, Any, None]]


class OneKey:
    def caller_of(self, key: str) -> Caller | None:
        return Caller("tenant-a", "advertiser") if key == "haat_good" else None


class Door:
    """A running transport, and how it is called."""

    def __init__(self, transport: GrpcTransport, handlers: Handlers, beat: health.HealthServicer) -> None:
        self.transport = transport
        self.handlers = handlers
        self.beat = beat

    def channel(self) -> Any:
        # The stubs know little of what grpc.aio takes and gives.
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1))
        return grpc.aio.insecure_channel(f"127.0.0.1:{self.transport.port}", options=options)


async def _refuse(request: campaigns_pb2.GetRequest, who: Caller, context: Any) -> campaigns_pb2.GetRequest:
    raise InvalidInput([FieldError(f"field[{i}]", "is ü", "mend it") for i in range(3)])


@contextlib.asynccontextmanager
async def opened(name: str, **settings: Any) -> AsyncIterator[Door]:
    handlers, beat = Handlers(), health.HealthServicer()
    names = (SERVICE, reflection.SERVICE_NAME)
    transport = open_transport(
        Settings(grpc_transport=name, grpc_port=0, **settings),
        [
            handlers.generic(),
            handlers_for(RICH, {"Get": (campaigns_pb2.GetRequest, _refuse)}, OneKey(), ("advertiser",)),
            *handlers_of(health_pb2_grpc.add_HealthServicer_to_server, beat),
            *handlers_of(
                reflection_pb2_grpc.add_ServerReflectionServicer_to_server, reflection.aio.ReflectionServicer(names)
            ),
        ],
    )
    await transport.start()
    door = Door(transport, handlers, beat)
    try:
        yield door
    finally:
        handlers.open_gate.set()
        await transport.stop(5)


@pytest.fixture(params=sorted(TRANSPORTS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def door(name: str) -> AsyncIterator[Door]:
    async with opened(name) as running:
        yield running


def unary(channel: Any, method: str) -> Any:
    return channel.unary_unary(f"/{SERVICE}/{method}")


async def failing(call: Any) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value


async def test_all_four_shapes_of_calls(door: Door) -> None:
    async def several() -> AsyncIterator[bytes]:
        for number in range(50):
            yield b"%d" % number

    async with door.channel() as channel:
        once = await unary(channel, "Once")(b"hello")
        split = [part async for part in channel.unary_stream(f"/{SERVICE}/Split")(b"abcdef")]
        joined = await channel.stream_unary(f"/{SERVICE}/Join")(several())
        each = [part async for part in channel.stream_stream(f"/{SERVICE}/Each")(several())]

    assert once == b"hello"
    assert split == [b"ab", b"cd", b"ef"]
    assert joined == b"".join(b"%d" % number for number in range(50))
    assert each == [b"%d" % number for number in range(50)]


async def test_an_empty_message_is_a_message(door: Door) -> None:
    async with door.channel() as channel:
        assert await unary(channel, "Once")(b"") == b""


async def test_refusals_name_their_fields(door: Door) -> None:
    async with door.channel() as channel:
        call = channel.unary_unary(f"/{RICH}/Get")(b"", metadata=(("x-api-key", "haat_good"),))
        error = await failing(call)

    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    bad = error_details_pb2.BadRequest()
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error.details() == status.message
    assert status.details[0].Unpack(bad)
    assert [violation.field for violation in bad.field_violations] == ["field[0]", "field[1]", "field[2]"]


async def test_status_message_and_trailers_of_an_abort(door: Door) -> None:
    async with door.channel() as channel:
        error = await failing(unary(channel, "Abort")(b""))

    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert error.details() == "100 % gone: ü"
    assert dict(error.trailing_metadata()) == {"grpc-status-details-bin": b"\x00\xff", "x-why": "because"}


async def test_an_abort_within_a_stream_comes_after_what_was_sent(door: Door) -> None:
    async with door.channel() as channel:
        call = channel.stream_stream(f"/{SERVICE}/Each")(iter([b"one", b"abort"]))
        first = await call.read()
        error = await failing(call.read())

    assert first == b"one"
    assert error.code() == grpc.StatusCode.ABORTED


async def test_metadata_reaches_the_handler(door: Door) -> None:
    async with door.channel() as channel:
        said = await unary(channel, "Metadata")(b"", metadata=(("x-api-key", "k"), ("x-raw-bin", b"\x00\xff\x7f")))

    assert b"('x-api-key', 'k')" in said.replace(b"_Metadatum(key='x-api-key', value='k')", b"('x-api-key', 'k')")
    assert b"x00\\xff\\x7f" in said


async def test_a_method_that_is_not_there(door: Door) -> None:
    async with door.channel() as channel:
        error = await failing(unary(channel, "Nothing")(b""))

    assert error.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_a_bug_of_ours_is_unknown_and_the_connection_lives(door: Door) -> None:
    async with door.channel() as channel:
        error = await failing(unary(channel, "Bug")(b""))
        after = await unary(channel, "Once")(b"fine")

    assert error.code() == grpc.StatusCode.UNKNOWN
    assert after == b"fine"


async def test_a_deadline_cancels_the_handler(door: Door) -> None:
    async with door.channel() as channel:
        error = await failing(unary(channel, "Wait")(b"", timeout=0.1))
        while not door.handlers.cancelled:
            await asyncio.sleep(0.01)

    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_cancelled_call_cancels_its_handler(door: Door) -> None:
    async with door.channel() as channel:
        call = unary(channel, "Wait")(b"")
        stream = channel.stream_stream(f"/{SERVICE}/Each")()
        await stream.write(b"x")
        await stream.read()
        while door.handlers.started < 2:
            await asyncio.sleep(0.01)
        call.cancel()
        stream.cancel()
        while not (door.handlers.cancelled and door.handlers.streams_ended):
            await asyncio.sleep(0.01)

    assert call.cancelled()


async def test_large_messages_go_both_ways(door: Door) -> None:
    data = bytes(range(256)) * (LARGE // 256)
    async with door.channel() as channel:
        assert await unary(channel, "Once")(data) == data
        assert [part async for part in channel.stream_stream(f"/{SERVICE}/Each")(iter([data, data]))] == [data, data]


async def test_compressed_messages_are_read(door: Door) -> None:
    data = b"again and again " * 100_000
    async with door.channel() as channel:
        for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            assert await unary(channel, "Once")(data, compression=compression) == data


async def test_a_message_beyond_the_hard_limit_is_refused(name: str) -> None:
    async with opened(name, max_message_bytes=4096) as door, door.channel() as channel:
        error = await failing(unary(channel, "Once")(bytes(4 * 4096 + 1)))
        compressed = await failing(unary(channel, "Once")(bytes(1 << 20), compression=grpc.Compression.Gzip))

    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert compressed.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert door.handlers.started == 0


async def test_a_hundred_streams_at_once_on_two_connections(door: Door) -> None:
    async def talk(channel: Any, number: int) -> list[bytes]:
        stream = channel.stream_stream(f"/{SERVICE}/Each")()
        got = []
        for turn in range(5):
            await stream.write(b"%d/%d" % (number, turn))
            got.append(await stream.read())
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        return got

    async with door.channel() as first, door.channel() as second:
        talks = [talk((first, second)[number % 2], number) for number in range(100)]
        answers = await asyncio.gather(*talks)

    assert answers == [[b"%d/%d" % (number, turn) for turn in range(5)] for number in range(100)]


async def test_many_calls_at_once_each_get_their_own_answer(door: Door) -> None:
    async with door.channel() as channel:
        answers = await asyncio.gather(*(unary(channel, "Once")(b"%d" % number) for number in range(500)))

    assert answers == [b"%d" % number for number in range(500)]


async def test_a_caller_that_reads_slowly_gets_everything(door: Door) -> None:
    async with door.channel() as channel:
        stream = channel.unary_stream(f"/{SERVICE}/Split")(bytes(20_000))
        got = 0
        async for part in stream:
            got += len(part)
            if got % 2_000 == 0:
                await asyncio.sleep(0)

    assert got == 20_000


async def test_health_and_reflection_answer(door: Door) -> None:
    await door.beat.set("", health_pb2.HealthCheckResponse.SERVING)
    async with door.channel() as channel:
        health_stub: Any = health_pb2_grpc.HealthStub(channel)
        checked = await health_stub.Check(health_pb2.HealthCheckRequest())
        watch = health_stub.Watch(health_pb2.HealthCheckRequest())
        first = await watch.read()
        await door.beat.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        second = await watch.read()
        watch.cancel()
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        listed = [answer async for answer in asked]

    assert checked.status == health_pb2.HealthCheckResponse.SERVING
    assert (first.status, second.status) == (1, 2)
    assert SERVICE in [service.name for service in listed[0].list_services_response.service]


async def test_a_stop_fails_no_call_that_is_under_way(name: str) -> None:
    async with opened(name) as door:
        channels = [door.channel() for _ in range(2)]
        waiting = [asyncio.ensure_future(unary(channel, "Wait")(b"late")) for channel in channels for _ in range(20)]
        while door.handlers.started < 40:
            await asyncio.sleep(0.01)

        stopping = asyncio.ensure_future(door.transport.stop(10))
        await asyncio.sleep(0.05)
        door.handlers.open_gate.set()
        answers = await asyncio.gather(*waiting)
        await stopping
        for channel in channels:
            await channel.close()

    assert answers == [b"late"] * 40


async def test_a_stop_cuts_off_what_does_not_end_in_time(name: str) -> None:
    async with opened(name) as door, door.channel() as channel:
        call = asyncio.ensure_future(unary(channel, "Wait")(b""))
        while not door.handlers.started:
            await asyncio.sleep(0.01)

        await door.transport.stop(0.05)
        error = await failing(call)

    assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    assert door.handlers.cancelled == 1


async def test_a_port_in_use_is_refused(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(grpc_transport=name, grpc_port=taken.getsockname()[1])
        with pytest.raises(BackendUnavailable, match=str(settings.grpc_port)):
            open_transport(settings, [])


def test_it_serves_in_uvloop_as_well(name: str) -> None:
    async def serve() -> bytes:
        async with opened(name) as door, door.channel() as channel:
            return bytes(await unary(channel, "Once")(bytes(LARGE)))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert len(runner.run(serve())) == LARGE


async def test_tls_files_that_are_none_are_refused(name: str, tmp_path: Any) -> None:
    (tmp_path / "none.pem").write_text("no certificate")
    settings = replace(Settings(grpc_port=0), grpc_transport=name, tls_cert=tmp_path / "none.pem")
    with pytest.raises((InvalidInput, BackendUnavailable)):
        open_transport(replace(settings, tls_key=tmp_path / "none.pem"), [])
