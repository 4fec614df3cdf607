"""SocialService: how do the calls of the social part travel as protobuf?

Messages and values have the same names, so one reader and one writer do for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import grpc
import msgspec
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from accounts.grpc_edge import Caller, Method, handlers_for
from accounts.ports import ApiKeys
from common.errors import FieldError, InvalidInput
from feed.social.operations import Operation
from protos import social_pb2
from protos.social_pb2 import DESCRIPTOR

SERVICE_NAME = DESCRIPTOR.services_by_name["SocialService"].full_name
ROLES = ("storefront",)
# The longest bio and five links fit in; a text of a megabyte does not.
MAX_REQUEST_BYTES = 1 << 16


def handlers(operations: Sequence[Operation], keys: ApiKeys) -> grpc.GenericRpcHandler:
    """All methods of SocialService, to be added to a grpc.aio server."""
    methods = {one.name: _method(one) for one in operations}
    return handlers_for(SERVICE_NAME, methods, keys, ROLES, MAX_REQUEST_BYTES)


def _method(operation: Operation) -> Method:
    asked = DESCRIPTOR.services_by_name["SocialService"].methods_by_name[operation.name]
    request_type: type[Message] = getattr(social_pb2, asked.input_type.name)
    response_type: type[Message] = getattr(social_pb2, asked.output_type.name)

    async def answer(message: Message, who: Caller, _: object) -> Message:
        request = value_of(message, operation.request)
        response = await asyncio.to_thread(operation.answer, who.tenant_id, request)
        return message_of(response, response_type)

    return request_type, cast("Callable[[Any, Caller, Any], Awaitable[Message]]", answer)


def value_of(message: Message, value_type: type[msgspec.Struct]) -> msgspec.Struct:
    """The message as a value; InvalidInput names the field that has no such value, such as an unknown kind."""
    try:
        return msgspec.convert(_plain(message), value_type)
    except msgspec.ValidationError as error:
        raise InvalidInput([field_error(error)]) from None


def message_of(value: msgspec.Struct, message_type: type[Message]) -> Message:
    """The value as a message."""
    return message_type(**msgspec.to_builtins(value))


def field_error(error: msgspec.ValidationError) -> FieldError:
    """What msgspec says of a value, as an error of the field: "Expected `str`, got `int` - at `$.words`"."""
    said, _, where = str(error).partition(" - at `")
    missing = said.partition("missing required field `")[2].rstrip("`")
    field = where.rstrip("`").removeprefix("$").removeprefix(".")
    if missing:
        return FieldError(".".join(part for part in (field, missing) if part), "missing", "give one that is named")
    return FieldError(field or "request", said[:100], "give what the description of this call names")


def _plain(message: Message) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.is_repeated:
            plain[field.name] = [_plain(one) if field.message_type else one for one in value]
        elif field.message_type is not None:
            if message.HasField(field.name):
                plain[field.name] = _plain(value)
        elif field.type != FieldDescriptor.TYPE_ENUM or value:
            # An enum that is not given has no value at all.
            plain[field.name] = value
    return plain
