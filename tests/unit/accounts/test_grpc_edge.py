from __future__ import annotations

from typing import Any, cast

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from accounts.grpc_edge import caller, handlers_for, parse, status_of
from accounts.ports import Caller
from common.errors import (
    BackendUnavailable,
    Conflict,
    FieldError,
    HaatError,
    InvalidInput,
    NotFound,
    PermissionDenied,
    Unauthenticated,
)
from protos import campaigns_pb2

SERVICE = "haat.test.v1.Echo"


class OneKey:
    def caller_of(self, key: str) -> Caller | None:
        return Caller("tenant-a", "advertiser") if key == "haat_good" else None


def test_a_known_key_names_its_caller() -> None:
    assert caller(OneKey(), [("x-api-key", "haat_good")]) == Caller("tenant-a", "advertiser")


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        [],
        [("x-api-key", "")],
        [("x-api-key", "other")],
        [("x-api-key", b"haat_good")],
        [("x-api-key", "k" * 9999)],
    ],
)
def test_an_unknown_key_is_unauthenticated(metadata: list[tuple[str, str | bytes]] | None) -> None:
    with pytest.raises(Unauthenticated):
        caller(OneKey(), metadata)


def test_another_role_is_denied() -> None:
    with pytest.raises(PermissionDenied, match="operator"):
        caller(OneKey(), [("x-api-key", "haat_good")], "operator")


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\x05ab"])
def test_malformed_bytes_are_invalid_input(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="GetRequest"):
        parse(campaigns_pb2.GetRequest, data, 100)


def test_too_many_bytes_are_invalid_input() -> None:
    with pytest.raises(InvalidInput, match="at most 100"):
        parse(campaigns_pb2.GetRequest, b"\x0a\x7f" + b"a" * 127, 100)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput([FieldError("a", "is 1", "send 2")]), grpc.StatusCode.INVALID_ARGUMENT),
        (NotFound("x"), grpc.StatusCode.NOT_FOUND),
        (Conflict("x"), grpc.StatusCode.ABORTED),
        (Unauthenticated("x"), grpc.StatusCode.UNAUTHENTICATED),
        (PermissionDenied("x"), grpc.StatusCode.PERMISSION_DENIED),
        (BackendUnavailable("x"), grpc.StatusCode.UNAVAILABLE),
        (HaatError("x"), grpc.StatusCode.INTERNAL),
    ],
)
def test_each_error_has_its_status(error: HaatError, code: grpc.StatusCode) -> None:
    assert status_of(error).code == code.value[0]


async def _call(data: bytes, key: str = "haat_good", max_bytes: int = 4096) -> grpc.aio.AioRpcError | bytes:
    async def answer(request: campaigns_pb2.GetRequest, who: Caller, context: Any) -> campaigns_pb2.GetRequest:
        if request.id == "many":
            raise InvalidInput([FieldError(f"field[{i}]", "ü" * 300, "mend it") for i in range(500)])
        if request.id == "bug":
            raise ZeroDivisionError("secret")
        return campaigns_pb2.GetRequest(tenant_id=who.tenant_id, id=request.id)

    server = grpc.aio.server()
    methods = {"Get": (campaigns_pb2.GetRequest, answer)}
    server.add_generic_rpc_handlers((handlers_for(SERVICE, methods, OneKey(), ("advertiser",), max_bytes),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: Any = channel.unary_unary(f"/{SERVICE}/Get")
            answered: bytes = await call(data, metadata=(("x-api-key", key),))
            return answered
    except grpc.aio.AioRpcError as error:
        return error
    finally:
        await server.stop(None)


async def test_a_good_call_is_answered() -> None:
    answered = await _call(campaigns_pb2.GetRequest(id="7").SerializeToString())

    assert isinstance(answered, bytes)
    assert campaigns_pb2.GetRequest.FromString(answered) == campaigns_pb2.GetRequest(tenant_id="tenant-a", id="7")


@pytest.mark.parametrize(
    ("data", "key", "code"),
    [
        (b"\xff\xff", "haat_good", grpc.StatusCode.INVALID_ARGUMENT),
        (b"", "haat_bad", grpc.StatusCode.UNAUTHENTICATED),
        (b"\x0a" + b"\xff\x7f" + b"a" * 16383, "haat_good", grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_a_bad_call_gets_its_status(data: bytes, key: str, code: grpc.StatusCode) -> None:
    error = await _call(data, key)

    assert isinstance(error, grpc.aio.AioRpcError)
    assert error.code() == code


async def test_five_hundred_bad_fields_still_fit_into_the_trailers() -> None:
    error: Any = await _call(campaigns_pb2.GetRequest(id="many").SerializeToString())

    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    detail = error_details_pb2.BadRequest()
    status = rpc_status.from_call(cast(grpc.Call, _Sync(error)))
    assert status is not None
    assert status.details[0].Unpack(detail)
    assert detail.field_violations[0].field == "field[0]"
    assert "more fields" in detail.field_violations[-1].description


class _Sync:
    """What rpc_status.from_call reads of a call, over an AioRpcError."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self._error = error

    def code(self) -> grpc.StatusCode:
        return self._error.code()

    def details(self) -> str | None:
        return self._error.details()

    def trailing_metadata(self) -> Any:
        return tuple(self._error.trailing_metadata())


async def test_a_mistake_of_our_own_is_internal_and_keeps_its_text(caplog: pytest.LogCaptureFixture) -> None:
    error = await _call(campaigns_pb2.GetRequest(id="bug").SerializeToString())

    assert isinstance(error, grpc.aio.AioRpcError)
    assert error.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in (error.details() or "")
    assert "secret" in caplog.text
