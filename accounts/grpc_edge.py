"""How does a gRPC call come in and how does an error go out? What every gRPC server of haat shares.

Methods are registered as generic handlers that are given raw bytes, so malformed bytes become INVALID_ARGUMENT with a
sentence and not INTERNAL, and so one place knows which error becomes which status.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar, cast

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from accounts.ports import ApiKeys, Caller
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

__all__ = ["KEY_METADATA", "MAX_REQUEST_BYTES", "Caller", "abort", "caller", "handlers_for", "parse", "status_of"]

KEY_METADATA = "x-api-key"
MAX_REQUEST_BYTES = 1 << 20

# Errors travel in HTTP/2 trailers, of which gRPC takes 8 KiB: the message is sent twice, and percent-encoded once.
_MAX_MESSAGE_CHARS = 400
_MAX_DETAIL_BYTES = 3_500
_MAX_KEY_CHARS = 128

_CODES: dict[type[HaatError], grpc.StatusCode] = {
    InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    NotFound: grpc.StatusCode.NOT_FOUND,
    Conflict: grpc.StatusCode.ABORTED,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    BackendUnavailable: grpc.StatusCode.UNAVAILABLE,
}
_CODE_OF_NUMBER = {code.value[0]: code for code in grpc.StatusCode}

_log = logging.getLogger(__name__)

MessageT = TypeVar("MessageT", bound=Message)
Context = grpc.aio.ServicerContext[Any, Any]
# The request's message type, and the coroutine function (request, caller, context) -> response message.
Method = tuple[type[Message], Callable[[Any, Caller, Context], Awaitable[Message]]]


def caller(keys: ApiKeys, metadata: Iterable[tuple[str, str | bytes]] | None, *roles: str) -> Caller:
    """Who calls, by the metadata key `x-api-key`; no roles given means that any role may.

    Raises Unauthenticated without a known key, PermissionDenied when the caller's role is not among `roles`.
    """
    key = next((value for name, value in metadata or () if name == KEY_METADATA), "")
    if not key:
        raise Unauthenticated(f"the call carries no API key: send one as metadata {KEY_METADATA!r}")
    found = keys.caller_of(key) if isinstance(key, str) and len(key) <= _MAX_KEY_CHARS else None
    if found is None:
        raise Unauthenticated(f"the API key in metadata {KEY_METADATA!r} is not known or was revoked")
    if roles and found.role not in roles:
        raise PermissionDenied(f"a key of role {found.role!r} may not do this: it takes {' or '.join(roles)}")
    return found


def parse(message_type: type[MessageT], data: bytes, max_bytes: int = MAX_REQUEST_BYTES) -> MessageT:
    """The message in `data`; InvalidInput when it is malformed or longer than `max_bytes`."""
    name = message_type.DESCRIPTOR.name
    if len(data) > max_bytes:
        remedy = f"send at most {max_bytes} bytes"
        raise InvalidInput([FieldError(name, f"the message has {len(data)} bytes", remedy)])
    try:
        return message_type.FromString(data)
    except DecodeError:
        remedy = f"send a {message_type.DESCRIPTOR.full_name} as protobuf"
        raise InvalidInput([FieldError(name, f"{len(data)} bytes that are no such message", remedy)]) from None


def status_of(error: HaatError) -> status_pb2.Status:
    """The error as google.rpc.Status; InvalidInput carries BadRequest.field_violations, as many as trailers hold."""
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), grpc.StatusCode.INTERNAL)
    message = _cut(str(error), _MAX_MESSAGE_CHARS)
    status = status_pb2.Status(code=code.value[0], message=message)
    if isinstance(error, InvalidInput):
        status.details.add().Pack(_violations(error.errors))
    return status


def _violations(errors: Sequence[FieldError]) -> error_details_pb2.BadRequest:
    bad = error_details_pb2.BadRequest()
    room = _MAX_DETAIL_BYTES
    for at, error in enumerate(errors):
        field = _cut(error.field, 200)
        description = _cut(f"{error.value} — {error.remedy}", 300)
        room -= len(field.encode()) + len(description.encode()) + 8
        if room < 0:
            rest = f"{len(errors) - at} more fields cannot be taken — mend these first"
            bad.field_violations.add(field="", description=rest)
            break
        bad.field_violations.add(field=field, description=description)
    return bad


def _cut(text: str, chars: int) -> str:
    # Lone surrogates cannot be sent as UTF-8.
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= chars else text[: chars - 1] + "…"


async def abort(context: Context, error: HaatError) -> NoReturn:
    """End the call with the error's rich status; the client reads it with grpc_status.rpc_status.from_call."""
    status = status_of(error)
    trailers = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(_CODE_OF_NUMBER[status.code], status.message, trailers)


def handlers_for(
    service_name: str,
    methods: Mapping[str, Method],
    keys: ApiKeys,
    roles: Sequence[str] = (),
    max_bytes: int = MAX_REQUEST_BYTES,
) -> grpc.GenericRpcHandler:
    """Unary methods of `service_name` ("haat.campaigns.v1.CampaignService"), to be added to a grpc.aio server.

    Each call's key is checked against `roles` (none: any), its bytes are parsed, HaatErrors become statuses, and an
    unforeseen exception is logged and becomes INTERNAL without its text.
    """
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        name: grpc.unary_unary_rpc_method_handler(
            # A grpc.aio server takes coroutine functions; the stubs know only the synchronous server.
            cast(Any, _unary(f"{service_name}/{name}", message_type, answer, keys, roles, max_bytes))
        )
        for name, (message_type, answer) in methods.items()
    }
    return grpc.method_handlers_generic_handler(service_name, handlers)


def _unary(
    path: str,
    message_type: type[Message],
    answer: Callable[[Any, Caller, Context], Awaitable[Message]],
    keys: ApiKeys,
    roles: Sequence[str],
    max_bytes: int,
) -> Callable[[bytes, Context], Awaitable[bytes]]:
    async def handle(data: bytes, context: Context) -> bytes:
        try:
            # grpc.aio hands over a tuple of pairs, whatever its stubs say.
            metadata = cast("Iterable[tuple[str, str | bytes]] | None", context.invocation_metadata())
            who = caller(keys, metadata, *roles)
            response = await answer(parse(message_type, data, max_bytes), who, context)
            return response.SerializeToString()
        except HaatError as error:
            refused = error
        except grpc.aio.AbortError:
            raise
        except Exception:
            _log.exception("%s failed", path)
            refused = HaatError("haat made a mistake of its own; its log says where")
        await abort(context, refused)

    return handle
