"""Is protos/openrtb.proto the IAB's on the wire, and does the table of fields say the same?"""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from exchange.openrtb.fields import FIELDS
from protos import openrtb_pb2 as pb

TABLE = Path(__file__).with_name("openrtb-fields.tsv")
FILE = pb.DESCRIPTOR
TYPES = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_DOUBLE: "double",
}
KINDS = {"string": "text", "bool": "flag", "int32": "whole", "double": "number"}
# Objects that are text in JSON.
TEXT_IN_JSON = {"request_native", "adm_native"}


def rows() -> list[list[str]]:
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return [[*line.split("\t"), "", ""][:5] for line in lines[1:]]


ROWS = rows()


def found(name: str) -> Descriptor | EnumDescriptor:
    first, *rest = name.split(".")
    if not rest and first in FILE.enum_types_by_name:
        return FILE.enum_types_by_name[first]
    held = FILE.message_types_by_name[first]
    for step in rest:
        if step in held.enum_types_by_name:
            return held.enum_types_by_name[step]
        held = held.nested_types_by_name[step]
    return held


def type_of(field: FieldDescriptor) -> str:
    sub = field.message_type
    if sub is not None and sub.GetOptions().map_entry:
        key, value = sub.fields
        return f"map<{TYPES[key.type]}, {TYPES[value.type]}>"
    name = TYPES[field.type] if sub is None else sub.full_name.removeprefix(f"{FILE.package}.")
    return f"repeated {name}" if field.is_repeated else name


@pytest.mark.parametrize("message", sorted({row[0] for row in ROWS}))
def test_every_field_is_the_same_on_the_wire(message: str) -> None:
    descriptor = found(message)
    for _, name, number, kind, oneof in (row for row in ROWS if row[0] == message):
        if isinstance(descriptor, EnumDescriptor):
            assert descriptor.values_by_name[name].number == int(number)
            continue
        field = descriptor.fields_by_name[name]
        assert field.number == int(number)
        ours, many = type_of(field), kind.startswith("repeated ")
        assert ours.startswith("repeated ") == many
        # The table names types as they are seen from where they stand.
        theirs = kind.removeprefix("repeated ").removeprefix(".")
        assert ours.removeprefix("repeated ") == theirs or ours.endswith(f".{theirs}"), (message, name, ours, kind)
        containing = field.containing_oneof
        assert (containing.name if containing is not None and len(containing.fields) > 1 else "") == oneof
        assert many or oneof or field.has_presence or kind.startswith("map")


def test_what_we_added_is_in_the_range_that_the_standard_leaves_to_exchanges() -> None:
    listed = {(row[0], row[1]) for row in ROWS}

    def look(descriptor: Descriptor) -> None:
        name = descriptor.full_name.removeprefix(f"{FILE.package}.")
        for field in descriptor.fields:
            if not descriptor.GetOptions().map_entry and (name, field.name) not in listed:
                assert 500 <= field.number <= 999, (name, field.name)
        for nested in descriptor.nested_types:
            look(nested)

    assert FILE.package == "com.iabtechlab.openrtb.v2"
    for message in FILE.message_types_by_name.values():
        look(message)


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_the_table_of_fields_says_what_the_messages_say(name: str) -> None:
    top = {"BidRequest", "BidResponse", "NativeRequest"}
    outer = "" if name.split(".")[0] in top else "BidResponse." if name in ("SeatBid", "Bid") else "BidRequest."
    descriptor = found(outer + name)
    assert isinstance(descriptor, Descriptor)
    fields = {field.name: field for field in descriptor.fields if field.name not in TEXT_IN_JSON}

    assert set(FIELDS[name]) == set(fields)
    for field_name, kind in FIELDS[name].items():
        field = fields[field_name]
        assert kind.many == field.is_repeated
        said = type_of(field).removeprefix("repeated ")
        if kind.of == "ext":
            assert said.endswith(".Ext")
        elif kind.of in KINDS.values():
            assert kind.of == KINDS[said]
        else:
            assert said.split(".", 1)[-1] == kind.of or said == kind.of
