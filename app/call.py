"""How is one call made by hand? A method's name and its request as JSON, as grpcurl takes them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from grpc_status import rpc_status

from client.errors import FieldViolation, failure_of
from common.errors import BackendUnavailable, FieldError, InvalidInput
from protos import (
    billing_pb2,
    campaign_edits_pb2,
    campaigns_pb2,
    catalogue_pb2,
    exchange_pb2,
    feed_pb2,
    floors_pb2,
    moderation_pb2,
    openrtb_service_pb2,
    operations_pb2,
    publishers_pb2,
    reports_pb2,
    social_pb2,
)

_FILES = (
    exchange_pb2,
    campaigns_pb2,
    campaign_edits_pb2,
    billing_pb2,
    publishers_pb2,
    floors_pb2,
    operations_pb2,
    catalogue_pb2,
    feed_pb2,
    social_pb2,
    moderation_pb2,
    openrtb_service_pb2,
    reports_pb2,
)
_TIMEOUT_S = 10.0

__all__ = ["call", "field_error", "methods"]


def methods() -> dict[str, list[MethodDescriptor]]:
    """Every unary method by its name, `HoldAuction`, by `AuctionService/HoldAuction` and by that with its package; two
    services may have methods of one name.
    """
    found: defaultdict[str, list[MethodDescriptor]] = defaultdict(list)
    for file in _FILES:
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                if not method.client_streaming:
                    for name in (method.name, f"{service.name}/{method.name}", f"{service.full_name}/{method.name}"):
                        found[name].append(method)
    return dict(found)


def call(target: str, api_key: str, method_name: str, request_json: str) -> dict[str, Any]:
    """The answer as JSON's dictionary. InvalidInput when the method or the request is not known or is refused."""
    found = methods().get(method_name, [])
    if not found:
        known = ", ".join(sorted(name for name in methods() if "/" not in name))
        raise InvalidInput([FieldError("METHOD", method_name[:100], f"give one of {known}")])
    if len(found) > 1:
        which = " or ".join(f"{one.containing_service.name}/{one.name}" for one in found)
        raise InvalidInput([FieldError("METHOD", f"{method_name} is of several services", f"give {which}")])
    method = found[0]
    request = message_factory.GetMessageClass(method.input_type)()
    try:
        json_format.Parse(request_json, request)
    except json_format.ParseError as error:
        raise InvalidInput([FieldError("JSON", str(error)[:300], f"give a {method.input_type.full_name}")]) from None
    answer_type = message_factory.GetMessageClass(method.output_type)
    path = f"/{method.containing_service.full_name}/{method.name}"
    with grpc.insecure_channel(target) as channel:
        ask: Any = channel.unary_unary(path)
        try:
            data = ask(request.SerializeToString(), timeout=_TIMEOUT_S, metadata=(("x-api-key", api_key),))
        except grpc.RpcError as error:
            raise _refused(error, target, path) from None
    return json_format.MessageToDict(answer_type.FromString(data), preserving_proto_field_name=True)


def field_error(violation: FieldViolation) -> FieldError:
    """A description is what was wrong and the remedy in one, as `accounts.grpc_edge` writes it."""
    value, _, remedy = violation.description.partition(" — ")
    return FieldError(violation.field, value, remedy)


def _refused(error: Any, target: str, path: str) -> Exception:
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return BackendUnavailable(f"no answer from {target}: {error.details()}; is `haat serve` running there?")
    status = rpc_status.from_call(error)
    if status is None:
        return BackendUnavailable(f"{path} at {target} failed with {error.code().name}: {error.details()}")
    failure = failure_of(path, error)
    if failure.errors:
        return InvalidInput([field_error(violation) for violation in failure.errors])
    return failure
