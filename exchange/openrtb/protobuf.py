"""How does a request in protobuf become the same values as one in JSON, and back?

Flags are bool there and 0 or 1 here. An ext keeps what it holds: fields that protos/openrtb.proto knows are set as
such, the rest travels as JSON text in `rest`. Fields that neither knows are left out, as are arrays without entries.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from exchange.openrtb.codec import from_json, to_json
from exchange.openrtb.problems import InvalidRequest, one_problem
from exchange.openrtb.structure import WHOLE_LIMIT
from protos import openrtb_pb2 as pb

_REST: Final = "rest"
# Objects that are text in JSON: the field here, the field there.
_AS_TEXT: Final = {"request_native": "request", "adm_native": "adm"}


class _Field(NamedTuple):
    python: type
    many: bool
    sub: Descriptor | None


def request_from_bytes(data: bytes) -> dict[str, Any]:
    """A bid request in protobuf as the object that it is in JSON; InvalidRequest when it is none."""
    message = pb.BidRequest()
    try:
        message.ParseFromString(data)
    except DecodeError:
        remedy = "send a com.iabtechlab.openrtb.v2.BidRequest"
        raise one_problem("", f"{len(data)} bytes", remedy, "2.3") from None
    return _from_message(message)


def request_to_bytes(request: dict[str, Any]) -> bytes:
    """A bid request that passed `check_structure`, in protobuf."""
    message = pb.BidRequest()
    _into_message(request, message)
    return message.SerializeToString()


def response_to_bytes(response: dict[str, Any]) -> bytes:
    """A bid response in protobuf."""
    message = pb.BidResponse()
    _into_message(response, message)
    return message.SerializeToString()


def response_from_bytes(data: bytes) -> dict[str, Any]:
    """A bid response in protobuf as the object that it is in JSON; InvalidRequest when it is none."""
    message = pb.BidResponse()
    try:
        message.ParseFromString(data)
    except DecodeError:
        remedy = "send a com.iabtechlab.openrtb.v2.BidResponse"
        raise one_problem("", f"{len(data)} bytes", remedy, "4.2.1") from None
    return _from_message(message)


def _from_message(message: Message) -> dict[str, Any]:
    fields = _fields(message.DESCRIPTOR)
    value: dict[str, Any] = {}
    for descriptor, held in message.ListFields():
        name = descriptor.name
        field = fields.get(name)
        if field is None:
            continue
        if field.sub is None:
            value[name] = list(held) if field.many else int(held) if field.python is bool else held
        elif field.many:
            value[name] = [_from_message(one) for one in held]
        elif name in _AS_TEXT:
            value[_AS_TEXT[name]] = to_json(_from_message(held)).decode()
        else:
            value[name] = _from_message(held)
    if message.DESCRIPTOR.name == "Ext" and _REST in value:
        rest = value.pop(_REST)
        try:
            value.update(from_json(rest.encode()))
        except InvalidRequest:
            remedy = "give a JSON object, or nothing"
            raise one_problem(f"{message.DESCRIPTOR.full_name}.rest", rest, remedy, "2.3") from None
    return value


def _into_message(value: dict[str, Any], message: Message) -> None:
    fields = _fields(message.DESCRIPTOR)
    for name, held in value.items():
        field = fields.get(name)
        if field is None or name in _AS_TEXT:
            continue
        if field.sub is None:
            if field.many:
                getattr(message, name).extend(held)
            else:
                setattr(message, name, bool(held) if field.python is bool else held)
        elif field.many:
            add = getattr(message, name).add
            for one in held:
                _into_message(one, add())
        elif field.sub.name == "Ext":
            _into_ext(held, getattr(message, name))
        else:
            sub = getattr(message, name)
            sub.SetInParent()
            _into_message(held, sub)


def _into_ext(value: dict[str, Any], message: Message) -> None:
    """Nobody has checked what an ext holds: what does not fit its field exactly goes into `rest`."""
    message.SetInParent()
    fields = _fields(message.DESCRIPTOR)
    rest = {}
    for name, held in value.items():
        field = fields.get(name)
        if field is None or name == _REST or not _fits_exactly(name, held, field, message):
            rest[name] = held
    if rest:
        setattr(message, _REST, to_json(rest).decode())


def _fits_exactly(name: str, held: Any, field: _Field, message: Message) -> bool:
    if field.sub is None:
        values = held if field.many else [held]
        if type(values) is not list or not values or not all(_is(one, field.python) for one in values):
            return False
    elif type(held) is not (list if field.many else dict):
        return False
    trial = type(message)()
    try:
        _into_message({name: held}, trial)
        if field.sub is not None and _from_message(trial).get(name) != held:
            return False
    except (TypeError, ValueError, AttributeError, InvalidRequest, msgspec.MsgspecError):
        return False
    message.MergeFrom(trial)
    return True


def _is(value: object, python: type) -> bool:
    if python is bool:
        return value in (0, 1) and type(value) in (bool, int)
    if python is int:
        return type(value) is int and -WHOLE_LIMIT <= value <= WHOLE_LIMIT
    return type(value) is python


_PYTHON: Final = {
    FieldDescriptor.TYPE_STRING: str,
    FieldDescriptor.TYPE_BOOL: bool,
    FieldDescriptor.TYPE_INT32: int,
    FieldDescriptor.TYPE_DOUBLE: float,
    FieldDescriptor.TYPE_MESSAGE: dict,
}


@cache
def _fields(descriptor: Descriptor) -> dict[str, _Field]:
    found = {}
    for field in descriptor.fields:
        sub = field.message_type
        # Maps and values of any kind serve auctions on the device, which are not held here: they stay in `rest`.
        if sub is not None and (sub.GetOptions().map_entry or sub.file.name.startswith("google/")):
            continue
        found[field.name] = _Field(_PYTHON[field.type], field.is_repeated, sub)
    return found
