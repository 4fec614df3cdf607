"""What did the other side refuse, and why? Statuses of gRPC as exceptions that name the field and the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from common.errors import HaatError

_DETAILS_METADATA = "grpc-status-details-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}

# Sent again, these calls would be answered the same.
_FINAL = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.ALREADY_EXISTS,
    }
)


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that the server did not take: its path and what to do about it (google.rpc.BadRequest)."""

    field: str
    description: str

    def __str__(self) -> str:
        return f"{self.field}: {self.description}" if self.field else self.description


class CallFailed(HaatError):
    """A call that brought no answer: `code` says why, `errors` name the fields where the server named any."""

    def __init__(self, what: str, code: grpc.StatusCode, reason: str, errors: Sequence[FieldViolation] = ()) -> None:
        because = "; ".join(str(error) for error in errors) or reason or "no reason was given"
        super().__init__(f"{what}: {code.name} — {because}")
        self.what = what
        self.code = code
        self.reason = reason
        self.errors = tuple(errors)


class CallRefused(CallFailed):
    """The server read the call and said no; sent again unchanged it is refused again."""


class AuctionRefused(CallRefused):
    """One page view that cannot be auctioned; those beside it in the batch were held."""


class AnswerLate(CallFailed):
    """No answer within the caller's time-out."""


class StreamBroken(CallFailed):
    """The stream broke twice while the call was on it."""


class ClientClosed(HaatError):
    """The client was closed before the call was answered."""


def failure_of(what: str, error: grpc.aio.AioRpcError) -> CallFailed:
    """The exception for a failed call, with the field errors of its rich status."""
    code = error.code()
    status = _rich_status(error.trailing_metadata())
    errors = violations_of(status) if status is not None else ()
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return AnswerLate(what, code, error.details() or "")
    kind = CallRefused if is_final(code) else CallFailed
    return kind(what, code, error.details() or "", errors)


def auction_refused(what: str, status: status_pb2.Status) -> AuctionRefused:
    """The exception for one refused page view of a batch."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    return AuctionRefused(what, code, status.message, violations_of(status))


def violations_of(status: status_pb2.Status) -> tuple[FieldViolation, ...]:
    """The fields that a rich status names; empty when it names none or its details cannot be read."""
    found: list[FieldViolation] = []
    for detail in status.details:
        bad = error_details_pb2.BadRequest()
        try:
            if detail.Unpack(bad):
                found.extend(FieldViolation(one.field, one.description) for one in bad.field_violations)
        except DecodeError:
            continue
    return tuple(found)


def is_final(code: grpc.StatusCode) -> bool:
    """Would the same call, sent again, fail the same way?"""
    return code in _FINAL


def _rich_status(trailers: Any) -> status_pb2.Status | None:
    for key, value in trailers or ():
        if key == _DETAILS_METADATA and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None
