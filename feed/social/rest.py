"""How do the calls of the social part travel as JSON over HTTP, and how are they described?

`routes` is the table, `openapi` its description as parts of an OpenAPI 3.1 document. Kinds and states are words in
lower case here, and numbers in protobuf.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum
from typing import Any

import msgspec
from msgspec import inspect
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from accounts.ports import ApiKeys, Caller
from common.errors import (
    FieldError,
    HaatError,
    InvalidInput,
    PermissionDenied,
    Unauthenticated,
)
from feed.post_rules import shown
from feed.rest import HEADERS, status_of, to_json
from feed.social.operations import Operation
from feed.social.server import MAX_REQUEST_BYTES, ROLES, field_error

PREFIX = "/v1"
KEY_HEADER = "x-api-key"
# As for posts; in a body the field of the same name says it, too.
ONCE_HEADER = "idempotency-key"
_ONCE_FIELD = "idempotency_key"
_MAX_KEY_CHARS = 128
_WITHOUT_BODY = ("GET", "DELETE")
_log = logging.getLogger(__name__)


class Problem(msgspec.Struct, frozen=True):
    """What an error says: a sentence, and each field that cannot be taken as {field, value, remedy}."""

    error: str
    fields: tuple[dict[str, str], ...] = ()


def routes(operations: Sequence[Operation], keys: ApiKeys) -> list[BaseRoute]:
    """A route for each call, under /v1; each wants the header `x-api-key` of a storefront."""
    return [Route(PREFIX + one.path, _endpoint(one, keys), methods=[one.method], name=one.name) for one in operations]


def openapi(operations: Sequence[Operation]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(paths, schema components) of an OpenAPI 3.1 document."""
    types: list[type[msgspec.Struct]] = [Problem]
    types += [kind for one in operations for kind in (one.request, one.response)]
    _, components = msgspec.json.schema_components(dict.fromkeys(types), ref_template=_REF + "{name}")
    for kind in _enums(types):
        components[kind.__name__] = {"type": "string", "enum": [one.name.lower() for one in kind]}
    paths: dict[str, Any] = {}
    for one in operations:
        paths.setdefault(PREFIX + one.path, {})[one.method.lower()] = _described(one, components)
    return paths, components


_REF = "#/components/schemas/"


def _described(one: Operation, components: dict[str, Any]) -> dict[str, Any]:
    fields = components[one.request.__name__]["properties"]
    in_path = re.findall(r"{(\w+)}", one.path)
    parameters = [
        {"name": name, "in": "path" if name in in_path else "query", "required": name in in_path, "schema": schema}
        for name, schema in fields.items()
        if name in in_path or one.method in _WITHOUT_BODY
    ]
    if _ONCE_FIELD in fields:
        about = {"description": "The same key and request are one write.", "schema": {"type": "string"}}
        parameters.append({"name": ONCE_HEADER, "in": "header", "required": False, **about})
    described: dict[str, Any] = {
        "operationId": one.name,
        "summary": (one.request.__doc__ or "").strip(),
        "parameters": parameters,
        "responses": {
            "200": {"description": (one.response.__doc__ or "").strip(), "content": _json_of(one.response)},
            "default": {"description": "What cannot be done, and why.", "content": _json_of(Problem)},
        },
    }
    if one.method not in _WITHOUT_BODY:
        described["requestBody"] = {"required": True, "content": _json_of(one.request)}
    return described


def _json_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF + kind.__name__}}}


def _endpoint(one: Operation, keys: ApiKeys) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            who = _caller(keys, request.headers.get(KEY_HEADER, ""))
            asked = _read(one, request, await _body(request) if one.method not in _WITHOUT_BODY else b"")
            answer = await asyncio.to_thread(one.answer, who.tenant_id, asked)
            return _json(in_words(msgspec.to_builtins(answer), one.response))
        except HaatError as error:
            return _refused(error)
        except Exception:
            _log.exception("%s failed", one.name)
            return _refused(HaatError("haat made a mistake of its own; its log says where"))

    return endpoint


def _caller(keys: ApiKeys, key: str) -> Caller:
    if not key:
        raise Unauthenticated(f"the call carries no API key: send one as header {KEY_HEADER!r}")
    who = keys.caller_of(key) if len(key) <= _MAX_KEY_CHARS else None
    if who is None:
        raise Unauthenticated(f"the API key in header {KEY_HEADER!r} is not known or was revoked")
    if who.role not in ROLES:
        raise PermissionDenied(f"a key of role {who.role!r} may not do this: it takes {' or '.join(ROLES)}")
    return who


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_REQUEST_BYTES:
            raise InvalidInput([FieldError("request", "too long", f"send at most {MAX_REQUEST_BYTES} bytes")])
    return bytes(body)


def _read(one: Operation, request: Request, body: bytes) -> msgspec.Struct:
    """The request as a value: its body or its query, and what the path names above both."""
    given: Any = {}
    try:
        given = msgspec.json.decode(body) if body else _query(one, request)
        if not isinstance(given, dict):
            raise InvalidInput([FieldError("request", type(given).__name__, "send a JSON object")])
        given.update(request.path_params)
        if _ONCE_FIELD in one.request.__struct_fields__ and (key := request.headers.get(ONCE_HEADER)):
            given.setdefault(_ONCE_FIELD, key)
        # What a query says is text; a JSON body has numbers and words of its own.
        return msgspec.convert(in_numbers(given, one.request), one.request, strict=bool(body))
    except msgspec.ValidationError as error:
        raise InvalidInput([field_error(error)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput([FieldError("request", f"{len(body)} bytes", "send JSON")]) from None


def _query(one: Operation, request: Request) -> dict[str, Any]:
    given: dict[str, Any] = {}
    lists = {
        field.encode_name for field in msgspec.structs.fields(one.request) if _is_list(inspect.type_info(field.type))
    }
    for name, value in request.query_params.multi_items():
        if name in lists:
            given.setdefault(name, []).append(value)
        else:
            given[name] = value
    return given


def in_words(value: Any, kind: Any) -> Any:
    """A plain value of this type with each enum's number as its word."""
    return _walk(value, inspect.type_info(kind), lambda enum, one, where: enum(one).name.lower())


def in_numbers(value: Any, kind: Any) -> Any:
    """A plain value of this type with each enum's word as its number. InvalidInput names the words of one that has none
    of them; what is no text stays, to be refused or taken by its type.
    """

    def number(enum: type[IntEnum], word: Any, where: str) -> Any:
        if not isinstance(word, str) or word.isdecimal():
            return word
        known = enum.__members__.get(word.upper()) if word.islower() else None
        if known is None:
            words = ", ".join(one.name.lower() for one in enum)
            raise InvalidInput([FieldError(where, shown(word), f"give one of {words}")])
        return int(known)

    return _walk(value, inspect.type_info(kind), number)


def _walk(value: Any, kind: inspect.Type, change: Callable[[type[IntEnum], Any, str], Any], where: str = "") -> Any:
    if isinstance(kind, inspect.EnumType):
        return change(kind.cls, value, where)  # type: ignore[arg-type]
    if isinstance(kind, inspect.VarTupleType) and isinstance(value, (list, tuple)):
        return [_walk(one, kind.item_type, change, f"{where}[{at}]") for at, one in enumerate(value)]
    if isinstance(kind, inspect.StructType) and isinstance(value, dict):
        types, begin = {field.encode_name: field.type for field in kind.fields}, f"{where}." if where else ""
        return {
            name: _walk(one, types[name], change, begin + name) if name in types else one for name, one in value.items()
        }
    return value


def _is_list(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.VarTupleType)


def _enums(types: Sequence[type[msgspec.Struct]]) -> set[type[IntEnum]]:
    found: set[type[IntEnum]] = set()

    def look(kind: inspect.Type) -> None:
        if isinstance(kind, inspect.EnumType):
            found.add(kind.cls)  # type: ignore[arg-type]
        elif isinstance(kind, inspect.VarTupleType):
            look(kind.item_type)
        elif isinstance(kind, inspect.StructType):
            for field in kind.fields:
                look(field.type)

    for one in types:
        look(inspect.type_info(one))
    return found


def _refused(error: HaatError) -> Response:
    fields = error.errors if isinstance(error, InvalidInput) else ()
    shown = tuple({"field": one.field, "value": one.value, "remedy": one.remedy} for one in fields)
    return _json(msgspec.to_builtins(Problem(str(error)[:400], shown)), status_of(error))


def _json(answer: Any, status: int = 200) -> Response:
    return Response(to_json(answer), status, HEADERS)
