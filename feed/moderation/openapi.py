"""How is moderation over HTTP described? OpenAPI 3.1 out of the table of routes and protos/moderation.proto."""

from __future__ import annotations

import re
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from feed.moderation.rest import PREFIX, TABLE, RestRoute
from protos import moderation_pb2 as pb

_REF: Final = "#/components/schemas/"
_IN_PATH: Final = re.compile(r"\{([\w.]+)\}")
_NUMBERS: Final = {
    FieldDescriptor.TYPE_DOUBLE: "number", FieldDescriptor.TYPE_FLOAT: "number", FieldDescriptor.TYPE_INT32: "integer",
    FieldDescriptor.TYPE_UINT32: "integer", FieldDescriptor.TYPE_BOOL: "boolean",
}  # fmt: skip


def openapi() -> tuple[dict[str, Any], dict[str, Any]]:
    """(paths, schema components)."""
    paths: dict[str, Any] = {}
    components: dict[str, Any] = {
        "Problem": {
            "type": "object",
            "properties": {
                "error": {"type": "string"},
                "fields": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "string"}}},
            },
        }
    }
    for row in TABLE:
        path = PREFIX + row.path.replace("{decision.case_id}", "{case_id}")
        paths.setdefault(path, {})[row.verb.lower()] = _operation(row, path, components)
    return paths, components


def _operation(row: RestRoute, path: str, components: dict[str, Any]) -> dict[str, Any]:
    method = pb.DESCRIPTOR.services_by_name["ModerationService"].methods_by_name[row.method]
    in_path = _IN_PATH.findall(path)
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in in_path
    ]
    if row.verb == "GET":
        parameters += [
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in _flat(method.input_type, components)
            if name not in in_path
        ]
    elif "idempotency_key" in method.input_type.fields_by_name:
        key = {"type": "string", "minLength": 1, "maxLength": 64}
        parameters.append({"name": "idempotency-key", "in": "header", "required": True, "schema": key})
    summary = re.sub(r"(?<!^)([A-Z])", r" \1", row.method).capitalize()
    described: dict[str, Any] = {
        "summary": summary,
        "operationId": f"{row.method}.{row.verb}.{row.path.strip('/')}",
        "parameters": parameters,
        "responses": {
            "200": {"description": summary, "content": _json(_message(method.output_type, components))},
            "default": {"description": "What is wrong", "content": _json({"$ref": _REF + "Problem"})},
        },
    }
    if row.verb == "POST":
        described["requestBody"] = {"required": False, "content": _json(_message(method.input_type, components))}
    return described


def _flat(message: Descriptor, components: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Query parameters: fields of messages within are named with a dot."""
    found: list[tuple[str, Any]] = []
    for field in message.fields:
        if field.message_type is not None:
            found += _flat(field.message_type, components, f"{before}{field.name}.")
        else:
            found.append((before + field.name, _field(field, components)))
    return found


def _message(message: Descriptor, components: dict[str, Any]) -> dict[str, Any]:
    if message.name not in components:
        components[message.name] = {}
        properties = {field.name: _field(field, components) for field in message.fields}
        components[message.name] = {"type": "object", "title": message.full_name, "properties": properties}
    return {"$ref": _REF + message.name}


def _field(field: FieldDescriptor, components: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None:
        one = _message(field.message_type, components)
    elif field.enum_type is not None:
        one = _enum(field.enum_type, components)
    else:
        # Whole numbers of 64 bits are text in the JSON of protobuf.
        one = {"type": _NUMBERS.get(field.type, "string")}
    return {"type": "array", "items": one} if field.is_repeated else one


def _enum(enum: EnumDescriptor, components: dict[str, Any]) -> dict[str, Any]:
    components.setdefault(enum.name, {"type": "string", "enum": [value.name for value in enum.values]})
    return {"$ref": _REF + enum.name}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
