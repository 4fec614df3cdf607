"""How is the feed called over HTTP in JSON? A table of endpoints; the routes and OpenAPI 3.1 are made of it.

A part of the feed that wants to be called so adds its endpoints to the list that app/wiring_feed.py hands over, and
nothing else: bodies, queries and answers are msgspec structs, of which schemas and checks come.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

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

OPENAPI_PATH: Final = "/openapi.json"
# The longest post with all of its texts in escapes fits in four times over.
MAX_BODY_BYTES: Final = 256 << 10
_MAX_KEY_CHARS: Final = 128
_KINDS: Final[Mapping[type[HaatError], tuple[int, str]]] = {
    InvalidInput: (400, "invalid_input"),
    Unauthenticated: (401, "unauthenticated"),
    PermissionDenied: (403, "permission_denied"),
    NotFound: (404, "not_found"),
    Conflict: (409, "conflict"),
    BackendUnavailable: (503, "unavailable"),
}
# Texts of strangers stand in these answers: whatever opens one as a page finds no markup in it, and runs nothing.
HEADERS: Final = {
    "content-type": "application/json; charset=utf-8",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "cache-control": "no-store",
}
_PLACE: Final = re.compile(r" - at `\$\.?(.*)`$", re.DOTALL)
_NAMED: Final = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)
_PATH_NAME: Final = re.compile(r"\{(\w+)\}")

_REF: Final = b"#/components/schemas/"
# Paths, and the schemas that they refer to, of a part that serves its own routes.
Described = tuple[dict[str, Any], dict[str, Any]]

_log = logging.getLogger(__name__)


class Asked(msgspec.Struct, frozen=True):
    """A call that was let in: who, and what was given; `body` and `query` are of the endpoint's types."""

    caller: Caller
    path: Mapping[str, str]
    query: Any
    body: Any
    idempotency_key: str

    @property
    def tenant_id(self) -> str:
        """The caller's tenant."""
        return self.caller.tenant_id


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One line of the table. `body` and `query` are structs or None; a write takes the header Idempotency-Key."""

    method: str
    path: str
    summary: str
    answer: type[msgspec.Struct]
    run: Callable[[Asked], Awaitable[msgspec.Struct]]
    body: type[msgspec.Struct] | None = None
    query: type[msgspec.Struct] | None = None
    writes: bool = False
    status: int = 200
    roles: tuple[str, ...] = ("storefront",)


class Refused(msgspec.Struct, frozen=True):
    """What is wrong with one field, and what to give instead."""

    field: str
    value: str
    remedy: str


class ErrorBody(msgspec.Struct, frozen=True):
    """Every answer that is not 2xx. `code` is one of invalid_input, unauthenticated, permission_denied, not_found,
    conflict, too_large, unavailable and internal.
    """

    code: str
    message: str
    fields: tuple[Refused, ...] = ()


class RestEdge:
    """The routes of a table of endpoints. Their description takes in that of `others`, which serve themselves."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        keys: ApiKeys,
        *,
        version: str,
        others: Mapping[str, Described] | None = None,
    ) -> None:
        self._endpoints = tuple(endpoints)
        self._keys = keys
        self._openapi = to_json(openapi(endpoints, version, others or {}))

    def routes(self) -> list[BaseRoute]:
        """To be added to the HTTP pages."""
        by_path: dict[str, dict[str, Endpoint]] = {}
        for endpoint in self._endpoints:
            by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
        return [
            Route(OPENAPI_PATH, self._serve_openapi, methods=["GET"]),
            *(Route(path, self._answering(methods), methods=list(methods)) for path, methods in by_path.items()),
        ]

    async def _serve_openapi(self, _request: Request) -> Response:
        return Response(self._openapi, headers=HEADERS)

    def _answering(self, methods: Mapping[str, Endpoint]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            endpoint = methods["GET" if request.method == "HEAD" else request.method]
            try:
                answered = await endpoint.run(await self._asked(endpoint, request))
                return Response(to_json(answered), endpoint.status, HEADERS)
            except HaatError as error:
                return _refused(error)
            except _TooLarge:
                return _error(413, ErrorBody("too_large", f"send a body of at most {MAX_BODY_BYTES} bytes"))
            except ClientDisconnect:
                return _error(400, ErrorBody("invalid_input", "the request broke off"))
            except Exception:
                _log.exception("%s %s failed", endpoint.method, endpoint.path)
                return _error(500, ErrorBody("internal", "haat made a mistake of its own; its log says where"))

        return answer

    async def _asked(self, endpoint: Endpoint, request: Request) -> Asked:
        caller = self._caller(request, endpoint.roles)
        body = None
        if endpoint.body is not None:
            body = _decoded(await _read(request), endpoint.body)
        query = None
        if endpoint.query is not None:
            query = _converted(dict(request.query_params), endpoint.query)
        return Asked(caller, request.path_params, query, body, request.headers.get("idempotency-key", ""))

    def _caller(self, request: Request, roles: Sequence[str]) -> Caller:
        key = request.headers.get("x-api-key", "")
        found = self._keys.caller_of(key) if 0 < len(key) <= _MAX_KEY_CHARS else None
        if found is None:
            raise Unauthenticated("send a known API key in the header x-api-key")
        if found.role not in roles:
            raise PermissionDenied(f"a key of role {found.role!r} may not do this: it takes {' or '.join(roles)}")
        return found


def to_json(value: object) -> bytes:
    """JSON in which no text can be taken for markup: `<`, `>` and `&` are escaped."""
    data = msgspec.json.encode(value)
    # They stand within strings alone, where these escapes mean the same.
    for char in (b"<", b">", b"&"):
        data = data.replace(char, b"\\u%04x" % char[0])
    return data


def openapi(
    endpoints: Sequence[Endpoint], version: str, others: Mapping[str, Described] | None = None
) -> dict[str, Any]:
    """The description of these endpoints, OpenAPI 3.1; schemas of each of the others stand under its name."""
    types = [kind for one in endpoints for kind in (one.body, one.query, one.answer) if kind is not None]
    kinds = list(dict.fromkeys([*types, ErrorBody]))
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for one in endpoints:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, schema_of, components)
    # Queries are told parameter by parameter.
    for query in {one.query.__name__ for one in endpoints if one.query is not None}:
        components.pop(query, None)
    for name, described in (others or {}).items():
        more_paths, more_components = _under(name, described)
        for path, operations in more_paths.items():
            paths.setdefault(path, {}).update(operations)
        components |= more_components
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "haat: feed, people, moderation and media",
            "version": version,
            "license": {"name": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "x-api-key"}},
        },
        "security": [{"key": []}],
    }


def _under(name: str, described: Described) -> Described:
    """The same with its schemas under a name, so that two parts may call theirs alike."""
    paths, components = described
    moved = msgspec.json.encode(paths, order="deterministic").replace(_REF, _REF + name.encode() + b".")
    inner = msgspec.json.encode(components, order="deterministic").replace(_REF, _REF + name.encode() + b".")
    return msgspec.json.decode(moved), {f"{name}.{one}": schema for one, schema in msgspec.json.decode(inner).items()}


def _operation(one: Endpoint, schema_of: Mapping[Any, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PATH_NAME.findall(one.path)
    ]
    if one.query is not None:
        query = components[one.query.__name__]
        parameters += [
            {"name": name, "in": "query", "required": name in query.get("required", ()), "schema": schema}
            for name, schema in query["properties"].items()
        ]
    if one.writes:
        key = {"type": "string", "minLength": 1, "maxLength": 64}
        parameters.append({"name": "Idempotency-Key", "in": "header", "required": True, "schema": key})
    operation: dict[str, Any] = {
        "summary": one.summary,
        "operationId": getattr(one.run, "__name__", one.summary),
        "parameters": parameters,
        "responses": {
            str(one.status): {"description": one.summary, "content": _json_of(schema_of[one.answer])},
            "default": {"description": "What is wrong", "content": _json_of(schema_of[ErrorBody])},
        },
    }
    if one.body is not None:
        operation["requestBody"] = {"required": True, "content": _json_of(schema_of[one.body])}
    return operation


def _json_of(schema: object) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


class _TooLarge(Exception):
    """The body has more bytes than are read."""


async def _read(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
        raise _TooLarge
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > MAX_BODY_BYTES:
            raise _TooLarge
    return bytes(data)


def _decoded(data: bytes, kind: type[msgspec.Struct]) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        remedy = f"send a {kind.__name__} as JSON in UTF-8"
        raise InvalidInput([FieldError("body", f"{len(data)} bytes that are no such object", remedy)]) from None


def _converted(query: dict[str, str], kind: type[msgspec.Struct]) -> Any:
    try:
        return msgspec.convert(query, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: msgspec.ValidationError) -> InvalidInput:
    reason, place = str(error), ""
    if found := _PLACE.search(reason):
        reason, place = reason[: found.start()], found[1]
    remedy = f"see {OPENAPI_PATH} for what is taken"
    if named := _NAMED.fullmatch(reason):
        place = f"{place}.{named[2]}".removeprefix(".")
        missing = "missing" in named[1]
        reason, remedy = ("missing", "give it") if missing else ("unknown", f"leave it out; {remedy}")
    return InvalidInput([FieldError(_printable(place) or "body", _printable(reason), remedy)])


def _printable(text: str) -> str:
    return ascii(text[:200])[1:-1]


def status_of(error: HaatError) -> int:
    """The HTTP status that an error comes to."""
    return next((status for kind, (status, _) in _KINDS.items() if isinstance(error, kind)), 500)


def _refused(error: HaatError) -> Response:
    status, code = next((told for kind, told in _KINDS.items() if isinstance(error, kind)), (500, "internal"))
    fields: tuple[Refused, ...] = ()
    if isinstance(error, InvalidInput):
        fields = tuple(Refused(one.field.removeprefix("post."), one.value, one.remedy) for one in error.errors[:100])
    message = "some fields cannot be taken" if fields else str(error)[:400]
    return _error(status, ErrorBody(code, message, fields))


def _error(status: int, body: ErrorBody) -> Response:
    return Response(to_json(body), status, HEADERS)
