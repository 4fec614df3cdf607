"""How do moderators, visitors and authors ask over HTTP? The methods of ModerationService as a table of routes.

Requests and answers are those of protos/moderation.proto as JSON; path and query fill in fields by their names. The
API key travels in the header `x-api-key`, the idempotency key in `idempotency-key`.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec
from google.protobuf import json_format
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from accounts.grpc_edge import MAX_REQUEST_BYTES, caller
from common.errors import (
    FieldError,
    HaatError,
    InvalidInput,
)
from feed.moderation.moderation_server import Answer, ModerationServer
from feed.rest import HEADERS, status_of, to_json

BODY_LIMIT_BYTES: Final = min(MAX_REQUEST_BYTES, 256 * 1024)
PREFIX: Final = "/v1/moderation"


class RestRoute(NamedTuple):
    """An HTTP method and a path, and which gRPC method answers; `{name}` fills the request's field of that name."""

    verb: str
    path: str
    method: str


TABLE: Final = (
    RestRoute("GET", "/cases", "ListCases"),
    RestRoute("POST", "/cases:claim", "ClaimCases"),
    RestRoute("POST", "/cases:decide", "DecideCases"),
    RestRoute("GET", "/cases/{case_id}", "GetCase"),
    RestRoute("POST", "/cases/{case_id}/claim", "ClaimCases"),
    RestRoute("POST", "/cases/{case_id}/release", "ReleaseCase"),
    RestRoute("POST", "/cases/{decision.case_id}/decision", "DecideCase"),
    RestRoute("POST", "/cases/{case_id}/undo", "UndoDecision"),
    RestRoute("POST", "/cases/{case_id}/appeal", "AppealDecision"),
    RestRoute("GET", "/cases/{case_id}/statement", "GetStatement"),
    RestRoute("GET", "/statements", "GetStatement"),
    RestRoute("GET", "/trail", "ListTrail"),
    RestRoute("GET", "/reasons", "ListReasons"),
    RestRoute("GET", "/queue", "GetQueueFigures"),
    RestRoute("GET", "/reputations/{creator_id}", "GetReputation"),
    RestRoute("POST", "/reports", "ReportSubject"),
    RestRoute("GET", "/bans", "ListImageBans"),
    RestRoute("POST", "/bans", "BanImage"),
    RestRoute("POST", "/bans/{image_hash}/lift", "LiftImageBan"),
    RestRoute("POST", "/bans:undo", "UndoImageBan"),
)


def routes(server: ModerationServer) -> list[BaseRoute]:
    """The table as routes, to be added to the HTTP pages."""
    methods = server.methods()
    return [
        Route(
            PREFIX + row.path.replace("{decision.case_id}", "{case_id}"),
            _endpoint(server, row, *methods[row.method]),
            methods=[row.verb],
        )
        for row in TABLE
    ]


def _endpoint(server: ModerationServer, row: RestRoute, message_type: type[Message], answer: Answer) -> Any:
    async def endpoint(request: Request) -> Response:
        try:
            who = caller(server.keys, [("x-api-key", request.headers.get("x-api-key", ""))])
            message = _message(message_type, row, request, await _body(request) if row.verb == "POST" else b"")
            said = await answer(message, who)
        except HaatError as error:
            return _refused(error)
        found = json_format.MessageToDict(
            said, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        return Response(to_json(found), headers=HEADERS)

    return endpoint


def _message(message_type: type[Message], row: RestRoute, request: Request, body: bytes) -> Message:
    fields: dict[str, Any] = {}
    if body:
        try:
            given = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput([FieldError("body", str(error)[:200], "send JSON")]) from None
        if not isinstance(given, dict):
            raise InvalidInput([FieldError("body", "is no object", f"send a {message_type.DESCRIPTOR.full_name}")])
        fields = given
    for name in request.query_params:
        values = request.query_params.getlist(name)
        _put(fields, name, values if _is_repeated(message_type, name) else values[-1])
    for name, value in request.path_params.items():
        _put(fields, "decision.case_id" if "{decision.case_id}" in row.path else name, value)
    key = request.headers.get("idempotency-key", "")
    # Clients send one with every call; of those that write nothing it says nothing.
    if key and "idempotency_key" in message_type.DESCRIPTOR.fields_by_name:
        fields["idempotency_key"] = key
    message = message_type()
    try:
        json_format.ParseDict(fields, message, max_recursion_depth=8)
    except (json_format.ParseError, ValueError, TypeError) as error:
        remedy = f"send a {message_type.DESCRIPTOR.full_name}"
        # What it quotes of the request must not turn round what is read of it.
        said = str(error)[:200].encode("ascii", "backslashreplace").decode()
        raise InvalidInput([FieldError("request", said, remedy)]) from None
    return message


def _put(fields: dict[str, Any], name: str, value: Any) -> None:
    """`subject.kind` fills the field of a message within."""
    *path, last = name.split(".")
    for part in path[:4]:
        inner = fields.setdefault(part, {})
        if not isinstance(inner, dict):
            raise InvalidInput([FieldError(name[:60], "given twice", "give it once")])
        fields = inner
    # Query parameters are text; JSON's own words for yes and no are taken as such.
    fields[last] = {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _is_repeated(message_type: type[Message], name: str) -> bool:
    field = message_type.DESCRIPTOR.fields_by_name.get(name)
    return bool(field is not None and field.is_repeated)


async def _body(request: Request) -> bytes:
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > BODY_LIMIT_BYTES:
            raise InvalidInput([FieldError("body", "is too long", f"send at most {BODY_LIMIT_BYTES} bytes")])
    return bytes(data)


def _refused(error: HaatError) -> Response:
    said: dict[str, Any] = {"error": str(error)[:1_000]}
    if isinstance(error, InvalidInput):
        fields = [{"field": e.field[:200], "value": e.value[:200], "remedy": e.remedy} for e in error.errors[:50]]
        said = {"error": "the request cannot be taken", "fields": fields}
    return Response(to_json(said), status_of(error), HEADERS)
