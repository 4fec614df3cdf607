"""Which schema was a record written in? Each state of a message that ever was has a number, in protos/schemas.json.

A record on a broker carries the number of its schema. Fields are only ever added, and a number that is not in the file
is of a haat to come. `python -m streams.schema_registry` numbers what has changed, and refuses what readers of before
would misread.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from protos import catalogue_pb2, events_pb2
from streams.topics import TOPICS, Topic

FILE: Final = Path(events_pb2.__file__).with_name("schemas.json")
_TYPES: Final = {
    value: name.removeprefix("TYPE_").lower() for name, value in vars(FieldDescriptor).items() if name[:5] == "TYPE_"
}
_DESCRIPTORS: Final[Mapping[str, Descriptor]] = {
    f"{file.package}.{name}": message
    for file in (events_pb2.DESCRIPTOR, catalogue_pb2.DESCRIPTOR)
    for name, message in file.message_types_by_name.items()
}
# What may take the other's place on the wire is still another type here: a change of meaning is a new field.
Fields = dict[str, dict[str, str]]


class Schema(msgspec.Struct, frozen=True):
    """One state of a message: for it and each message within, the fields as "number" to "type name"."""

    id: int
    message: str
    messages: Fields


class Registry:
    """The numbered schemas, oldest first."""

    def __init__(self, schemas: Sequence[Schema]) -> None:
        self.schemas = tuple(schemas)
        self._by_id = {schema.id: schema for schema in schemas}
        self._newest = {schema.message: schema.id for schema in schemas}

    def newest(self, topic: Topic) -> int:
        """The number that records of this topic are written under; KeyError when its message has none."""
        return self._newest[topic.message]

    def message_of(self, schema_id: int) -> str | None:
        """The message that the number stands for; None: not known here."""
        schema = self._by_id.get(schema_id)
        return schema.message if schema else None

    def history(self, message: str) -> list[Schema]:
        """Every state of a message, oldest first."""
        return [schema for schema in self.schemas if schema.message == message]


def load(file: Path = FILE) -> Registry:
    """The registry of this haat."""
    return Registry(msgspec.json.decode(file.read_bytes(), type=list[Schema]) if file.exists() else [])


def fields_of(message: str) -> Fields:
    """The fields as the code has them now."""
    found: Fields = {}
    left = [_DESCRIPTORS[message]]
    while left:
        descriptor = left.pop()
        if descriptor.full_name in found:
            continue
        found[descriptor.full_name] = {
            str(field.number): _described(field) for field in sorted(descriptor.fields, key=lambda field: field.number)
        }
        left += [field.message_type for field in descriptor.fields if field.message_type]
    return dict(sorted(found.items()))


def misread(before: Fields, after: Fields) -> list[str]:
    """What a reader of one would misread of the other, in words; nothing when fields were only added."""
    troubles = []
    for message, fields in before.items():
        for number, described in fields.items():
            now = after.get(message, {}).get(number)
            if now is None:
                troubles.append(f"{message}: field {number} ({described}) is gone")
            elif now != described:
                troubles.append(f"{message}: field {number} was {described!r} and is {now!r}")
    return troubles


def numbered(registry: Registry) -> tuple[list[Schema], list[str]]:
    """The schemas with what is new, and what must not be."""
    schemas, troubles = list(registry.schemas), []
    for message in dict.fromkeys(topic.message for topic in TOPICS.values()):
        fields = fields_of(message)
        history = registry.history(message)
        troubles += [trouble for before in history for trouble in misread(before.messages, fields)]
        if not history or history[-1].messages != fields:
            schemas.append(Schema(max((schema.id for schema in schemas), default=0) + 1, message, fields))
    return schemas, troubles


def _described(field: FieldDescriptor) -> str:
    kind = field.message_type.full_name if field.message_type else _TYPES[field.type]
    return f"{'repeated ' if field.is_repeated else ''}{kind} {field.name}"


def main() -> int:
    """Number what has changed; 1 when something would be misread, and then nothing is written."""
    schemas, troubles = numbered(load())
    if troubles:
        print("\n".join(troubles), file=sys.stderr)
        return 1
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(schemas), indent=1) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
